// Cutting a log back, to an offset or to nothing at another start. Where the cut falls is found first; then the recorded
// recovery point and synced end go down, durably; then the files; and only when the cut itself is durable does the log
// take appends again: else old bytes could come back after a crash under offsets that were given anew.

import { isFailure } from '../protocol/failure.ts'
import { lastOffset, sizeInBytes } from '../protocol/records/batch.ts'
import type { Offset, TimestampMs } from '../protocol/types.ts'
import type { Log } from './log.ts'
import { locate } from './log-times.ts'
import { positionsIn, slicesOf } from './scan.ts'
import { Segment } from './segment.ts'
import { deleteSegmentFiles } from './segment-files.ts'
import { trustedPosition } from './trusted-position.ts'

/** Where a log is to be cut: everything behind `position` of the segment at `index`, and all segments after it. */
export interface Cut {
  readonly index: number
  readonly position: number
  /** After the last batch that stays. */
  readonly end: Offset
  readonly newest: { readonly timestamp: TimestampMs; readonly last: Offset }
}

/** Batches that reach `offset` go, as a whole. */
export async function planCut(log: Log, offset: Offset): Promise<Cut> {
  const index = Math.max(0, log.segments.floorIndex(offset - 1))
  const segment = log.segments.at(index) as Segment
  segment.loadIndexes()
  const found = await locate(log.disk, segment, offset)
  return { index, position: found.position, end: found.endOffset, newest: found.newest }
}

export async function performCut(log: Log, cut: Cut): Promise<void> {
  const { segments } = log
  const { files, openFiles, isUrgent } = log.options
  const place = { files, openFiles, directory: log.directory }
  for (const segment of segments.replace(cut.index + 1, segments.count - cut.index - 1).reverse()) {
    await deleteSegmentFiles(place, segment)
  }
  const { active } = segments
  active.truncate(cut.end, cut.position)
  if (cut.newest.timestamp >= 0) active.noteTimestamp(cut.newest.last, cut.newest.timestamp)
  // The recovery point may now be this very end, and what lies below it is not looked at again.
  active.seal()
  active.writeIndexes()
  const fd = openFiles.pin(active.file)
  try {
    files.ftruncate(fd, cut.position)
    await files.fdatasync(fd, isUrgent)
    await active.syncIndexes(isUrgent ?? false)
  } finally {
    openFiles.unpin(active.file)
  }
  await files.syncDirectory(log.directory)
}

/** All segments go; one empty segment at `offset` stays. It is there before the first of the others goes, and they go
 *  oldest first: at any moment what a crash leaves is either the old end, or the new start. */
export async function replaceAll(log: Log, offset: Offset): Promise<void> {
  const { files, openFiles, clock, isUrgent } = log.options
  const place = { files, openFiles, directory: log.directory }
  const size = { sizeInBytes: 0, createdMs: clock.nowMs(), rollJitterMs: 0 }
  const segment = new Segment(files, log.directory, offset, size)
  segment.resetIndexes()
  const replaced = log.segments.replace(0, log.segments.count, [segment])
  for (const old of replaced) openFiles.close(old.file)
  openFiles.create(segment.file)
  const fd = openFiles.pin(segment.file)
  try {
    files.ftruncate(fd, 0)
    await files.fdatasync(fd, isUrgent)
  } finally {
    openFiles.unpin(segment.file)
  }
  await files.syncDirectory(log.directory)
  for (const old of replaced) if (old.baseOffset !== offset) await deleteSegmentFiles(place, old)
  await files.syncDirectory(log.directory)
}

/** The producers as all batches below the log's end leave them: from the newest snapshot that can be read. */
export async function rebuildProducers(log: Log, end: Offset): Promise<void> {
  const from = await loadSnapshot(log, end)
  const { files, openFiles } = log.options
  for (const segment of log.segments) {
    const next = log.segments.at(log.segments.indexOf(segment) + 1)
    if (next && next.baseOffset <= from) continue
    const fd = openFiles.pin(segment.file)
    try {
      segment.loadIndexes()
      const position = await trustedPosition(files, fd, segment, from)
      for await (const { buffer } of slicesOf(files, fd, position, segment.writtenBytes)) {
        for (const at of positionsIn(buffer)) {
          if (lastOffset(buffer, at) < from) continue
          log.producers.update(buffer.subarray(at, at + sizeInBytes(buffer, at)), 0)
        }
      }
    } finally {
      openFiles.unpin(segment.file)
    }
  }
}

async function loadSnapshot(log: Log, end: Offset): Promise<Offset> {
  for (const offset of log.snapshots.atOrBelow(end)) {
    // The batches between an older one and the first segment are gone: it would be stale.
    if (offset < log.segments.first.baseOffset) break
    const bytes = await log.snapshots.read(offset)
    try {
      if (bytes) log.producers.readSnapshot(bytes, offset)
      if (bytes) return offset
    } catch (error) {
      if (!isFailure(error, 'ERR_MALFORMED')) throw error
    }
  }
  log.producers.clear()
  return log.segments.first.baseOffset
}
