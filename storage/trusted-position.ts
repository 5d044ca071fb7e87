// Where a search in a segment file begins: as the offset index says, if the batch that lies there bears it out. Index files
// have no checksum; a bit that flipped in one would make a reader pass over records without a word. Entries that lie are
// dropped, which costs a longer way from the one before; what they point at can be trusted, as it has a checksum.
import { BATCH_HEADER_BYTES, baseOffset, lastOffset, MAGIC, magic, sizeInBytes } from '../protocol/records/batch.ts'
import type { Offset } from '../protocol/types.ts'
import type { Files } from './files.ts'
import type { IndexedPosition } from './offset-index.ts'
import type { Segment } from './segment.ts'

/** A position at or before the batch that holds `offset`, looked at. */
export async function trustedPosition(files: Files, fd: number, segment: Segment, offset: Offset): Promise<number> {
  const header = Buffer.allocUnsafe(BATCH_HEADER_BYTES)
  for (;;) {
    const entry = entryBefore(segment, offset)
    if (entry === null) return 0
    // Queued, and not in the file yet.
    if (entry.position >= segment.writtenBytes) return entry.position
    const bytes = header.subarray(0, await files.read(fd, header, entry.position))
    if (bearsOut(bytes, segment, entry)) return entry.position
    segment.offsetIndex.distrust(entry)
  }
}

/** The entry to begin at, without a look at the file; null: at the segment's start. */
export function entryBefore(segment: Segment, offset: Offset): IndexedPosition | null {
  for (;;) {
    const entry = segment.offsetIndex.entryBefore(offset)
    if (entry === null || entry.position < segment.sizeInBytes) return entry
    segment.offsetIndex.distrust(entry)
  }
}

/** Whether a batch begins here that does not lie beyond what its entry says. (One that is smaller is no lie: an entry may
 *  stand for several batches that were appended together.) */
export function bearsOut(bytes: Buffer, { baseOffset: first }: Segment, { offset }: IndexedPosition): boolean {
  return (
    bytes.length >= BATCH_HEADER_BYTES &&
    magic(bytes, 0) === MAGIC &&
    sizeInBytes(bytes, 0) >= BATCH_HEADER_BYTES &&
    baseOffset(bytes, 0) >= first &&
    lastOffset(bytes, 0) <= offset
  )
}
