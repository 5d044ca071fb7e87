// One segment of a log: a file of record batches that begins at a base offset, its two indexes, and what is known of
// its timestamps (LogSegment.java). Appending only keeps the books; the bytes are written by the log's writer, so
// `sizeInBytes` (what offsets were given for) runs ahead of `writtenBytes` (what is in the file) within one turn.
import assert from 'node:assert/strict'
import { BATCH_HEADER_BYTES, maxTimestamp } from '../protocol/records/batch.ts'
import type { Offset, TimestampMs } from '../protocol/types.ts'
import { filePath } from './file-names.ts'
import type { Files } from './files.ts'
import type { LogConfig } from './log-config.ts'
import { OFFSET_ENTRY_BYTES, OffsetIndex } from './offset-index.ts'
import { CLOSED, type OpenFile } from './open-files.ts'
import { TIME_ENTRY_BYTES, TimeIndex } from './time-index.ts'

const UNKNOWN = -1
/** Positions in the offset index are int32. */
const SEGMENT_BYTES_MAX = 2 ** 31 - 1

export class Segment {
  readonly baseOffset: Offset
  readonly file: OpenFile
  readonly offsetIndex: OffsetIndex
  readonly timeIndex: TimeIndex
  readonly #files: Files
  /** When this segment was made, or last written before this start: the age of records without timestamps. */
  readonly createdMs: TimestampMs
  /** Taken off segment.ms, so that partitions made together do not roll together. */
  readonly rollJitterMs: number
  sizeInBytes: number
  writtenBytes: number
  /** The first batch's largest timestamp: the clock of segment.ms. Null until it is read from the file. */
  #rollTimestamp: TimestampMs | null
  #maxTimestamp: TimestampMs | null
  #maxTimestampOffset: Offset
  #bytesSinceIndexEntry = 0

  constructor(
    files: Files,
    directory: string,
    baseOffset: Offset,
    o: { sizeInBytes: number; createdMs: TimestampMs; rollJitterMs: number }
  ) {
    this.#files = files
    this.baseOffset = baseOffset
    this.offsetIndex = new OffsetIndex(files, filePath(directory, baseOffset, 'index'), baseOffset)
    this.timeIndex = new TimeIndex(files, filePath(directory, baseOffset, 'timeindex'), baseOffset)
    this.file = {
      path: filePath(directory, baseOffset, 'log'),
      fd: CLOSED,
      pins: 0,
      onIdle: () => this.unloadIndexes()
    }
    this.sizeInBytes = o.sizeInBytes
    this.writtenBytes = o.sizeInBytes
    this.createdMs = o.createdMs
    this.rollJitterMs = o.rollJitterMs
    this.#rollTimestamp = o.sizeInBytes === 0 ? UNKNOWN : null
    this.#maxTimestamp = o.sizeInBytes === 0 ? UNKNOWN : null
    this.#maxTimestampOffset = baseOffset
  }

  /** The largest timestamp of any record, -1 where there is none. Reads the time index's end when it must. */
  get maxTimestamp(): TimestampMs {
    if (this.#maxTimestamp === null) this.#loadMaxTimestamp()
    return this.#maxTimestamp as TimestampMs
  }

  /** Last offset of the first batch that has the largest timestamp. */
  get maxTimestampOffset(): Offset {
    if (this.#maxTimestamp === null) this.#loadMaxTimestamp()
    return this.#maxTimestampOffset
  }

  #loadMaxTimestamp(): void {
    const last = this.timeIndex.last()
    this.#maxTimestamp = last.timestamp
    this.#maxTimestampOffset = last.offset
  }

  /** The time index has lied; what its batches say counts. */
  correctTimestamp({ timestamp, offset }: { timestamp: TimestampMs; offset: Offset }): void {
    this.#maxTimestamp = timestamp
    this.#maxTimestampOffset = offset
  }

  /** Age by record time: what the retention rule goes by (LogSegment.largestTimestamp). */
  get largestTimestamp(): TimestampMs {
    return this.maxTimestamp >= 0 ? this.maxTimestamp : this.createdMs
  }

  /** One batch at the end of the segment: size, timestamps, and every index.interval.bytes an index entry. */
  note(last: Offset, timestamp: TimestampMs, size: number, indexIntervalBytes: number): void {
    if (this.sizeInBytes === 0) this.#rollTimestamp = timestamp
    if (timestamp > this.maxTimestamp) {
      this.#maxTimestamp = timestamp
      this.#maxTimestampOffset = last
    }
    // No roll comes before the log's directory does: offsets may then lie too far apart for the index, once.
    if (this.#bytesSinceIndexEntry > indexIntervalBytes && this.offsetIndex.canHold(last)) {
      this.offsetIndex.append(last, this.sizeInBytes)
      this.timeIndex.append(this.maxTimestamp, this.#maxTimestampOffset)
      this.#bytesSinceIndexEntry = 0
    }
    this.#bytesSinceIndexEntry += size
    this.sizeInBytes += size
  }

  /** True when batches of `size` bytes up to `last` belong in a new segment (LogSegment.shouldRoll). */
  shouldRoll(
    o: { size: number; last: Offset; maxTimestamp: TimestampMs; nowMs: TimestampMs },
    config: LogConfig
  ): boolean {
    if (this.sizeInBytes > Math.min(config.segmentBytes, SEGMENT_BYTES_MAX) - o.size) return true
    if (!this.offsetIndex.canHold(o.last)) return true
    if (this.sizeInBytes === 0) return false
    // What waits for max.compaction.lag.ms must not wait in an active segment (KIP-354).
    const segmentMs = config.compacts ? Math.min(config.segmentMs, config.maxCompactionLagMs) : config.segmentMs
    if (this.#waitedMs(o.maxTimestamp, o.nowMs) > segmentMs - this.rollJitterMs) return true
    if (!this.offsetIndex.isLoaded) this.loadIndexes()
    return (
      this.offsetIndex.count >= Math.floor(config.segmentIndexBytes / OFFSET_ENTRY_BYTES) ||
      this.timeIndex.count >= Math.floor(config.segmentIndexBytes / TIME_ENTRY_BYTES) - 1
    )
  }

  /** By the records' own time, so that a replayed topic rolls as the first one did; by the clock where they have none. */
  #waitedMs(newest: TimestampMs, nowMs: TimestampMs): number {
    return this.firstTimestamp >= 0 ? newest - this.firstTimestamp : nowMs - this.createdMs
  }

  /** The largest timestamp of the first batch, -1 without one. */
  get firstTimestamp(): TimestampMs {
    this.#rollTimestamp ??= this.#readFirstTimestamp()
    return this.#rollTimestamp
  }

  #readFirstTimestamp(): TimestampMs {
    const fd = this.#files.open(this.file.path, 'read')
    try {
      const header = Buffer.alloc(BATCH_HEADER_BYTES)
      return this.#files.readSync(fd, header, 0) === BATCH_HEADER_BYTES ? maxTimestamp(header, 0) : UNKNOWN
    } finally {
      this.#files.close(fd)
    }
  }

  /** No further batch comes: the largest timestamp becomes the time index's last entry. */
  seal(): void {
    // Not known yet: then the index's last entry is what it would be read from.
    if (this.#maxTimestamp === null || this.#maxTimestamp < 0) return
    this.timeIndex.append(this.#maxTimestamp, this.#maxTimestampOffset)
  }

  loadIndexes(): void {
    if (!this.offsetIndex.isLoaded) this.offsetIndex.load()
    if (!this.timeIndex.isLoaded) this.timeIndex.load()
  }

  /** Both indexes empty and in memory: for a new file, and before the batches are walked again. */
  resetIndexes(): void {
    this.offsetIndex.reset()
    this.timeIndex.reset()
    this.#forget()
  }

  /** The books go back to the `size` bytes below `offset`; the time index says which timestamp is then the largest, up to
   *  its last entry. */
  truncate(offset: Offset, size: number): void {
    assert(size <= this.sizeInBytes)
    this.loadIndexes()
    this.offsetIndex.truncateTo(offset)
    this.timeIndex.truncateTo(offset)
    this.sizeInBytes = size
    this.writtenBytes = size
    this.#forget()
  }

  /** Nothing is counted any more; indexes empty. */
  restart(): void {
    this.sizeInBytes = 0
    this.writtenBytes = 0
    this.resetIndexes()
  }

  #forget(): void {
    this.#bytesSinceIndexEntry = 0
    this.#maxTimestamp = null
    if (this.sizeInBytes === 0) this.#rollTimestamp = UNKNOWN
  }

  /** A batch that is already counted (found by a walk) may have the largest timestamp. */
  noteTimestamp(last: Offset, timestamp: TimestampMs): void {
    if (timestamp <= this.maxTimestamp) return
    this.#maxTimestamp = timestamp
    this.#maxTimestampOffset = last
  }

  writeIndexes(): void {
    this.offsetIndex.write()
    this.timeIndex.write()
  }

  async syncIndexes(urgent: boolean): Promise<void> {
    await Promise.all([this.offsetIndex.sync(urgent), this.timeIndex.sync(urgent)])
  }

  unloadIndexes(): void {
    this.offsetIndex.unload()
    this.timeIndex.unload()
  }

  /** The directory was renamed; open descriptors stay good. */
  moveTo(directory: string): void {
    this.file.path = filePath(directory, this.baseOffset, 'log')
    this.offsetIndex.path = filePath(directory, this.baseOffset, 'index')
    this.timeIndex.path = filePath(directory, this.baseOffset, 'timeindex')
  }
}
