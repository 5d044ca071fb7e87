// Which segments a log may let go (UnifiedLog.deleteOldSegments): by log start offset, by age, by size; always the
// oldest first, stopping at the first that must stay, and never one with records at or above the high watermark.
import type { Offset, TimestampMs } from '../protocol/types.ts'
import type { LogConfig } from './log-config.ts'
import type { Segment } from './segment.ts'
import type { Segments } from './segments.ts'

export interface RetentionView {
  readonly segments: Segments
  readonly logStartOffset: Offset
  readonly logEndOffset: Offset
  readonly highWatermark: Offset
  readonly nowMs: TimestampMs
  /** Asks the batches how old a segment is, since its index may lie; false where they cannot be asked. */
  readonly confirm: (segment: Segment) => boolean
}

/** How many of the oldest segments may go; all of them means that the active one is to be rolled first. */
export function countDeletable(view: RetentionView, config: LogConfig): number {
  const byStart = countWhile(view, (_, end) => end <= view.logStartOffset)
  // A log that only compacts keeps what is not superseded; one with neither policy keeps everything (KIP-1161).
  if (!config.deletes) return byStart
  return Math.max(byStart, countExpired(view, config), countBeyondSize(view, config))
}

function countExpired(view: RetentionView, config: LogConfig): number {
  if (config.retentionMs < 0 || config.retentionMs === Number.POSITIVE_INFINITY) return 0
  const isExpired = (segment: Segment): boolean => view.nowMs - segment.largestTimestamp > config.retentionMs
  return countWhile(view, segment => isExpired(segment) && view.confirm(segment) && isExpired(segment))
}

function countBeyondSize(view: RetentionView, config: LogConfig): number {
  if (config.retentionBytes < 0) return 0
  let excess = view.segments.sizeInBytes - config.retentionBytes
  return countWhile(view, segment => {
    if (excess < segment.sizeInBytes) return false
    excess -= segment.sizeInBytes
    return true
  })
}

function countWhile(view: RetentionView, mayGo: (segment: Segment, end: Offset) => boolean): number {
  let count = 0
  for (;;) {
    const segment = view.segments.at(count)
    if (!segment) return count
    const next = view.segments.at(count + 1)
    const end = next ? next.baseOffset : view.logEndOffset
    // An active segment without records stays: it is where the next batch goes.
    if (!next && segment.sizeInBytes === 0) return count
    if (end > view.highWatermark || !mayGo(segment, end)) return count
    count++
  }
}
