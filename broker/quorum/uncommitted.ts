// What the own log holds beyond the committed image: decoded once, when it is appended, fetched or loaded, and taken from
// here when the high watermark has passed it, or dropped when the log is cut. Bounded by what can be uncommitted.

import type { Offset, TimestampMs } from '../../protocol/types.ts'
import type { MetadataRecord } from '../../replication/metadata/records.ts'

export interface Uncommitted {
  /** The offset after its last record. */
  readonly endOffset: Offset
  readonly maxTimestamp: TimestampMs
  readonly sizeInBytes: number
  /** Empty for a control batch. */
  readonly records: readonly MetadataRecord[]
}

export class UncommittedBatches {
  #batches: Uncommitted[] = []

  push(batch: Uncommitted): void {
    this.#batches.push(batch)
  }

  /** Those that end at or below `offset`: they are committed now. */
  take(offset: Offset): Uncommitted[] {
    const length = this.#batches.findIndex(batch => batch.endOffset > offset)
    return this.#batches.splice(0, length < 0 ? this.#batches.length : length)
  }

  /** The log ends at `offset` now. */
  truncateTo(offset: Offset): void {
    this.#batches = this.#batches.filter(batch => batch.endOffset <= offset)
  }

  clear(): void {
    this.#batches = []
  }
}
