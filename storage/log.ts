// One partition's log: offsets are given at once, bytes are written at the end of the turn and synced by group commit,
// reads come from the tail cache or from the segment files. What must hold: an offset that was given is never given to
// other bytes while this object lives (a failed write or sync takes it offline for good); nothing is published as synced
// before every file below it is; readers see whole batches only.
import assert from 'node:assert/strict'
import { isFailure, MoldauError } from '../protocol/failure.ts'
import type { LeaderEpoch, Offset, TimestampMs, TopicPartition, Uuid } from '../protocol/types.ts'
import type { LeaderEpochs } from './epochs.ts'
import { type AppendOptions, type AppendResult, appendAsFollower, appendAsLeader } from './log-append.ts'
import { Checkpointer } from './log-checkpoint.ts'
import type { LogConfig } from './log-config.ts'
import type { LogFailure, LogOptions } from './log-options.ts'
import type { ReadFrom } from './log-read.ts'
import { LogReader } from './log-reader.ts'
import type { TimestampOffset } from './log-times.ts'
import { performCut, planCut, rebuildProducers, replaceAll } from './log-truncate.ts'
import { LogWriter } from './log-writer.ts'
import type { ProducerSnapshots } from './producer-snapshots.ts'
import type { ProducerStates } from './producers.ts'
import type { ReadOptions, ReadResult } from './read-result.ts'
import { nothingYet, type Recovered, recover } from './recovery.ts'
import { countDeletable } from './retention.ts'
import type { Segment } from './segment.ts'
import { createSegment, retireSegments } from './segment-life.ts'
import { Segments } from './segments.ts'
import { LogTail } from './tail-cache.ts'
import { isAgeConfirmed } from './trusted-timestamp.ts'

export type { AppendResult } from './log-append.ts'
export type { LogFailure, LogOptions, SharedStorage } from './log-options.ts'
export type { ReadResult } from './read-result.ts'

export class Log {
  readonly topicPartition: TopicPartition
  readonly topicId: Uuid | null
  readonly options: LogOptions
  readonly epochs: LeaderEpochs
  readonly producers: ProducerStates
  readonly segments: Segments
  readonly snapshots: ProducerSnapshots
  readonly writer: LogWriter
  readonly tail: LogTail
  /** What recovery found at open, for one line in the broker's log. */
  readonly wasWalked: boolean
  readonly truncatedBytes: number
  config: LogConfig
  /** A cut is under way: no append may come before its end. */
  isCutting = false
  #cutting: Promise<void> = Promise.resolve()
  /** How many cuts have come to their end: until one has, what is recorded of this log stays below it. */
  cuts = 0
  /** Compaction puts a copy in the place of segments: a cut waits for that. */
  exchanging: Promise<unknown> = Promise.resolve()
  #directory: string
  #logStartOffset: Offset
  #logEndOffset: Offset
  #listeners: ((syncedEndOffset: Offset) => void)[] = []
  readonly #writeListeners: ((writtenEndOffset: Offset) => void)[] = []
  readonly #reader: LogReader
  readonly #checkpointer: Checkpointer

  /** Throws ERR_LOG_CORRUPT, with nothing changed on the disk, when the log ends below what is known to be synced. */
  static async open(o: LogOptions): Promise<Log> {
    const recovered = await recover(o)
    const log = new Log(o, recovered)
    if (recovered.needsCheckpoint) await log.checkpoint()
    return log
  }

  /** A new log that is not on the disk before its first batch is (LogOptions.make). Asks the disk nothing. */
  static openUnmade(o: LogOptions & Required<Pick<LogOptions, 'make'>>): Log {
    return new Log(o, nothingYet(o))
  }

  private constructor(o: LogOptions, recovered: Recovered) {
    this.options = o
    this.topicPartition = o.topicPartition
    this.topicId = o.topicId
    this.config = o.config
    this.#directory = o.directory
    this.epochs = recovered.epochs
    this.producers = recovered.producers
    this.snapshots = recovered.snapshots
    this.segments = new Segments(recovered.segments)
    this.wasWalked = recovered.wasWalked
    this.truncatedBytes = recovered.truncatedBytes
    this.#logStartOffset = recovered.logStartOffset
    this.#logEndOffset = recovered.endOffset
    this.#checkpointer = new Checkpointer(this, recovered.recoveryPoint)
    this.tail = new LogTail(o.tailCache)
    this.#reader = new LogReader(this)
    this.writer = new LogWriter(
      {
        ...{ files: o.files, openFiles: o.openFiles, clock: o.clock, policy: o.policy, isUrgent: o.isUrgent ?? false },
        directory: () => this.#directory,
        ...{ flushMessages: () => this.config.flushMessages, flushMs: () => this.config.flushMs },
        onPublished: end => tellAll(this.#listeners, end),
        onAccepted: end => tellAll(this.#writeListeners, end),
        onFailed: (error, operation) => this.#failed(error, operation)
      },
      recovered.endOffset,
      { make: o.make ?? null, recovered: recovered.unsynced }
    )
    if (recovered.isDirectoryDirty) this.writer.created()
  }

  get directory(): string {
    return this.#directory
  }

  get logStartOffset(): Offset {
    return this.#logStartOffset
  }

  /** The next offset. */
  get logEndOffset(): Offset {
    return this.#logEndOffset
  }

  /** group-commit: everything below is synced. page-cache: everything below is written. */
  get syncedEndOffset(): Offset {
    return this.writer.publishedEnd
  }

  /** Everything below is written, and synced where flush.messages asks for it: what acks=1 promises. */
  get writtenEndOffset(): Offset {
    return this.writer.acceptedEnd
  }

  /** Everything below is synced, whatever the policy: the lower bound to record. */
  get durableEndOffset(): Offset {
    return this.writer.durableEnd
  }

  /** Everything below is durable with indexes, epochs and a producer snapshot: recovery may begin here. */
  get recoveryPoint(): Offset {
    return this.#checkpointer.recoveryPoint
  }

  /** No directory yet: nothing was ever appended, or the first batches wait for it. */
  get isUnmade(): boolean {
    return this.writer.isUnmade
  }

  get isOffline(): boolean {
    return this.writer.failure !== null
  }

  get sizeInBytes(): number {
    return this.segments.sizeInBytes
  }

  /** New settings count from the next append, roll or retention run on. */
  configure(config: LogConfig): void {
    this.config = config
  }

  /** Gives offsets to one client batch, or to batches of the broker's own, and queues them. */
  appendAsLeader(records: Buffer, o: AppendOptions): AppendResult {
    assert(!this.isCutting)
    return appendAsLeader(this, records, o)
  }

  /** Takes batches whose offsets the leader has given; batches of an epoch above `leaderEpoch` are left out. */
  appendAsFollower(records: Buffer, leaderEpoch: LeaderEpoch): void {
    assert(!this.isCutting)
    appendAsFollower(this, records, leaderEpoch)
  }

  /** One batch, header and offsets in place, becomes the log's end. For log-append.ts. */
  take(batch: Buffer, base: Offset, last: Offset, timestamp: TimestampMs): void {
    assert(base >= this.#logEndOffset && last >= base)
    const segment = this.segments.active
    const position = segment.sizeInBytes
    segment.note(last, timestamp, batch.length, this.config.indexIntervalBytes)
    this.#logEndOffset = last + 1
    this.tail.append(batch, base, last)
    this.writer.queue(segment, position, batch, last + 1)
    this.#checkpointer.appended(batch.length)
  }

  /** A new active segment at the log's end, when the active one is full or old enough. For log-append.ts. */
  rollFor(batch: { size: number; last: Offset; maxTimestamp: TimestampMs; nowMs: TimestampMs }): void {
    this.#orOffline(() => {
      if (this.segments.active.shouldRoll(batch, this.config)) this.#roll(batch.nowMs)
    })
  }

  /** Begins a new segment. Nothing that follows is published before the old one is synced (the writer sees to it). */
  roll(nowMs: TimestampMs): void {
    this.#orOffline(() => this.#roll(nowMs))
  }

  #roll(nowMs: TimestampMs): void {
    const { active } = this.segments
    if (active.sizeInBytes === 0 || this.isUnmade) return
    active.seal()
    this.segments.add(createSegment(this, nowMs))
    this.writer.created()
    this.#trim(active)
    this.#checkpointer.runInBackground()
  }

  /** Where the system refuses, the log is offline. */
  #orOffline(work: () => void): void {
    try {
      work()
    } catch (error) {
      if (!isFailure(error)) throw error
      this.fail(error, 'write')
    }
  }

  /** Takes the zeros off a preallocated file. */
  #trim(segment: Segment): void {
    const { files, openFiles } = this.options
    this.writer.write()
    if (this.isOffline || this.isUnmade || files.sizeOf(segment.file.path) === segment.sizeInBytes) return
    files.ftruncate(openFiles.use(segment.file), segment.sizeInBytes)
    this.writer.resized(segment)
  }

  /** Called after each group commit (page-cache: after each write) with the new end. Gives the way to unsubscribe. */
  onSynced(listener: (syncedEndOffset: Offset) => void): () => void {
    this.#listeners.push(listener)
    return () => {
      this.#listeners = this.#listeners.filter(other => other !== listener)
    }
  }

  onWritten(listener: () => void): void {
    this.#writeListeners.push(listener)
  }

  #failed(error: MoldauError, operation: LogFailure['operation']): void {
    this.tail.clear()
    this.options.onFailure({ error, operation, durableEndOffset: this.writer.durableEnd })
  }

  flush(): Promise<Offset> {
    return this.writer.flush()
  }

  /** Whole batches from the one that holds `from`. Throws ERR_OUT_OF_RANGE outside of the log, ERR_LOG_OFFLINE after a failure. */
  read(from: Offset, o: ReadOptions): ReadResult | Promise<ReadResult> {
    return this.#reader.read(from, o)
  }

  get disk(): ReadFrom {
    const { files, openFiles } = this.options
    const { indexIntervalBytes } = this.config
    return { files, openFiles, segments: this.segments, indexIntervalBytes, logEndOffset: () => this.#logEndOffset }
  }

  /** The first record at or after the log start that is at least as new as `timestamp` and lies below `upto`. */
  offsetForTimestamp(timestamp: TimestampMs, upto: Offset): Promise<TimestampOffset | null> {
    return this.#reader.offsetForTimestamp(timestamp, upto)
  }

  /** The first record that has the largest timestamp (ListOffsets -3). */
  maxTimestampOffset(upto: Offset): Promise<TimestampOffset | null> {
    return this.#reader.maxTimestampOffset(upto)
  }

  /** Records below are gone for readers; their segments go at the next deletion. Never moves back. */
  advanceLogStartOffset(to: Offset): void {
    assert(to <= this.#logEndOffset)
    if (to > this.#logStartOffset) this.#logStartOffset = to
    this.epochs.truncateFromStart(this.#logStartOffset)
  }

  /** Lets go of the oldest segments by log start offset, age and size; gives how many. */
  deleteOldSegments(highWatermark: Offset, nowMs: TimestampMs): number {
    if (this.isOffline || this.isCutting || this.isUnmade) return 0
    const { segments, logStartOffset, logEndOffset } = this
    const confirm = (segment: Segment): boolean => isAgeConfirmed(this.options, segment)
    this.writer.write()
    const view = { segments, logStartOffset, logEndOffset, highWatermark, nowMs, confirm }
    const count = countDeletable(view, this.config)
    if (count === 0) return 0
    if (count === segments.count) this.roll(nowMs)
    if (this.isOffline) return 0
    const removed = segments.replace(0, count)
    this.advanceLogStartOffset(segments.first.baseOffset)
    retireSegments(this, removed).catch(error => this.fail(error, 'write'))
    return count
  }

  /** Cuts the log back so that it ends at or before `offset`: batches that reach it go as a whole. Durable when it
   *  resolves; no append may come before. Rebuilds the producers' state. Gives the new end. */
  async truncateTo(offset: Offset): Promise<Offset> {
    if (offset >= this.#logEndOffset) {
      // An epoch in which this log got no record: who asks for a cut here has none of it (UnifiedLog.truncateTo).
      this.epochs.truncateFromEnd(offset)
      return this.#logEndOffset
    }
    if (offset < this.#logStartOffset) return await this.truncateFullyAndStartAt(offset)
    await this.#truncating(async () => {
      const cut = await planCut(this, offset)
      if (cut.end < this.#logStartOffset) return await this.#restartAt(this.#logStartOffset)
      await this.#beginCut(cut.end)
      await performCut(this, cut)
      await rebuildProducers(this, cut.end)
    })
    return this.#logEndOffset
  }

  /** Forgets everything; the log begins and ends at `offset`. */
  async truncateFullyAndStartAt(offset: Offset): Promise<Offset> {
    await this.#truncating(() => this.#restartAt(offset))
    return this.#logEndOffset
  }

  async #restartAt(offset: Offset): Promise<void> {
    await this.#beginCut(offset)
    this.#logStartOffset = offset
    // None of the epochs that were before has a record here any more (UnifiedLog.truncateFullyAndStartAt).
    this.epochs.truncateFromEnd(0)
    this.producers.clear()
    await this.snapshots.deleteBelow(offset)
    await replaceAll(this, offset)
  }

  #truncating(cut: () => Promise<void>): Promise<void> {
    const done = this.#performCut(cut)
    this.#cutting = done.catch(() => {})
    return done
  }

  async #performCut(cut: () => Promise<void>): Promise<void> {
    this.isCutting = true
    try {
      await this.exchanging
      await this.writer.made()
      await this.flush()
      await this.#checkpointer.idle()
      this.#reader.invalidate()
      await cut()
      this.writer.restartAt(this.#logEndOffset)
      this.cuts++
    } catch (error) {
      this.fail(error, 'write')
      throw error
    } finally {
      this.#reader.invalidate()
      this.isCutting = false
    }
  }

  /** From here on nothing beyond `end` is seen; what is recorded elsewhere goes down first. */
  async #beginCut(end: Offset): Promise<void> {
    await this.options.beforeTruncation?.(end)
    this.#logEndOffset = end
    this.#checkpointer.lower(end)
    this.tail.truncateTo(end)
    this.epochs.truncateFromEnd(end)
    await this.snapshots.deleteAbove(end)
  }

  /** Makes log, indexes, epochs and producers durable up to the present end; gives the recovery point, to be recorded. */
  checkpoint(): Promise<Offset> {
    return this.isCutting ? Promise.resolve(this.recoveryPoint) : this.#checkpointer.run()
  }

  fail(error: unknown, operation: LogFailure['operation']): void {
    this.writer.fail(error, operation)
  }

  /** Everything durable, and no file open; the log refuses everything then. A cut that is under way comes to its end first. */
  async close(): Promise<Offset> {
    await this.#cutting
    if (!this.isOffline) {
      this.#trim(this.segments.active)
      await this.checkpoint()
    }
    await this.discard()
    return this.recoveryPoint
  }

  async discard(): Promise<void> {
    await this.writer.stop(new MoldauError('ERR_CLOSED', 'the log is closed'))
    this.tail.clear()
    for (const segment of this.segments) this.options.openFiles.close(segment.file)
  }

  /** Out of service: the directory has its other name at once; its files are the caller's to delete, later. */
  async remove(renamed: string): Promise<void> {
    // One that is being made comes to its end first; one that nobody wrote to never will be.
    if (this.isUnmade) await this.discard()
    if (!this.isUnmade) this.options.files.rename(this.#directory, renamed)
    this.#directory = renamed
    for (const each of [this.snapshots, ...this.segments]) each.moveTo(renamed)
    await this.discard()
  }
}

function tellAll(listeners: readonly ((end: Offset) => void)[], end: Offset): void {
  for (const listener of listeners) listener(end)
}
