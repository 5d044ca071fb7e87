// Look-ups by timestamp (LogSegment.findOffsetByTimestamp): the first record at least as new as a timestamp, and the
// newest record. Indexes narrow the search to one segment and a few batches; inside the batch the records are read.
import { lastOffset, maxTimestamp, partitionLeaderEpoch, sizeInBytes } from '../protocol/records/batch.ts'
import { decodeRecords } from '../protocol/records/records.ts'
import type { LeaderEpoch, Offset, TimestampMs } from '../protocol/types.ts'
import type { ReadFrom } from './log-read.ts'
import { positionsIn, slicesOf } from './scan.ts'
import type { Segment } from './segment.ts'
import { trustedPosition } from './trusted-position.ts'

export interface TimestampOffset {
  readonly timestamp: TimestampMs
  readonly offset: Offset
  readonly leaderEpoch: LeaderEpoch
}

const SEARCH_SLICE_BYTES = 128 * 1024

/** The first record with offset >= `from` and timestamp >= `timestamp`, wherever it is. */
export async function findByTimestamp(
  disk: ReadFrom,
  timestamp: TimestampMs,
  from: Offset
): Promise<TimestampOffset | null> {
  let start = from
  let segment = disk.segments.first
  for (;;) {
    const next = disk.segments.at(disk.segments.indexOf(segment) + 1)?.baseOffset
    if (segment.sizeInBytes > 0 && segment.maxTimestamp >= timestamp) {
      const found = await findInSegment(disk, segment, timestamp, start)
      if (found) return found
    }
    if (next === undefined) return null
    // The list may have changed while the disk was asked: retention takes segments away, compaction joins them.
    start = Math.max(start, next)
    segment = disk.segments.at(Math.max(0, disk.segments.floorIndex(next))) as Segment
  }
}

/** The first record that has the largest timestamp of the log. */
export function findNewest(disk: ReadFrom, from: Offset): Promise<TimestampOffset | null> {
  let newest = -1
  for (const segment of disk.segments) newest = Math.max(newest, segment.maxTimestamp)
  return newest < 0 ? Promise.resolve(null) : findByTimestamp(disk, newest, from)
}

async function findInSegment(
  disk: ReadFrom,
  segment: Segment,
  timestamp: TimestampMs,
  from: Offset
): Promise<TimestampOffset | null> {
  const fd = disk.openFiles.pin(segment.file)
  try {
    segment.loadIndexes()
    const start = Math.max(segment.timeIndex.offsetBefore(timestamp), from)
    const position = await trustedPosition(disk.files, fd, segment, start)
    for await (const { buffer } of slicesOf(disk.files, fd, position, segment.writtenBytes, SEARCH_SLICE_BYTES)) {
      for (const at of positionsIn(buffer)) {
        if (lastOffset(buffer, at) < start || maxTimestamp(buffer, at) < timestamp) continue
        const found = findInBatch(buffer.subarray(at, at + sizeInBytes(buffer, at)), timestamp, from)
        if (found) return found
      }
    }
    return null
  } finally {
    disk.openFiles.unpin(segment.file)
  }
}

function findInBatch(batch: Buffer, timestamp: TimestampMs, from: Offset): TimestampOffset | null {
  for (const record of decodeRecords(batch, 0, {})) {
    if (record.timestamp < timestamp || record.offset < from) continue
    return { timestamp: record.timestamp, offset: record.offset, leaderEpoch: partitionLeaderEpoch(batch, 0) }
  }
  return null
}

/** Where the batches that reach `offset` begin in a segment whose indexes are loaded, and what is known of those before
 *  (`newest` only of those behind the last index entry). */
export async function locate(
  disk: ReadFrom,
  segment: Segment,
  offset: Offset
): Promise<{ position: number; newest: { timestamp: TimestampMs; last: Offset }; endOffset: Offset }> {
  const newest = { timestamp: -1, last: segment.baseOffset }
  let endOffset = segment.baseOffset
  const fd = disk.openFiles.pin(segment.file)
  let position = 0
  try {
    position = await trustedPosition(disk.files, fd, segment, offset - 1)
    for await (const slice of slicesOf(disk.files, fd, position, segment.writtenBytes)) {
      for (const at of positionsIn(slice.buffer)) {
        const last = lastOffset(slice.buffer, at)
        if (last >= offset) return { position, newest, endOffset }
        const timestamp = maxTimestamp(slice.buffer, at)
        if (timestamp > newest.timestamp) {
          newest.timestamp = timestamp
          newest.last = last
        }
        position = slice.position + at + sizeInBytes(slice.buffer, at)
        endOffset = last + 1
      }
    }
  } finally {
    disk.openFiles.unpin(segment.file)
  }
  return { position, newest, endOffset }
}
