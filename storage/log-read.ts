// Reads that the tail cache cannot answer: whole batches out of the segment files, into memory that is used again when it
// has been sent. Who reads on where he ended is led there without the index. A read that was overtaken by a truncation is
// begun again by the log, which sees that its generation has changed.
import { MoldauError } from '../protocol/failure.ts'
import { memoryPool } from '../protocol/memory-pool.ts'
import { BATCH_HEADER_BYTES, lastOffset, sizeInBytes } from '../protocol/records/batch.ts'
import type { Offset } from '../protocol/types.ts'
import type { Files } from './files.ts'
import type { OpenFiles } from './open-files.ts'
import type { ReadOptions, ReadResult } from './read-result.ts'
import type { Segment } from './segment.ts'
import type { Segments } from './segments.ts'
import { bearsOut, entryBefore } from './trusted-position.ts'

/** No single read takes more, whatever the client asks for. */
const READ_BYTES_MAX = 8 * 1024 * 1024
/** The pool has slabs of their own for larger pieces. */
const POOLED_BYTES_MIN = 512 * 1024 + 1

export interface ReadFrom {
  readonly files: Files
  readonly openFiles: OpenFiles
  readonly segments: Segments
  readonly indexIntervalBytes: number
  /** The log's end, as it is when it is asked. */
  readonly logEndOffset: () => Offset
}

/** Where in which file a batch begins. */
export interface Place {
  readonly segment: Segment
  readonly position: number
}

export interface DiskRead {
  readonly result: ReadResult
  /** Where the batch after the result begins; null when there is no result. */
  readonly next: Place | null
}

/** Batches from the one that holds `from` on; all of one segment, which must be written to its file. `known`: where that
 *  batch begins, if a read before ended there. */
export async function readFromDisk(
  disk: ReadFrom,
  from: Offset,
  o: ReadOptions,
  known: Place | null = null
): Promise<DiskRead> {
  let index = Math.max(0, disk.segments.floorIndex(from))
  for (;;) {
    const segment = disk.segments.at(index)
    if (!segment) return nothing(from)
    const next = disk.segments.at(index + 1)?.baseOffset
    const start = known?.segment === segment ? known.position : null
    const read = await readSegment(disk, segment, from, { limit: () => next ?? disk.logEndOffset(), start }, o)
    if (read) return read
    if (next === undefined) return nothing(from)
    // The list may have changed while the disk was asked: what came next may have been joined to what was before.
    index = Math.max(0, disk.segments.floorIndex(next))
  }
}

function nothing(from: Offset): DiskRead {
  return { result: { records: [], sizeInBytes: 0, endOffset: from }, next: null }
}

/** Null when the segment ends before `from`, as it can after compaction. No batch of it reaches `limit`. */
async function readSegment(
  disk: ReadFrom,
  segment: Segment,
  from: Offset,
  { limit, start }: { limit: () => Offset; start: number | null },
  o: ReadOptions
): Promise<DiskRead | null> {
  if (segment.sizeInBytes === 0) return null
  const fd = disk.openFiles.pin(segment.file)
  try {
    segment.loadIndexes()
    let entry = start === null ? entryBefore(segment, from) : null
    let position = start ?? entry?.position ?? 0
    // What is read before the batch comes on top of what is given.
    const wanted = Math.min(o.maxBytes, READ_BYTES_MAX) + (start === null ? disk.indexIntervalBytes : 0)
    let size = Math.max(wanted, BATCH_HEADER_BYTES)
    while (position < segment.writtenBytes) {
      const buffer = memoryFor(Math.min(size, segment.writtenBytes - position), o)
      try {
        const bytes = buffer.subarray(0, await disk.files.read(fd, buffer, position))
        if (entry !== null && !bearsOut(bytes, segment, entry)) {
          segment.offsetIndex.distrust(entry)
          entry = entryBefore(segment, from)
          position = entry?.position ?? 0
          continue
        }
        entry = null
        const found = pick(bytes, from, o)
        if (found.kind === 'batches') return given(found, segment, position, o)
        if (found.kind === 'end') {
          if (found.last >= limit()) throw unreadable(segment, position)
          return nothing(from)
        }
        position += found.skipped
        if (found.needed > segment.writtenBytes - position) throw unreadable(segment, position)
        size = Math.max(wanted, found.needed)
        if (bytes.length < buffer.length && found.skipped === 0) throw unreadable(segment, position)
      } finally {
        if (o.holds) memoryPool.letGo(buffer)
      }
    }
    return null
  } finally {
    disk.openFiles.unpin(segment.file)
  }
}

/** From the pool where the reader says when he is done with it. Small reads get memory of their own: a slow peer with
 *  little to take must not hold a slab that others have filled. */
function memoryFor(size: number, o: ReadOptions): Buffer {
  return o.holds && size >= POOLED_BYTES_MIN ? memoryPool.take(size) : Buffer.allocUnsafeSlow(size)
}

function given(found: Found & { kind: 'batches' }, segment: Segment, position: number, o: ReadOptions): DiskRead {
  if (o.holds) memoryPool.hold(found.result.records[0] as Buffer, o.holds)
  return { result: found.result, next: { segment, position: position + found.end } }
}

type Found =
  /** `end`: how far into the bytes. */
  | { kind: 'batches'; result: ReadResult; end: number }
  /** The batch at `from` may not be given: beyond `upto`, or too large. */
  | { kind: 'end'; last: Offset }
  /** Nothing at or beyond `from` in these bytes: go on `skipped` bytes later, with at least `needed` bytes. */
  | { kind: 'more'; skipped: number; needed: number }

function pick(bytes: Buffer, from: Offset, o: ReadOptions): Found {
  let at = 0
  while (bytes.length - at >= BATCH_HEADER_BYTES && lastOffset(bytes, at) < from) {
    const size = sizeInBytes(bytes, at)
    if (size < BATCH_HEADER_BYTES) return { kind: 'more', skipped: at, needed: Number.POSITIVE_INFINITY }
    if (size > bytes.length - at) return { kind: 'more', skipped: at + size, needed: 0 }
    at += size
  }
  if (bytes.length - at < BATCH_HEADER_BYTES) return { kind: 'more', skipped: at, needed: BATCH_HEADER_BYTES }
  const first = sizeInBytes(bytes, at)
  if (first < BATCH_HEADER_BYTES) return { kind: 'more', skipped: at, needed: Number.POSITIVE_INFINITY }
  const reaches = lastOffset(bytes, at)
  if (reaches >= o.upto || (first > o.maxBytes && !o.minOneMessage)) return { kind: 'end', last: reaches }
  if (first > bytes.length - at) return { kind: 'more', skipped: at, needed: first }
  let end = at
  let endOffset = from
  while (bytes.length - end >= BATCH_HEADER_BYTES) {
    const size = sizeInBytes(bytes, end)
    if (size < BATCH_HEADER_BYTES || size > bytes.length - end) break
    const last = lastOffset(bytes, end)
    if (last >= o.upto || (end + size - at > o.maxBytes && end > at)) break
    end += size
    endOffset = last + 1
  }
  return { kind: 'batches', result: { records: [bytes.subarray(at, end)], sizeInBytes: end - at, endOffset }, end }
}

function unreadable(segment: Segment, position: number): MoldauError {
  return new MoldauError('ERR_LOG_CORRUPT', `no whole batch at position ${position} of ${segment.file.path}`)
}
