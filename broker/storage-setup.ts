// The catalog of the data directory, as the settings describe it; what storage reports becomes lines of the log.
import { tmpdir } from 'node:os'
import path from 'node:path'
import type { MoldauError } from '../protocol/failure.ts'
import { Catalog, type CatalogSettings } from '../storage/catalog.ts'
import type { Files } from '../storage/files.ts'
import type { OpenKeyStore } from '../storage/snapshot-cache.ts'
import type { Clock, Random } from './clock.ts'
import type { BrokerConfig } from './config.ts'
import { bootstrapCheckpoint } from './controller-open.ts'
import type { Logger } from './log.ts'

export interface StorageParts {
  readonly config: BrokerConfig
  readonly files: Files
  readonly clock: Clock
  readonly random: Random
  readonly log: Logger
  readonly openKeyStore: OpenKeyStore
  readonly onOffline: (error: MoldauError) => void
}

export function openCatalog({
  config,
  files,
  clock,
  random,
  log,
  openKeyStore,
  onOffline
}: StorageParts): Promise<Catalog> {
  return Catalog.open({
    files,
    directory: path.resolve(config.dataDirectory),
    nodeId: config.nodeId,
    clusterId: config.get('moldau.cluster.id'),
    isOneOfSeveral: config.voters.length > 1,
    clock,
    random,
    openKeyStore,
    policy: config.get('moldau.log.flush.policy') as 'group-commit' | 'page-cache',
    settings: catalogSettings(config),
    tailCacheBytes: config.get('moldau.tail.cache.bytes'),
    // A failed sync is marked beside the directory too, which may well be another disk, and until the machine restarts.
    markPlaces: [path.dirname(path.resolve(config.dataDirectory)), tmpdir()],
    bootstrapCheckpoint: () => bootstrapCheckpoint(clock.nowMs()),
    onEvent: (level, event, data) => log[level](data, event),
    onOffline
  })
}

/** Read at each use: most of them may change while the broker runs. */
function catalogSettings(config: BrokerConfig): CatalogSettings {
  return {
    get producerIdExpirationMs() {
      return config.get('producer.id.expiration.ms')
    },
    get producerIdExpirationCheckIntervalMs() {
      return config.get('producer.id.expiration.check.interval.ms')
    },
    get retentionCheckIntervalMs() {
      return config.get('log.retention.check.interval.ms')
    },
    get initialTaskDelayMs() {
      return config.get('log.initial.task.delay.ms')
    },
    get flushOffsetCheckpointIntervalMs() {
      return config.get('log.flush.offset.checkpoint.interval.ms')
    },
    get flushStartOffsetCheckpointIntervalMs() {
      return config.get('log.flush.start.offset.checkpoint.interval.ms')
    },
    get highWatermarkCheckpointIntervalMs() {
      return config.get('replica.high.watermark.checkpoint.interval.ms')
    },
    get fileDeleteDelayMs() {
      return config.get('log.segment.delete.delay.ms')
    },
    get diskReserveBytes() {
      return config.get('moldau.disk.reserve.bytes')
    },
    cleaner: cleanerSettings(config)
  }
}

function cleanerSettings(config: BrokerConfig): CatalogSettings['cleaner'] {
  return {
    // Compaction always runs, as in Kafka 4.
    isEnabled: true,
    get backoffMs() {
      return config.get('log.cleaner.backoff.ms')
    },
    get dedupeBufferBytes() {
      return config.get('log.cleaner.dedupe.buffer.size')
    },
    get dedupeBufferLoadFactor() {
      return config.get('log.cleaner.io.buffer.load.factor')
    },
    get ioBufferBytes() {
      return config.get('log.cleaner.io.buffer.size')
    },
    get ioMaxBytesPerSecond() {
      return config.get('log.cleaner.io.max.bytes.per.second')
    }
  }
}
