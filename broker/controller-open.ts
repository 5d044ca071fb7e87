// Puts the controller together: the metadata log out of the catalog, its settings, the controller around it.
import path from 'node:path'
import type { MoldauError } from '../protocol/failure.ts'
import type { BrokerId, TopicPartition, Uuid } from '../protocol/types.ts'
import type { Endpoint } from '../replication/controller/activation.ts'
import { initialFeatureRecords } from '../replication/controller/features.ts'
import { METADATA_TOPIC, METADATA_TOPIC_ID } from '../replication/controller/topic-names.ts'
import { snapshotBatches } from '../replication/metadata/batches.ts'
import type { Catalog } from '../storage/catalog.ts'
import type { Files } from '../storage/files.ts'
import type { LogConfig } from '../storage/log-config.ts'
import { BOOTSTRAP_CHECKPOINT } from '../storage/log-directory.ts'
import { parseDirectoryName } from '../storage/partition-names.ts'
import { BROKER_EPOCH_FILE } from './broker-epoch.ts'
import type { Clock, Random } from './clock.ts'
import type { BrokerConfig } from './config.ts'
import { Controller } from './controller.ts'
import type { Logger } from './log.ts'
import { MetadataLog } from './metadata-log.ts'
import type { Address, Network } from './net/network.ts'
import { probe } from './peers.ts'
import type { Stalls } from './stalls.ts'

const METADATA_PARTITION: TopicPartition = { topic: METADATA_TOPIC, partition: 0 }
/** A live broker accepts at once. */
const PROBE_MS = 500

export interface ControllerParts {
  readonly catalog: Catalog
  readonly files: Files
  readonly network: Network
  readonly nodeId: BrokerId
  readonly config: BrokerConfig
  readonly clock: Clock
  readonly stalls: Stalls
  readonly random: Random
  readonly logger: Logger
  readonly incarnationId: Uuid
  /** Where controllers may reach this one; empty while no controller listener is open. */
  readonly controllerEndPoints: readonly Endpoint[]
  /** Resolves when this broker has done what committed metadata asked of it so far. */
  readonly settled: () => Promise<void>
  /** This node cannot go on: one clear reason. */
  readonly onFatal: (reason: MoldauError) => void
}

/** Loads the metadata. Listeners of `controller.metadata` should be there before `controller.start()`. */
export async function openController(parts: ControllerParts): Promise<Controller> {
  const { network, nodeId, config, clock, stalls, random, logger } = parts
  const metadataLog = await openMetadataLog(parts)
  const { incarnationId, controllerEndPoints, settled } = parts
  const self = { nodeId, incarnationId, controllerEndPoints }
  const newClusterId = (): Uuid => metadataLog.namedClusterId ?? random.uuid()
  const probeThere = (address: Address) => probe(network, clock, address, PROBE_MS)
  return new Controller({
    ...{ metadataLog, nodeId, config, clock, stalls, random, logger, self, newClusterId, settled, probe: probeThere }
  })
}

async function openMetadataLog(parts: ControllerParts): Promise<MetadataLog> {
  const { catalog, files, network, nodeId, config, clock, stalls, random, logger, onFatal } = parts
  const log = await catalog.getOrCreate(METADATA_PARTITION, METADATA_TOPIC_ID, metadataLogConfig(config))
  return await MetadataLog.open({
    ...{ log, files, network, nodeId, clock, stalls, random, logger, onFatal },
    voters: config.voters.length > 0 ? config.voters : [{ nodeId, host: '', port: 0 }],
    isFormatted: catalog.clusterId !== null,
    hasLived: () => hasLived(files, catalog.directory),
    bootstrapCheckpoint: path.join(catalog.directory, BOOTSTRAP_CHECKPOINT),
    timeouts: {
      electionMs: config.get('controller.quorum.election.timeout.ms'),
      fetchMs: config.get('controller.quorum.fetch.timeout.ms'),
      backoffMaxMs: config.get('controller.quorum.election.backoff.max.ms')
    },
    requestTimeoutMs: () => config.get('controller.quorum.request.timeout.ms'),
    fetchMaxBytes: () => config.get('controller.quorum.fetch.max.bytes'),
    snapshotMaxBytes: () => config.get('controller.quorum.fetch.snapshot.max.bytes'),
    clusterId: () => catalog.clusterId,
    configuredClusterId: config.get('moldau.cluster.id'),
    adoptClusterId: clusterId => catalog.adoptClusterId(clusterId),
    snapshotBytesMax: () => config.get('metadata.log.max.record.bytes.between.snapshots'),
    snapshotIntervalMs: () => config.get('metadata.log.max.snapshot.interval.ms') || Number.POSITIVE_INFINITY
  })
}

/** Whether a node was a member of a cluster with this directory, whatever became of its metadata since: it registered, or
 *  it has partitions. A directory that was only formatted shows neither. */
export async function hasLived(files: Files, directory: string): Promise<boolean> {
  const names = await files.readdir(directory)
  return names.some(
    name => name === BROKER_EPOCH_FILE || (parseDirectoryName(name)?.topic ?? METADATA_TOPIC) !== METADATA_TOPIC
  )
}

/** The bytes of bootstrap.checkpoint for a directory that is formatted now. */
export function bootstrapCheckpoint(nowMs: number): Buffer {
  return Buffer.concat([...snapshotBatches(initialFeatureRecords(), { epoch: 0, lastContainedLogTimestamp: 0, nowMs })])
}

/** Kept whole until a snapshot covers it: neither age nor size deletes metadata. */
export function metadataLogConfig(config: BrokerConfig): LogConfig {
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
