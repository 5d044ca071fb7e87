// Before records are let go for their age: what a time index says, if the batch that it names bears it out. Index files have
// no checksum; a bit that flipped in one would make a segment look as old as the world, and its leader would take all
// replicas' records away with it.
import { isFailure } from '../protocol/failure.ts'
import { BATCH_HEADER_BYTES, lastOffset, MAGIC, magic, maxTimestamp, sizeInBytes } from '../protocol/records/batch.ts'
import type { Offset, TimestampMs } from '../protocol/types.ts'
import type { Files } from './files.ts'
import type { LogOptions } from './log-options.ts'
import type { Segment } from './segment.ts'
import { bearsOut, entryBefore } from './trusted-position.ts'

type Reading = Pick<LogOptions, 'files' | 'onReadFailure'>

/** Looks at the batch that the segment's largest timestamp is said to be of; where it has another, at all batches, which
 *  then say what it is. False where the file cannot be read. All batches must be in it. */
export function isAgeConfirmed({ files, onReadFailure }: Reading, segment: Segment): boolean {
  try {
    const fd = files.open(segment.file.path, 'read')
    try {
      const { maxTimestamp: claimed, maxTimestampOffset: offset } = segment
      if (timestampAt(files, fd, segment, offset) !== claimed) segment.correctTimestamp(largestOf(files, fd, segment))
    } finally {
      files.close(fd)
    }
    return true
  } catch (error) {
    if (!isFailure(error)) throw error
    onReadFailure?.(error)
    return false
  }
}

/** Of the batch that ends at `offset`; null where none does. */
function timestampAt(files: Files, fd: number, segment: Segment, offset: Offset): TimestampMs | null {
  segment.loadIndexes()
  const entry = entryBefore(segment, offset)
  for (const { header, position } of headersFrom(files, fd, segment, entry?.position ?? 0)) {
    if (entry?.position === position && !bearsOut(header, segment, entry)) return null
    const last = lastOffset(header, 0)
    if (last >= offset) return last === offset ? maxTimestamp(header, 0) : null
  }
  return null
}

function largestOf(files: Files, fd: number, segment: Segment): { timestamp: TimestampMs; offset: Offset } {
  const largest = { timestamp: -1, offset: segment.baseOffset }
  for (const { header } of headersFrom(files, fd, segment, 0)) {
    const timestamp = maxTimestamp(header, 0)
    if (timestamp > largest.timestamp) Object.assign(largest, { timestamp, offset: lastOffset(header, 0) })
  }
  return largest
}

function* headersFrom(files: Files, fd: number, segment: Segment, from: number) {
  const header = Buffer.allocUnsafe(BATCH_HEADER_BYTES)
  for (let position = from; position + BATCH_HEADER_BYTES <= segment.writtenBytes; ) {
    if (files.readSync(fd, header, position) < BATCH_HEADER_BYTES) return
    const size = sizeInBytes(header, 0)
    if (magic(header, 0) !== MAGIC || size < BATCH_HEADER_BYTES) return
    yield { header, position }
    position += size
  }
}
