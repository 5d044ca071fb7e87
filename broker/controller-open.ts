// Puts the controller together: the metadata log out of the catalog, its settings, the controller around it.
import path from 'node:path'
import type { BrokerId, TopicPartition, Uuid } from '../protocol/types.ts'
import type { Endpoint } from '../replication/controller/activation.ts'
import { initialFeatureRecords } from '../replication/controller/features.ts'
import { METADATA_TOPIC } from '../replication/controller/topic-names.ts'
import { snapshotBatches } from '../replication/metadata/batches.ts'
import type { Catalog } from '../storage/catalog.ts'
import type { Files } from '../storage/files.ts'
import type { LogConfig } from '../storage/log-config.ts'
import { BOOTSTRAP_CHECKPOINT } from '../storage/log-directory.ts'
import type { Clock, Random } from './clock.ts'
import type { BrokerConfig } from './config.ts'
import { Controller } from './controller.ts'
import type { Logger } from './log.ts'
import { MetadataLog } from './metadata-log.ts'

const METADATA_PARTITION: TopicPartition = { topic: METADATA_TOPIC, partition: 0 }
/** Uuid.METADATA_TOPIC_ID: the 128-bit number 1. */
const METADATA_TOPIC_ID: Uuid = 'AAAAAAAAAAAAAAAAAAAAAQ'

export interface ControllerParts {
  readonly catalog: Catalog
  readonly files: Files
  readonly nodeId: BrokerId
  readonly config: BrokerConfig
  readonly clock: Clock
  readonly random: Random
  readonly logger: Logger
  readonly incarnationId: Uuid
  /** Where controllers may reach this one; empty while no controller listener is open. */
  readonly controllerEndPoints: readonly Endpoint[]
  /** Resolves when this broker has done what committed metadata asked of it so far. */
  readonly settled: () => Promise<void>
}

/** Loads the metadata. Listeners of `controller.metadata` should be there before `controller.start()`. */
export async function openController(parts: ControllerParts): Promise<Controller> {
  const { catalog, files, nodeId, config, clock, random, logger } = parts
  const log = await catalog.getOrCreate(METADATA_PARTITION, METADATA_TOPIC_ID, metadataLogConfig(config))
  const metadataLog = await MetadataLog.open({
    log,
    files,
    nodeId,
    voters: [nodeId],
    bootstrapCheckpoint: path.join(catalog.directory, BOOTSTRAP_CHECKPOINT),
    clock,
    logger,
    snapshotBytesMax: () => config.get('metadata.log.max.record.bytes.between.snapshots'),
    snapshotIntervalMs: () => config.get('metadata.log.max.snapshot.interval.ms') || Number.POSITIVE_INFINITY
  })
  const { incarnationId, controllerEndPoints, settled } = parts
  const self = { nodeId, incarnationId, controllerEndPoints }
  const clusterId = catalog.clusterId ?? ''
  return new Controller({ metadataLog, clusterId, nodeId, config, clock, random, logger, self, settled })
}

/** The bytes of bootstrap.checkpoint for a directory that is formatted now. */
export function bootstrapCheckpoint(nowMs: number): Buffer {
  return Buffer.concat([...snapshotBatches(initialFeatureRecords(), { epoch: 0, lastContainedLogTimestamp: 0, nowMs })])
}

/** Kept whole until a snapshot covers it: neither age nor size deletes metadata. */
function metadataLogConfig(config: BrokerConfig): LogConfig {
  return {
    ...config.logConfig(),
    segmentBytes: config.get('internal.metadata.log.segment.bytes') ?? config.get('metadata.log.segment.bytes'),
    segmentMs: config.get('metadata.log.segment.ms'),
    deletes: true,
    compacts: false,
    retentionMs: -1,
    retentionBytes: -1,
    maxMessageBytes: Number.POSITIVE_INFINITY,
    flushMessages: Number.POSITIVE_INFINITY,
    flushMs: Number.POSITIVE_INFINITY,
    compressionType: 'producer',
    messageTimestampType: 'CreateTime'
  }
}
