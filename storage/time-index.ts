// The time index of a segment (TimeIndex.java): 12-byte entries {int64 timestamp, int32 offset - base}: the largest
// timestamp so far and the last offset of the batch that has it. Timestamps grow strictly. When a segment rolls or is
// closed its largest timestamp is always the last entry.
import type { Offset, TimestampMs } from '../protocol/types.ts'
import type { Files } from './files.ts'
import { IndexFile } from './index-file.ts'

export const TIME_ENTRY_BYTES = 12

export class TimeIndex extends IndexFile {
  readonly baseOffset: Offset

  constructor(files: Files, path: string, baseOffset: Offset) {
    super(files, path, TIME_ENTRY_BYTES)
    this.baseOffset = baseOffset
  }

  protected override isOrdered(bytes: Buffer, index: number): boolean {
    const at = index * TIME_ENTRY_BYTES
    const relative = bytes.readInt32BE(at + 8)
    if (index === 0) return relative >= 0 && (relative > 0 || readTimestamp(bytes, at) > 0)
    return (
      readTimestamp(bytes, at) > readTimestamp(bytes, at - TIME_ENTRY_BYTES) && relative >= bytes.readInt32BE(at - 4)
    )
  }

  /** Adds an entry unless an earlier one has as large a timestamp. */
  append(timestamp: TimestampMs, offset: Offset): void {
    if (timestamp <= this.last().timestamp) return
    const at = this.push()
    this.bytes.writeBigInt64BE(BigInt(timestamp), at)
    this.bytes.writeInt32BE(offset - this.baseOffset, at + 8)
  }

  entry(index: number): { timestamp: TimestampMs; offset: Offset } {
    const at = index * TIME_ENTRY_BYTES
    return { timestamp: readTimestamp(this.bytes, at), offset: this.baseOffset + this.bytes.readInt32BE(at + 8) }
  }

  last(): { timestamp: TimestampMs; offset: Offset } {
    return this.count === 0 ? { timestamp: -1, offset: this.baseOffset } : this.entry(this.count - 1)
  }

  /** Every batch before the one that holds this offset is older than `timestamp`. */
  offsetBefore(timestamp: TimestampMs): Offset {
    let low = -1
    let high = this.count - 1
    while (low < high) {
      const middle = (low + high + 1) >> 1
      // An entry with the very timestamp names the first batch that has it: batches before are older.
      if (readTimestamp(this.bytes, middle * TIME_ENTRY_BYTES) <= timestamp) low = middle
      else high = middle - 1
    }
    return low < 0 ? this.baseOffset : this.entry(low).offset
  }

  /** Drops the entries at and beyond `offset`. */
  truncateTo(offset: Offset): void {
    let count = this.count
    while (count > 0 && this.entry(count - 1).offset >= offset) count--
    this.cutTo(count)
  }
}

/** Timestamps are safe integers: the high half times 2^32 plus the low half is exact, and four times as fast as BigInt. */
function readTimestamp(bytes: Buffer, at: number): TimestampMs {
  return bytes.readInt32BE(at) * 2 ** 32 + bytes.readUInt32BE(at + 4)
}
