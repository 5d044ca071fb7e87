// What the catalog of a log directory is given: its place and identity, its settings, and whom it tells of what.
import type { MoldauError } from '../protocol/failure.ts'
import type { BrokerId, Uuid } from '../protocol/types.ts'
import type { CleanerEvent, CleanerSettings } from './cleaner.ts'
import type { Files } from './files.ts'
import type { FlushPolicy } from './log-writer.ts'
import type { OpenKeyStore } from './snapshot-cache.ts'
import type { StorageClock } from './storage-clock.ts'

/** Settings that may change while the broker runs are read at each use: give getters. */
export interface CatalogSettings {
  /** producer.id.expiration.ms */
  readonly producerIdExpirationMs: number
  /** producer.id.expiration.check.interval.ms */
  readonly producerIdExpirationCheckIntervalMs: number
  /** log.retention.check.interval.ms */
  readonly retentionCheckIntervalMs: number
  /** log.initial.task.delay.ms */
  readonly initialTaskDelayMs: number
  /** log.flush.offset.checkpoint.interval.ms */
  readonly flushOffsetCheckpointIntervalMs: number
  /** log.flush.start.offset.checkpoint.interval.ms */
  readonly flushStartOffsetCheckpointIntervalMs: number
  /** replica.high.watermark.checkpoint.interval.ms */
  readonly highWatermarkCheckpointIntervalMs: number
  /** log.segment.delete.delay.ms */
  readonly fileDeleteDelayMs: number
  /** moldau.disk.reserve.bytes; -1: the default. */
  readonly diskReserveBytes: number
  readonly cleaner: CleanerSettings
}

export type CatalogEvent =
  | CleanerEvent
  | 'unclean-start'
  | 'torn-tail-cut'
  | 'log-corrupt'
  | 'log-read-failed'
  | 'log-deleted'
  | 'log-delete-failed'
  | 'log-set-aside'
  | 'log-suspect'
  | 'checkpoint-damaged'
  | 'snapshot-cache-failed'
  | 'disk-low'
  | 'disk-recovered'
  | 'log-directory-offline'

export interface CatalogOptions {
  readonly files: Files
  readonly directory: string
  readonly nodeId: BrokerId
  /** moldau.cluster.id; null takes what the directory says, or makes one. */
  readonly clusterId: string | null
  /** Several nodes make this cluster: a new directory waits for `adoptClusterId`. */
  readonly isOneOfSeveral?: boolean
  readonly clock: StorageClock
  readonly random: { uuid(): Uuid; below(limit: number): number }
  readonly policy: FlushPolicy
  readonly settings: CatalogSettings
  readonly tailCacheBytes: number
  readonly openFilesMax?: number
  readonly bootstrapCheckpoint: () => Uint8Array
  /** Where a failed sync is marked besides the directory itself; best on other disks. */
  readonly markPlaces?: readonly string[]
  readonly openKeyStore?: OpenKeyStore
  readonly onEvent: (level: 'info' | 'warn' | 'error', event: CatalogEvent, data: object) => void
  /** The directory is lost, and this is why; told once, after the mark is written. */
  readonly onOffline: (error: MoldauError) => void
}
