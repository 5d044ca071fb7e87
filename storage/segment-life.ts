// How the segments of a running log come and go.
import { isFailure } from '../protocol/failure.ts'
import type { TimestampMs } from '../protocol/types.ts'
import type { Log } from './log.ts'
import { Segment } from './segment.ts'
import { deleteMarkedFiles, markSegmentDeleted } from './segment-files.ts'

/** An empty segment at the log's end. Its file is there at once: an empty log is known by the name of its segment. */
export function createSegment(log: Log, nowMs: TimestampMs): Segment {
  const { files, openFiles, random } = log.options
  const { segmentMs, segmentJitterMs, preallocate, segmentBytes } = log.config
  const jitterMax = Math.min(segmentJitterMs, segmentMs)
  const rollJitterMs = jitterMax > 0 && jitterMax < 2 ** 31 ? random.below(jitterMax) : 0
  const size = { sizeInBytes: 0, createdMs: nowMs, rollJitterMs }
  const segment = new Segment(files, log.directory, log.logEndOffset, size)
  segment.resetIndexes()
  const fd = openFiles.create(segment.file)
  try {
    if (preallocate) files.ftruncate(fd, segmentBytes)
  } catch (error) {
    openFiles.close(segment.file)
    throw error
  }
  return segment
}

/** Segments that are out of the list: their files go after the directory holds the segment that follows, and after
 *  readers had their time. Until then a crash can bring them back, so what is in them is synced like the rest: a torn one
 *  would end the log. */
export async function retireSegments(log: Log, removed: readonly Segment[]): Promise<void> {
  const { files, openFiles, clock } = log.options
  try {
    await log.flush()
  } catch (error) {
    for (const segment of removed) openFiles.close(segment.file)
    if (isFailure(error, 'ERR_LOG_OFFLINE') || isFailure(error, 'ERR_CLOSED')) return
    throw error
  }
  const place = { files, openFiles, directory: log.directory }
  for (const segment of removed) markSegmentDeleted(place, segment)
  await log.snapshots.deleteBelow(log.segments.first.baseOffset)
  clock.after(log.config.fileDeleteDelayMs, () => {
    // The next start drops what stays; a disk that fails tells so at the next write.
    for (const segment of removed) deleteMarkedFiles(place, segment).catch(() => {})
  })
}
