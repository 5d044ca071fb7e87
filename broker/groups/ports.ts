// What the group coordinator needs of the broker around it: given to it by constructor, so that it runs as well on a
// simulated clock and a log in memory. Structural, so that nothing here depends on how the broker is built.
import type { LeaderEpoch, Offset, TimestampMs, Uuid } from '../../protocol/types.ts'

/** One partition of __consumer_offsets, led or followed by this broker; the same object for one log. */
export interface CoordinatorLog {
  /** A topic that was deleted and made again is another one. */
  readonly topicId: Uuid
  /** Appends one batch and gives the log end offset after it. Throws MoldauError; then nothing was appended. */
  append(batch: Buffer): Offset
  readonly logStartOffset: Offset
  readonly logEndOffset: Offset
  readonly highWatermark: Offset
  readonly leaderEpoch: LeaderEpoch
  /** For how long a tombstone stays at least after it was written: delete.retention.ms. */
  readonly deleteRetentionMs: number
  /** Calls `fn` when the high watermark moved; the answer ends that. */
  onHighWatermark(fn: () => void): () => void
  /** Whole batches from the one that holds `from` to the last below `upto`. */
  batches(from: Offset, upto: Offset): AsyncIterable<Buffer>
  /** Whether the records below `offset` end in this epoch here: a snapshot of another history is dropped. */
  holds(offset: Offset, leaderEpoch: LeaderEpoch): boolean
  /** The epoch in which the records below `offset` end here, -1 where that is not known. */
  epochBefore(offset: Offset): LeaderEpoch
}

export interface GroupClock {
  nowMs(): TimestampMs
  monotonicMs(): number
  after(ms: number, fn: () => void): { cancel(): void }
  endOfTurn(fn: () => void): void
}

export interface GroupLogger {
  info(data: object, message: string): void
  warn(data: object, message: string): void
  error(data: object, message: string): void
}

/** A cache that survives a restart; losing any part of it costs time only. */
export interface Snapshots {
  get(key: string): unknown
  put(key: string, value: unknown): unknown
}

/** Settings by getter: all but the two session limits and the size may change while the broker runs. */
export interface GroupSettings {
  readonly minSessionTimeoutMs: number
  readonly maxSessionTimeoutMs: number
  readonly initialRebalanceDelayMs: number
  readonly maxSize: number
  readonly offsetMetadataMax: number
  readonly offsetsRetentionMs: number
  readonly retentionCheckIntervalMs: number
  readonly commitTimeoutMs: number
}

type Key =
  | 'group.min.session.timeout.ms'
  | 'group.max.session.timeout.ms'
  | 'group.initial.rebalance.delay.ms'
  | 'group.max.size'
  | 'offset.metadata.max.bytes'
  | 'offsets.retention.minutes'
  | 'offsets.retention.check.interval.ms'
  | 'offsets.commit.timeout.ms'

/** The coordinator's settings, read from the broker's at each use. */
export function groupSettings(get: (key: Key) => number): GroupSettings {
  return {
    get minSessionTimeoutMs() {
      return get('group.min.session.timeout.ms')
    },
    get maxSessionTimeoutMs() {
      return get('group.max.session.timeout.ms')
    },
    get initialRebalanceDelayMs() {
      return get('group.initial.rebalance.delay.ms')
    },
    get maxSize() {
      return get('group.max.size')
    },
    get offsetMetadataMax() {
      return get('offset.metadata.max.bytes')
    },
    get offsetsRetentionMs() {
      return get('offsets.retention.minutes') * 60_000
    },
    get retentionCheckIntervalMs() {
      return get('offsets.retention.check.interval.ms')
    },
    get commitTimeoutMs() {
      return get('offsets.commit.timeout.ms')
    }
  }
}
