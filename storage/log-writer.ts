// How bytes get from a log to its files. Appends are queued and written by one writev per segment at the end of the
// turn. Under group commit the next fdatasync starts when the last one returns and covers everything written since; an
// end is published only when every file that holds bytes below it, and the directory of a new file, is synced: so a
// roll publishes nothing before the old segment is durable. A failed write or sync is final: never tried again,
// reported once, and nothing after it is published.
import assert from 'node:assert/strict'
import { MoldauError } from '../protocol/failure.ts'
import { Holds, memoryPool } from '../protocol/memory-pool.ts'
import type { Offset } from '../protocol/types.ts'
import type { Files } from './files.ts'
import type { OpenFiles } from './open-files.ts'
import type { Segment } from './segment.ts'
import type { StorageClock } from './storage-clock.ts'
import { SyncRound } from './sync-round.ts'

/** group-commit: synced before it counts. page-cache: written before it counts (Kafka's default). */
export type FlushPolicy = 'group-commit' | 'page-cache'

export type FailedOperation = 'write' | 'sync' | 'checkpoint'

export interface WriterOptions {
  readonly files: Files
  readonly openFiles: OpenFiles
  readonly clock: StorageClock
  readonly policy: FlushPolicy
  /** Syncs go before those of other logs: the metadata log. */
  readonly isUrgent: boolean
  readonly directory: () => string
  /** flush.messages and flush.ms, as they are now. */
  readonly flushMessages: () => number
  readonly flushMs: () => number
  readonly onPublished: (end: Offset) => void
  /** The end that acks=1 may be answered for has moved. */
  readonly onAccepted: (end: Offset) => void
  readonly onFailed: (error: MoldauError, operation: FailedOperation) => void
}

/** Buffers of one turn that go to one segment. */
interface Run {
  readonly segment: Segment
  readonly position: number
  readonly buffers: Buffer[]
  sizeInBytes: number
}

/** What a start found in the files, and has not synced. */
export interface RecoveredUnsynced {
  readonly segments: readonly Segment[]
  /** From here on nothing counts as synced before a sync has returned. */
  readonly from: Offset
  /** The recorded lower bound of what an earlier life had synced: it is not lowered. */
  readonly durableEnd: Offset
}

interface Waiter {
  /** The sync that covers what the waiter asked for. */
  readonly round: number
  readonly resolve: (durableEnd: Offset) => void
  readonly reject: (error: MoldauError) => void
}

export class LogWriter {
  readonly #o: WriterOptions
  #runs: Run[] = []
  /** The memory of what is queued. */
  readonly #queued = new Holds()
  #isTurnScheduled = false
  #queuedEnd: Offset
  #writtenEnd: Offset
  #durableEnd: Offset
  #publishedEnd: Offset
  #acceptedEnd: Offset
  /** Everything below must be synced, by policy, flush.messages, flush.ms or a flush that somebody waits for. */
  #wantedEnd: Offset
  /** Segments with bytes that no finished or running sync covers. */
  #dirty = new Set<Segment>()
  #isDirectoryDirty = false
  readonly #syncs: SyncRound
  /** What the round that is running covers. */
  #syncingEnd: Offset = 0
  #isRecoveredUnsynced = false
  /** Syncs begun so far. */
  #round = 0
  #roundDone = 0
  #waiters: Waiter[] = []
  #flushTimer: { cancel(): void } | null = null
  #failure: MoldauError | null = null
  #hasSyncFailed = false
  /** Makes the log's directory and its first file, durably; null once they are there. */
  #make: (() => Promise<void>) | null
  #making: Promise<void> | null = null
  #onIdle: (() => void)[] = []

  constructor(
    o: WriterOptions,
    end: Offset,
    {
      make = null,
      recovered = null
    }: { readonly make?: (() => Promise<void>) | null; readonly recovered?: RecoveredUnsynced | null } = {}
  ) {
    this.#o = o
    this.#make = make
    this.#syncs = new SyncRound({
      ...{ files: o.files, openFiles: o.openFiles, isUrgent: o.isUrgent },
      onFailed: error => this.fail(error, 'sync'),
      onOver: () => this.#synced(this.#syncingEnd)
    })
    this.#queuedEnd =
      this.#writtenEnd =
      this.#durableEnd =
      this.#publishedEnd =
      this.#acceptedEnd =
      this.#wantedEnd =
        end
    if (recovered === null) return
    this.#isRecoveredUnsynced = this.#isDirectoryDirty = true
    for (const segment of recovered.segments) this.#dirty.add(segment)
    this.#durableEnd = recovered.durableEnd
    if (o.policy === 'group-commit') this.#publishedEnd = recovered.from
  }

  /** No sync has covered yet what recovery walked; the next one does. */
  get isRecoveredUnsynced(): boolean {
    return this.#isRecoveredUnsynced
  }

  /** What recovery walked is synced now, unless it was; a failure is told as any other. Resolves when it is over. */
  async syncRecovered(): Promise<void> {
    if (this.#isRecoveredUnsynced) await this.flush().catch(() => {})
  }

  /** What onPublished last said: the end that may count as stored, by the policy. */
  get publishedEnd(): Offset {
    return this.#publishedEnd
  }

  /** Everything below has been covered by fdatasync, whatever the policy. */
  get durableEnd(): Offset {
    return this.#durableEnd
  }

  /** Written to the files, and synced where flush.messages asks for it: what acks=1 may be answered for. */
  get acceptedEnd(): Offset {
    return this.#acceptedEnd
  }

  get failure(): MoldauError | null {
    return this.#failure
  }

  get hasQueued(): boolean {
    return this.#runs.length > 0
  }

  /** Bytes for the end of `segment` at `position`; written at the end of this turn. */
  queue(segment: Segment, position: number, buffer: Buffer, end: Offset): void {
    assert(!this.#failure)
    const last = this.#runs[this.#runs.length - 1]
    if (last && last.segment === segment) {
      assert.equal(last.position + last.sizeInBytes, position)
      last.buffers.push(buffer)
      last.sizeInBytes += buffer.length
    } else this.#runs.push({ segment, position, buffers: [buffer], sizeInBytes: buffer.length })
    memoryPool.hold(buffer, this.#queued)
    this.#queuedEnd = end
    if (this.#isTurnScheduled) return
    this.#isTurnScheduled = true
    this.#o.clock.endOfTurn(() => {
      this.#isTurnScheduled = false
      this.write()
    })
  }

  /** A file that is new in the directory: nothing in it counts before the directory is synced. */
  created(): void {
    this.#isDirectoryDirty = true
  }

  /** The file's size was changed: no end beyond it counts before that is synced. */
  resized(segment: Segment): void {
    this.#dirty.add(segment)
  }

  /** The directory is not there: it comes with the first batch. What is queued waits for it. */
  get isUnmade(): boolean {
    return this.#make !== null
  }

  /** Resolves when the directory is there and what was queued is written, or when that has failed, as a write does. */
  made(): Promise<void> {
    if (this.#make === null || (this.#failure && this.#making === null)) return Promise.resolve()
    this.#making ??= this.#make().then(
      () => {
        this.#make = this.#making = null
        this.write()
      },
      error => {
        this.#making = null
        this.fail(error, 'write')
      }
    )
    return this.#making
  }

  /** Writes now what is queued. */
  write(): void {
    if (this.#runs.length === 0 || this.#failure) return
    if (this.#make !== null) {
      void this.made()
      return
    }
    const runs = this.#runs
    this.#runs = []
    try {
      for (const run of runs) this.#writeRun(run)
    } catch (error) {
      this.fail(error, 'write')
      return
    } finally {
      this.#queued.letGo()
    }
    this.#writtenEnd = this.#queuedEnd
    this.#afterWrite()
  }

  #writeRun(run: Run): void {
    const { segment } = run
    const { openFiles } = this.#o
    const fd = openFiles.use(segment.file)
    this.#dirty.add(segment)
    assert.equal(segment.writtenBytes, run.position)
    this.#o.files.writev(fd, run.buffers, run.position)
    segment.writtenBytes += run.sizeInBytes
  }

  #afterWrite(): void {
    const isDue = this.#writtenEnd - this.#durableEnd >= this.#o.flushMessages()
    if (this.#o.policy === 'group-commit' || isDue) this.#wantedEnd = this.#writtenEnd
    else this.#armFlushTimer()
    if (!isDue) this.#accept(this.#writtenEnd)
    // An append that flush.messages sends to the disk is answered when it is there, as Kafka answers it.
    if (this.#wantedEnd < this.#writtenEnd) this.#publish(this.#writtenEnd)
    this.#sync()
  }

  #armFlushTimer(): void {
    const ms = this.#o.flushMs()
    if (this.#flushTimer || ms === Number.POSITIVE_INFINITY) return
    this.#flushTimer = this.#o.clock.after(ms, () => {
      this.#flushTimer = null
      this.#wantedEnd = this.#writtenEnd
      this.#sync()
    })
  }

  /** Resolves when everything appended so far is durable, with the end that is. */
  flush(): Promise<Offset> {
    this.write()
    if (this.#failure) return Promise.reject(offline(this.#failure))
    const isWaiting = this.#make !== null && this.#runs.length > 0
    const isDirty = this.#dirty.size > 0 || this.#isDirectoryDirty || isWaiting
    if (!isDirty && !this.#syncs.isRunning) return Promise.resolve(this.#durableEnd)
    return new Promise((resolve, reject) => {
      // The sync that is running does not cover what became dirty after it began.
      this.#waiters.push({ round: isDirty ? this.#round + 1 : this.#round, resolve, reject })
      this.#wantedEnd = this.#writtenEnd
      this.#sync()
    })
  }

  /** Starts a sync of everything written, unless one is running: then the next follows it. */
  #sync(): void {
    if (this.#syncs.isRunning || this.#failure || this.#make !== null) return
    if (this.#wantedEnd <= this.#durableEnd && this.#waiters.length === 0) return
    this.#round++
    this.#syncingEnd = this.#writtenEnd
    const directory = this.#isDirectoryDirty ? this.#o.directory() : null
    this.#isDirectoryDirty = false
    this.#syncs.start(this.#dirty, directory)
    this.#dirty.clear()
  }

  #synced(end: Offset): void {
    if (this.#failure) {
      this.#settle()
      return
    }
    this.#roundDone = this.#round
    this.#isRecoveredUnsynced = false
    this.#durableEnd = end
    if (this.#durableEnd === this.#writtenEnd && this.#flushTimer) {
      this.#flushTimer.cancel()
      this.#flushTimer = null
    }
    this.#publish(end)
    this.#settle()
    this.#sync()
  }

  #publish(end: Offset): void {
    if (end <= this.#publishedEnd) return
    this.#publishedEnd = end
    this.#accept(end)
    this.#o.onPublished(end)
  }

  #accept(end: Offset): void {
    if (end <= this.#acceptedEnd) return
    this.#acceptedEnd = end
    this.#o.onAccepted(end)
  }

  /** Answers those who waited for an end that is reached (or never will be). */
  #settle(): void {
    if (this.#waiters.length > 0) {
      const waiting = this.#waiters
      this.#waiters = []
      for (const waiter of waiting) {
        if (this.#failure) waiter.reject(offline(this.#failure))
        else if (waiter.round <= this.#roundDone) waiter.resolve(this.#durableEnd)
        else this.#waiters.push(waiter)
      }
    }
    if (this.#syncs.isRunning) return
    for (const resume of this.#onIdle.splice(0)) resume()
  }

  /** The end of this log's life, reported once; a failed sync also when something else had failed before, since what
   *  the page cache shows is then not to be believed. */
  fail(error: unknown, operation: FailedOperation): void {
    const failure =
      error instanceof MoldauError ? error : new MoldauError('ERR_STORAGE', `${operation} failed`, { cause: error })
    const isNews = this.#failure === null || (operation === 'sync' && !this.#hasSyncFailed)
    if (operation === 'sync') this.#hasSyncFailed = true
    this.#failure ??= failure
    this.#drop()
    this.#flushTimer?.cancel()
    this.#settle()
    if (isNews) this.#o.onFailed(failure, operation)
  }

  #drop(): void {
    this.#runs = []
    this.#queued.letGo()
  }

  /** Makes the writer useless: what is queued is dropped, waiters are refused. Resolves when no sync is running. */
  stop(reason: MoldauError): Promise<void> {
    this.#failure ??= reason
    this.#drop()
    this.#flushTimer?.cancel()
    this.#settle()
    return this.#making === null ? this.idle() : this.#making.then(() => this.idle())
  }

  /** Resolves when no sync is running. */
  idle(): Promise<void> {
    if (!this.#syncs.isRunning) return Promise.resolve()
    return new Promise(resolve => {
      this.#onIdle.push(resolve)
    })
  }

  /** The log was cut to `end`, and that is durable. */
  restartAt(end: Offset): void {
    assert(!this.#syncs.isRunning && this.#runs.length === 0)
    this.#dirty.clear()
    this.#queuedEnd =
      this.#writtenEnd =
      this.#durableEnd =
      this.#publishedEnd =
      this.#acceptedEnd =
      this.#wantedEnd =
        end
  }
}

function offline(cause: MoldauError): MoldauError {
  return cause.code === 'ERR_CLOSED' ? cause : new MoldauError('ERR_LOG_OFFLINE', cause.message, { cause })
}
