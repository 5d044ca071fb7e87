// The offset index of a segment (OffsetIndex.java): 8-byte entries {int32 offset - base, int32 position}, one for each
// index.interval.bytes or so. The key is the LAST offset of the batch that begins at the position, so the batch that
// holds an offset begins at or after the entry found for it.
import assert from 'node:assert/strict'
import type { Offset } from '../protocol/types.ts'
import type { Files } from './files.ts'
import { IndexFile } from './index-file.ts'

export const OFFSET_ENTRY_BYTES = 8

export interface IndexedPosition {
  readonly index: number
  /** The last offset of the batch at the position. */
  readonly offset: Offset
  readonly position: number
}

const RELATIVE_MAX = 2 ** 31 - 1

export class OffsetIndex extends IndexFile {
  readonly baseOffset: Offset

  constructor(files: Files, path: string, baseOffset: Offset) {
    super(files, path, OFFSET_ENTRY_BYTES)
    this.baseOffset = baseOffset
  }

  protected override isOrdered(bytes: Buffer, index: number): boolean {
    const at = index * OFFSET_ENTRY_BYTES
    const relative = bytes.readInt32BE(at)
    const position = bytes.readInt32BE(at + 4)
    if (index === 0) return relative >= 0 && position >= 0 && (relative > 0 || position > 0)
    return relative > bytes.readInt32BE(at - 8) && position > bytes.readInt32BE(at - 4)
  }

  canHold(offset: Offset): boolean {
    return offset >= this.baseOffset && offset - this.baseOffset <= RELATIVE_MAX
  }

  append(offset: Offset, position: number): void {
    assert(this.canHold(offset))
    const at = this.push()
    this.bytes.writeInt32BE(offset - this.baseOffset, at)
    this.bytes.writeInt32BE(position, at + 4)
  }

  entry(index: number): { offset: Offset; position: number } {
    const at = index * OFFSET_ENTRY_BYTES
    return { offset: this.baseOffset + this.bytes.readInt32BE(at), position: this.bytes.readInt32BE(at + 4) }
  }

  /** A position at or before the batch that holds `offset`; 0 when no entry is at or below it. */
  positionBefore(offset: Offset): number {
    return this.entryBefore(offset)?.position ?? 0
  }

  /** The entry whose batch is at or before the one that holds `offset`; null when there is none. */
  entryBefore(offset: Offset): IndexedPosition | null {
    const index = this.#lastAtOrBelow(offset)
    return index < 0 ? null : { index, ...this.entry(index) }
  }

  /** What the file holds there is not what the entry says: it goes, and those behind it. */
  distrust({ index, offset, position }: IndexedPosition): void {
    if (index >= this.count) return
    const found = this.entry(index)
    // The log may have been cut meanwhile, and have grown again.
    if (found.offset === offset && found.position === position) this.cutTo(index)
  }

  /** Drops the entries at and beyond `offset`. */
  truncateTo(offset: Offset): void {
    this.cutTo(this.#lastAtOrBelow(offset - 1) + 1)
  }

  #lastAtOrBelow(offset: Offset): number {
    const bytes = this.bytes
    const relative = offset - this.baseOffset
    let low = -1
    let high = this.count - 1
    while (low < high) {
      const middle = (low + high + 1) >> 1
      if (bytes.readInt32BE(middle * OFFSET_ENTRY_BYTES) <= relative) low = middle
      else high = middle - 1
    }
    return low
  }
}
