// What a log is given when it is opened: its place, its settings, what is known of it from the last life, and the parts
// of the broker that all logs share.
import type { MoldauError } from '../protocol/failure.ts'
import type { Offset, TopicPartition, Uuid } from '../protocol/types.ts'
import type { ActiveSegment } from './checkpoints.ts'
import type { Files } from './files.ts'
import type { LogConfig } from './log-config.ts'
import type { FailedOperation, FlushPolicy } from './log-writer.ts'
import type { OpenFiles } from './open-files.ts'
import type { StorageClock } from './storage-clock.ts'
import type { TailCache } from './tail-cache.ts'

/** What all logs of one broker share. */
export interface SharedStorage {
  readonly files: Files
  readonly openFiles: OpenFiles
  readonly tailCache: TailCache
  readonly clock: StorageClock
  readonly random: { below(limit: number): number }
  readonly policy: FlushPolicy
  /** Below the reserve of the disk: client appends are refused before an offset is given. */
  readonly diskSpace: { readonly isLow: boolean; note?(bytes: number): void }
}

/** A write or sync of this log that the system refused: it is offline, and told once. */
export interface LogFailure {
  readonly error: MoldauError
  readonly operation: FailedOperation
  /** Up to here the log was synced; after a failed sync what lies beyond is not to be believed (durability rule 5). */
  readonly durableEndOffset: Offset
}

export interface LogOptions extends SharedStorage {
  readonly directory: string
  readonly topicPartition: TopicPartition
  readonly topicId: Uuid | null
  readonly config: LogConfig
  /** producer.id.expiration.ms */
  readonly producerIdExpirationMs: number
  /** Everything below was durable: log, indexes, epochs and a producer snapshot. 0 where it is not known. */
  readonly recoveryPoint: Offset
  readonly logStartOffset: Offset
  /** The broker stopped in order: the recovery point is the log's end. */
  readonly cleanShutdown: boolean
  /** A recorded lower bound of what was synced: a log that ends below it is corrupt, not torn. */
  readonly syncedEnd?: Offset
  /** The last segment as it was recorded: where it is not so after a clean stop, somebody else was at work. */
  readonly activeWas?: ActiveSegment
  /** A sync of this log failed in its last life: what the page cache shows may not be on the disk, so what lies behind
   *  the recovery point is copied to new files. */
  readonly isSuspect?: boolean
  /** What recovery walked and left as it was is synced after the log is open, by a flush or with its first batch: until
   *  then nothing of it counts as synced. Otherwise the log is open when that is done. */
  readonly syncsLater?: boolean
  /** The metadata log: its syncs go before all others. */
  readonly isUrgent?: boolean
  /** A checkpoint is taken after so many bytes of appends (64 MiB), under group commit, whatever comes at its time. */
  readonly checkpointBytes?: number
  /** Of a log that is not on the disk yet: makes its directory and its first file, durably. Called before the first batch
   *  is written; a log that never gets one costs the disk nothing. */
  readonly make?: () => Promise<void>
  readonly onFailure: (failure: LogFailure) => void
  /** A read that the system refused; the log stays online. */
  readonly onReadFailure?: (error: MoldauError) => void
  /** The recovery point has moved by itself (a roll): worth recording soon. */
  readonly onRecoveryPoint?: (recoveryPoint: Offset) => void
  /** Must durably lower the recorded recovery point and synced end to `to` before it resolves. */
  readonly beforeTruncation?: (to: Offset) => Promise<void>
}
