// The walk of recovery through one segment: every batch checked, its books kept again as if it were appended. Begins at
// the last index entry below the offset from which nothing is believed, provided that the entry proves right.

import { isFailure } from '../protocol/failure.ts'
import {
  BATCH_HEADER_BYTES,
  baseOffset,
  checkBatch,
  lastOffset,
  maxTimestamp,
  sizeInBytes
} from '../protocol/records/batch.ts'
import type { Offset } from '../protocol/types.ts'
import type { Files } from './files.ts'
import type { LogConfig } from './log-config.ts'
import type { OpenFiles } from './open-files.ts'
import { positionsIn, slicesOf } from './scan.ts'
import type { Segment } from './segment.ts'

/** So little is read at once: a trip to the thread pool costs more, and a start walks thousands of logs. */
const SMALL_BYTES = 4096

interface WalkOptions {
  readonly files: Files
  readonly openFiles: OpenFiles
  readonly config: LogConfig
}

/** Gives the offset after the last sound batch (the segment's base where there is none); the segment's size is then the
 *  end of that batch, whatever else the file holds. */
export async function walkSegment(
  o: WalkOptions,
  segment: Segment,
  from: Offset,
  visit: (buffer: Buffer, at: number, last: Offset) => void
): Promise<Offset> {
  const fileSize = segment.sizeInBytes
  const fd = o.openFiles.pin(segment.file)
  try {
    const position = resume(o.files, fd, segment, from)
    let expected = segment.baseOffset
    for await (const { buffer } of slicesOf(o.files, fd, position, fileSize, undefined, SMALL_BYTES)) {
      for (const at of positionsIn(buffer)) {
        if (!isSound(buffer, at, expected, segment)) return finish(segment, expected)
        const last = lastOffset(buffer, at)
        segment.note(last, maxTimestamp(buffer, at), sizeInBytes(buffer, at), o.config.indexIntervalBytes)
        visit(buffer, at, last)
        expected = last + 1
      }
    }
    return finish(segment, expected)
  } finally {
    o.openFiles.unpin(segment.file)
  }
}

function finish(segment: Segment, end: Offset): Offset {
  segment.writtenBytes = segment.sizeInBytes
  return end
}

/** Sets the books back to the last entry below `from` that proves right, else to nothing; gives the position. */
function resume(files: Files, fd: number, segment: Segment, from: Offset): number {
  if (from > segment.baseOffset) {
    segment.loadIndexes()
    segment.offsetIndex.truncateTo(from)
    const count = segment.offsetIndex.count
    const isBroken = segment.offsetIndex.isBroken || segment.timeIndex.isBroken
    if (count > 0 && !isBroken) {
      const { offset, position } = segment.offsetIndex.entry(count - 1)
      const header = Buffer.alloc(BATCH_HEADER_BYTES)
      const isWhole = files.readSync(fd, header, position) === BATCH_HEADER_BYTES
      if (isWhole && lastOffset(header, 0) === offset) {
        segment.truncate(from, position)
        return position
      }
    }
  }
  segment.restart()
  return 0
}

function isSound(buffer: Buffer, at: number, expected: Offset, segment: Segment): boolean {
  try {
    checkBatch(buffer, at)
  } catch (error) {
    if (isFailure(error, 'ERR_CORRUPT_BATCH')) return false
    throw error
  }
  const last = lastOffset(buffer, at)
  return baseOffset(buffer, at) >= expected && last >= baseOffset(buffer, at) && segment.offsetIndex.canHold(last)
}
