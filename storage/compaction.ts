// What compaction decides, without any I/O: which stretch of a log may be cleaned, which segments become one, which records
// of a batch stay. What must hold: of every key the newest record stays; offsets never change; a tombstone stays until
// its horizon, counted from the first cleaning that saw it, has passed (KIP-534). Rules: Kafka's Cleaner.java,
// LogCleanerManager.java and MemoryRecords.filterTo.
import {
  baseOffset,
  baseSequence,
  baseTimestamp,
  compressionOf,
  hasDeleteHorizon,
  isControl,
  isTransactional,
  lastOffset,
  lastOffsetDelta,
  maxTimestamp,
  NO_TIMESTAMP,
  partitionLeaderEpoch,
  producerEpoch,
  producerId,
  sizeInBytes,
  timestampTypeOf
} from '../protocol/records/batch.ts'
import { type BatchFrame, RecordsWriter, sealBatch } from '../protocol/records/builder.ts'
import { RecordCursor } from '../protocol/records/records.ts'
import type { Offset, TimestampMs } from '../protocol/types.ts'
import type { LogConfig } from './log-config.ts'
import type { OffsetMap } from './offset-map.ts'
import type { ProducerStates } from './producers.ts'

/** A segment as far as the decisions need it. */
export interface SegmentView {
  readonly baseOffset: Offset
  readonly sizeInBytes: number
  readonly largestTimestamp: TimestampMs
  /** Of its first batch, -1 without one. */
  readonly firstTimestamp: TimestampMs
  readonly indexSizeInBytes: number
}

export interface LogView<S extends SegmentView = SegmentView> {
  /** All but the active one. */
  readonly closed: readonly S[]
  readonly activeBaseOffset: Offset
  readonly logStartOffset: Offset
  readonly logEndOffset: Offset
  /** Nothing at or beyond it is touched: high watermark, first open transaction, recovery point. */
  readonly stableOffset: Offset
}

/** What could be cleaned in one log, and how much it is worth. */
export interface Cleanable {
  /** Everything below was cleaned before. */
  readonly firstDirtyOffset: Offset
  readonly firstUncleanableOffset: Offset
  /** Dirty bytes by all bytes, of what may be touched. */
  readonly dirtyRatio: number
  readonly cleanableBytes: number
  readonly isDue: boolean
}

/** LogCleanerManager.cleanableOffsets and LogToClean. A recorded offset outside of the log counts as none. */
export function cleanableOf(
  log: LogView,
  recorded: Offset | undefined,
  config: LogConfig,
  nowMs: TimestampMs
): Cleanable {
  const isKnown = recorded !== undefined && recorded >= log.logStartOffset && recorded <= log.logEndOffset
  const firstDirtyOffset = isKnown ? recorded : log.logStartOffset
  const dirty = log.closed.filter((_, index) => endOf(log, index) > firstDirtyOffset)
  const tooYoung =
    config.minCompactionLagMs > 0
      ? dirty.find(segment => segment.largestTimestamp > nowMs - config.minCompactionLagMs)
      : undefined
  const bound = Math.min(log.stableOffset, log.activeBaseOffset, tooYoung?.baseOffset ?? Number.POSITIVE_INFINITY)
  const firstUncleanableOffset = Math.max(firstDirtyOffset, bound)
  let cleanBytes = 0
  let cleanableBytes = 0
  for (const segment of log.closed) {
    if (segment.baseOffset < firstDirtyOffset && !dirty.includes(segment)) cleanBytes += segment.sizeInBytes
    else if (segment.baseOffset < firstUncleanableOffset) cleanableBytes += segment.sizeInBytes
  }
  const total = cleanBytes + cleanableBytes
  const dirtyRatio = total === 0 ? 0 : cleanableBytes / total
  const isOverdue = hasWaitedTooLong(dirty, config, nowMs)
  const isDue = cleanableBytes > 0 && firstUncleanableOffset > firstDirtyOffset
  return {
    firstDirtyOffset,
    firstUncleanableOffset,
    dirtyRatio,
    cleanableBytes,
    isDue: isDue && (dirtyRatio > config.minCleanableDirtyRatio || isOverdue)
  }
}

function endOf(log: LogView, index: number): Offset {
  return log.closed[index + 1]?.baseOffset ?? log.activeBaseOffset
}

/** max.compaction.lag.ms (KIP-354). */
function hasWaitedTooLong(dirty: readonly SegmentView[], config: LogConfig, nowMs: TimestampMs): boolean {
  if (config.maxCompactionLagMs === Number.POSITIVE_INFINITY) return false
  const oldest = Math.max(0, nowMs - config.maxCompactionLagMs)
  return dirty.some(segment => segment.firstTimestamp > 0 && segment.firstTimestamp < oldest)
}

/** Segments that together make one of at most segment.bytes, so that cleaned ones do not stay small for ever. `ends[i]`:
 *  where segment i ends. */
export function groupSegments<S extends SegmentView>(
  segments: readonly S[],
  ends: readonly Offset[],
  config: LogConfig
): S[][] {
  const groups: S[][] = []
  let group: S[] = []
  let bytes = 0
  let indexBytes = 0
  segments.forEach((segment, index) => {
    const first = group[0]
    const fits =
      first !== undefined &&
      bytes + segment.sizeInBytes <= config.segmentBytes &&
      indexBytes + segment.indexSizeInBytes <= config.segmentIndexBytes &&
      (ends[index] as Offset) - 1 - first.baseOffset <= 0x7fffffff
    if (!fits) {
      group = []
      groups.push(group)
      bytes = indexBytes = 0
    }
    group.push(segment)
    bytes += segment.sizeInBytes
    indexBytes += segment.indexSizeInBytes
  })
  return groups
}

export interface CompactionRules {
  readonly map: OffsetMap
  readonly nowMs: TimestampMs
  readonly deleteRetentionMs: number
  /** Tombstones stay although their horizon has passed. */
  keepsTombstones?: boolean
}

/** Whether compaction looks into a batch at all. Transactions: markers and what they decide on stay as they are. */
export function isOpaque(buffer: Buffer, at: number): boolean {
  return isControl(buffer, at) || isTransactional(buffer, at)
}

/** Whether an emptied batch must stay for what its header says: it has the last sequence of a producer that may go on. */
export function holdsLastSequence(producers: ProducerStates, buffer: Buffer, at: number): boolean {
  const id = producerId(buffer, at)
  if (id < 0) return false
  const last = producers.get(id)?.batches.at(-1)
  return last !== undefined && last.lastOffset === lastOffset(buffer, at)
}

/** What stays of the batch: its own bytes, a smaller batch, or null for nothing. `keepsEmpty`: the header stays anyway. The
 *  batch must have been checked. */
export function compactBatch(buffer: Buffer, at: number, rules: CompactionRules, keepsEmpty: boolean): Buffer | null {
  const original = buffer.subarray(at, at + sizeInBytes(buffer, at))
  if (isOpaque(buffer, at)) return original
  const cursor = new RecordCursor(buffer, at)
  const kept: boolean[] = []
  let keptCount = 0
  let hasTombstone = false
  while (cursor.next()) {
    const stays = recordStays(cursor, buffer, at, rules)
    kept.push(stays)
    if (!stays) continue
    keptCount++
    if (cursor.valueLength < 0) hasTombstone = true
  }
  if (keptCount === 0) return keepsEmpty ? emptied(buffer, at) : null
  const horizon = rules.nowMs + rules.deleteRetentionMs
  const setsHorizon = hasTombstone && !hasDeleteHorizon(buffer, at) && Number.isSafeInteger(horizon)
  if (keptCount === kept.length && !setsHorizon) return original
  return rewritten(buffer, at, cursor, kept, setsHorizon ? horizon : undefined)
}

/** Cleaner.shouldRetainRecord. A record without a key was written before the topic was compacted: it goes. */
function recordStays(cursor: RecordCursor, buffer: Buffer, at: number, rules: CompactionRules): boolean {
  const { map, nowMs, keepsTombstones = false } = rules
  const offset = baseOffset(buffer, at) + cursor.offsetDelta
  if (offset > map.latestOffset) return true
  if (cursor.keyLength < 0) return false
  if (offset < map.get(cursor.key as Buffer)) return false
  return (
    cursor.valueLength >= 0 || keepsTombstones || !hasDeleteHorizon(buffer, at) || nowMs < baseTimestamp(buffer, at)
  )
}

function rewritten(
  buffer: Buffer,
  at: number,
  cursor: RecordCursor,
  kept: readonly boolean[],
  newHorizon: TimestampMs | undefined
): Buffer {
  const base = baseTimestamp(buffer, at)
  const newBase = newHorizon ?? base
  const writer = new RecordsWriter(cursor.payload.length)
  let largest = NO_TIMESTAMP
  let recordCount = 0
  cursor.rewind()
  for (const stays of kept) {
    cursor.next()
    if (!stays) continue
    const timestamp = base + cursor.timestampDelta
    const body = cursor.payload.subarray(cursor.bodyAt, cursor.end)
    writer.recordOf(timestamp - newBase, cursor.offsetDelta, body)
    largest = Math.max(largest, timestamp)
    recordCount++
  }
  const isAppendTime = timestampTypeOf(buffer, at) === 'LogAppendTime'
  return seal(buffer, at, {
    hasHorizon: newHorizon !== undefined || hasDeleteHorizon(buffer, at),
    records: writer.written,
    frame: {
      lastOffsetDelta: lastOffsetDelta(buffer, at),
      baseTimestamp: newBase,
      maxTimestamp: isAppendTime ? maxTimestamp(buffer, at) : largest,
      recordCount
    }
  })
}

/** The header alone: offsets and sequences stay known (DefaultRecordBatch.writeEmptyHeader). */
function emptied(buffer: Buffer, at: number): Buffer {
  return seal(buffer, at, {
    hasHorizon: false,
    records: Buffer.alloc(0),
    frame: {
      lastOffsetDelta: lastOffsetDelta(buffer, at),
      baseTimestamp: NO_TIMESTAMP,
      maxTimestamp: maxTimestamp(buffer, at),
      recordCount: 0
    }
  })
}

function seal(
  buffer: Buffer,
  at: number,
  o: { readonly hasHorizon: boolean; readonly records: Buffer; readonly frame: BatchFrame }
): Buffer {
  return sealBatch(
    {
      baseOffset: baseOffset(buffer, at),
      partitionLeaderEpoch: partitionLeaderEpoch(buffer, at),
      compression: o.frame.recordCount === 0 ? 'none' : compressionOf(buffer, at),
      timestampType: timestampTypeOf(buffer, at),
      producerId: producerId(buffer, at),
      producerEpoch: producerEpoch(buffer, at),
      baseSequence: baseSequence(buffer, at),
      ...(o.hasHorizon ? { deleteHorizonMs: o.frame.baseTimestamp } : {})
    },
    o.frame,
    o.records
  )
}
