// One round of cleaning one log: the newest offsets of the keys of its dirty part go into a map, then segment by segment
// what is superseded is left out of a copy that takes the place of the original. In slices: no turn of the event loop has
// more than a batch, or about 1,000 records, to work on. Every batch is checked before it is believed: a damaged one ends the round.
import { MoldauError } from '../protocol/failure.ts'
import {
  baseOffset,
  checkBatch,
  isControl,
  isTransactional,
  lastOffset,
  recordCount,
  sizeInBytes
} from '../protocol/records/batch.ts'
import { RecordCursor } from '../protocol/records/records.ts'
import type { Offset } from '../protocol/types.ts'
import { abandoned, CleanedSegment, isCutSince } from './cleaned-segment.ts'
import {
  type Cleanable,
  type CompactionRules,
  compactBatch,
  groupSegments,
  holdsLastSequence,
  isOpaque,
  type LogView,
  type SegmentView
} from './compaction.ts'
import type { Log } from './log.ts'
import type { OffsetMap } from './offset-map.ts'
import { positionsIn, slicesOf } from './scan.ts'
import type { Segment } from './segment.ts'

export interface CleanOptions {
  readonly map: OffsetMap
  readonly ioBufferBytes: number
  readonly nowMs: number
  /** Lets others work, and waits where the disk is to be spared; called with the bytes that were read or written. */
  readonly pace: (bytes: number) => Promise<void> | undefined
  readonly isStopped: () => boolean
}

export interface CleanResult {
  /** Everything below is clean. */
  readonly endOffset: Offset
  readonly bytesRead: number
  readonly bytesKept: number
  readonly keys: number
}

/** Work of one turn: bytes, and for each record, which compression hides, as much as hashing its key costs. */
const TURN_BYTES = 128 * 1024
const RECORD_BYTES = 100

/** A closed segment and what the decisions ask of it. */
class View implements SegmentView {
  readonly segment: Segment
  constructor(segment: Segment) {
    this.segment = segment
  }
  get baseOffset(): Offset {
    return this.segment.baseOffset
  }
  get sizeInBytes(): number {
    return this.segment.sizeInBytes
  }
  get largestTimestamp(): number {
    return this.segment.largestTimestamp
  }
  get firstTimestamp(): number {
    return this.segment.firstTimestamp
  }
  get indexSizeInBytes(): number {
    return Math.max(this.segment.offsetIndex.sizeInBytes, this.segment.timeIndex.sizeInBytes)
  }
}

/** The log as the decisions see it now. */
export function viewOf(log: Log, highWatermark: Offset): LogView<View> {
  const { active } = log.segments
  const open = log.producers.firstUndecidedOffset ?? Number.POSITIVE_INFINITY
  return {
    closed: [...log.segments].filter(segment => segment !== active).map(segment => new View(segment)),
    activeBaseOffset: active.baseOffset,
    logStartOffset: log.logStartOffset,
    logEndOffset: log.logEndOffset,
    stableOffset: Math.min(highWatermark, open, durableBound(log))
  }
}

/** Recovery believes in missing offsets below the recovery point only, so a segment must lie below it as a whole. */
function durableBound(log: Log): Offset {
  const segments = [...log.segments]
  const index = segments.findLastIndex(segment => segment.baseOffset <= log.recoveryPoint)
  return segments[index]?.baseOffset ?? 0
}

export async function cleanLog(log: Log, range: Cleanable, o: CleanOptions): Promise<CleanResult> {
  const round = new Round(log, o)
  await round.fillMap(range)
  const endOffset = o.map.latestOffset + 1
  await round.clean(range, endOffset)
  return { endOffset, bytesRead: round.bytesRead, bytesKept: round.bytesKept, keys: o.map.size }
}

class Round {
  readonly #log: Log
  readonly #o: CleanOptions
  readonly #rules: CompactionRules
  readonly #cuts: number
  #unpaced = 0
  #work = 0
  bytesRead = 0
  bytesKept = 0

  constructor(log: Log, o: CleanOptions) {
    this.#log = log
    this.#o = o
    this.#cuts = log.cuts
    const { deleteRetentionMs } = log.config
    this.#rules = { map: o.map, nowMs: o.nowMs, deleteRetentionMs, keepsTombstones: false }
  }

  /** Cleaner.buildOffsetMap: from the first dirty offset to the first that may not be touched, or until the map is full. */
  async fillMap({ firstDirtyOffset, firstUncleanableOffset }: Cleanable): Promise<void> {
    const { map } = this.#o
    map.latestOffset = firstDirtyOffset - 1
    const segments = [...this.#log.segments]
    for (const [index, segment] of segments.entries()) {
      const end = segments[index + 1]?.baseOffset ?? Number.POSITIVE_INFINITY
      if (end <= firstDirtyOffset || segment.baseOffset >= firstUncleanableOffset) continue
      const from = firstDirtyOffset > segment.baseOffset ? segment.offsetIndex.positionBefore(firstDirtyOffset) : 0
      for await (const { buffer, at } of this.#batchesOf(segment, from)) {
        if (lastOffset(buffer, at) < firstDirtyOffset) continue
        if (baseOffset(buffer, at) >= firstUncleanableOffset) break
        if (!this.#putKeys(buffer, at, firstDirtyOffset)) return
        map.latestOffset = lastOffset(buffer, at)
      }
    }
    // The last offsets may be missing in the log.
    map.latestOffset = Math.max(map.latestOffset, firstUncleanableOffset - 1)
  }

  /** False when the map is full: the range ends with the record before. */
  #putKeys(buffer: Buffer, at: number, firstDirtyOffset: Offset): boolean {
    if (isOpaque(buffer, at)) return true
    const { map } = this.#o
    const cursor = new RecordCursor(buffer, at)
    const base = baseOffset(buffer, at)
    while (cursor.next()) {
      const offset = base + cursor.offsetDelta
      if (offset < firstDirtyOffset || cursor.keyLength < 0) continue
      if (!map.put(cursor.key as Buffer, offset)) return false
      map.latestOffset = offset
    }
    return true
  }

  /** Every segment that begins below `endOffset`, group by group. */
  async clean({ firstUncleanableOffset }: Cleanable, endOffset: Offset): Promise<void> {
    const { active } = this.#log.segments
    const segments = [...this.#log.segments].filter(each => each !== active && each.baseOffset < endOffset)
    const ends = segments.map(
      (_, index) => segments[index + 1]?.baseOffset ?? Math.max(endOffset, firstUncleanableOffset)
    )
    const views = segments.map(segment => new View(segment))
    for (const group of groupSegments(views, ends, this.#log.config)) {
      await this.#cleanGroup(group.map(view => view.segment))
    }
  }

  async #cleanGroup(group: Segment[]): Promise<void> {
    const cleaned = new CleanedSegment(this.#log, group)
    try {
      const isChanged = await this.#copy(group, cleaned)
      this.bytesKept += cleaned.sizeInBytes
      if (isChanged) {
        await cleaned.finish(group)
        // Going on without this group would drop tombstones whose older records are still in it.
        if (!(await cleaned.replace(group))) throw abandoned()
        return
      }
    } catch (error) {
      await cleaned.discard().catch(() => {}) // The first error says more.
      throw error
    }
    await cleaned.discard()
  }

  /** True when the copy is not what the group was. The last batch stays, empty if need be: it says where the offsets of
   *  the segment end, so that no hole opens between two segments. */
  async #copy(group: Segment[], cleaned: CleanedSegment): Promise<boolean> {
    let isChanged = group.length > 1
    let last: { buffer: Buffer; at: number } | undefined
    const take = (batch: { buffer: Buffer; at: number }, isLast: boolean): void => {
      const { buffer, at } = batch
      // Compaction leaves older records in transactions alone: what deletes them has to stay as well.
      if (isTransactional(buffer, at) && !isControl(buffer, at)) this.#rules.keepsTombstones = true
      const keepsEmpty = isLast || holdsLastSequence(this.#log.producers, buffer, at)
      const kept = compactBatch(buffer, at, this.#rules, keepsEmpty)
      if (kept === null || kept.buffer !== buffer.buffer || kept.byteOffset !== buffer.byteOffset + at) isChanged = true
      if (kept !== null) cleaned.add(kept)
    }
    for (const segment of group) {
      for await (const batch of this.#batchesOf(segment, 0)) {
        if (last !== undefined) take(last, false)
        last = batch
      }
    }
    if (last !== undefined) take(last, true)
    return isChanged
  }

  /** The batches of a segment from a position on, checked, with turns between them. */
  async *#batchesOf(segment: Segment, from: number): AsyncGenerator<{ buffer: Buffer; at: number }, void, undefined> {
    const { files, openFiles } = this.#log.options
    // A segment that was deleted meanwhile must not be opened: that would make its file again.
    if (this.#isOvertaken || this.#log.segments.indexOf(segment) < 0) throw abandoned()
    const size = segment.sizeInBytes
    const fd = openFiles.pin(segment.file)
    let position = from
    try {
      for await (const { buffer } of slicesOf(files, fd, from, size, this.#o.ioBufferBytes)) {
        for (const at of positionsIn(buffer)) {
          if (this.#o.isStopped() || this.#isOvertaken) throw abandoned()
          checkBatch(buffer, at)
          yield { buffer, at }
          await this.#pace(sizeInBytes(buffer, at), recordCount(buffer, at))
        }
        position += buffer.length
      }
    } finally {
      openFiles.unpin(segment.file)
    }
    if (position === size) return
    if (this.#isOvertaken) throw abandoned()
    throw new MoldauError('ERR_CORRUPT_BATCH', `no whole batch at position ${position} of ${segment.file.path}`)
  }

  /** Closed, or cut: what was read, or is about to be, may be no part of the log any more. */
  get #isOvertaken(): boolean {
    return this.#log.isOffline || isCutSince(this.#log, this.#cuts)
  }

  #pace(bytes: number, records: number): Promise<void> | undefined {
    this.bytesRead += bytes
    this.#unpaced += bytes
    this.#work += bytes + records * RECORD_BYTES
    if (this.#work < TURN_BYTES) return undefined
    const paced = this.#unpaced
    this.#unpaced = this.#work = 0
    return this.#o.pace(paced)
  }
}
