// The replayed state of one partition of __consumer_offsets, kept up with its log: a follower applies what is below its
// high watermark as that moves, a coming leader waits here until the log's end is committed, a leader writes itself, and
// one that led goes back to what is committed. Nothing that is read here can be taken back, except by an unclean election
// or another log in its place: then everything is read again. Also has the snapshots written.
import { MoldauError } from '../../protocol/failure.ts'
import type { LeaderEpoch, Offset } from '../../protocol/types.ts'
import type { CoordinatorLog, GroupClock, GroupLogger, Snapshots } from './ports.ts'
import { replay } from './replay.ts'
import { readSnapshot, type SnapshotPlace, writeSnapshot } from './snapshot.ts'
import { GroupsState } from './state.ts'

export interface KeptStateParts {
  readonly index: number
  readonly clock: GroupClock
  readonly logger: GroupLogger
  readonly snapshots: Snapshots
  /** Runs a reading of the whole log when it is its turn: not all partitions load at once. */
  inTurn<T>(work: () => Promise<T>): Promise<T>
}

/** What the last reading of the whole log had to do. */
export interface Reading {
  readonly snapshotOffset: Offset
  records: number
  unknown: number
}

/** A place in the history of the log: the offset, and the epoch of what stands before it. */
interface Position {
  readonly offset: Offset
  readonly leaderEpoch: LeaderEpoch
}

interface Waiting {
  readonly offset: Offset
  readonly resolve: () => void
  readonly reject: (error: Error) => void
}

/** A snapshot is written at a clean stop, and after as many records as there are offsets, but not after fewer than this:
 *  so a snapshot costs no more than the records before it did, and a start reads at most twice what there is. */
const RECORDS_PER_SNAPSHOT_MIN = 1_000
const NOWHERE: Position = { offset: -1, leaderEpoch: -1 }

export class KeptState {
  readonly state = new GroupsState()
  readonly #parts: KeptStateParts
  #log: CoordinatorLog | null = null
  #applied: Position = NOWHERE
  /** A snapshot shows moments up to here: no less is a moment of the log. */
  #shown: Position = NOWHERE
  /** Whoever leads applies its records itself. */
  #isLed = false
  #isClosed = false
  /** Grows when the state is not a continuation of what it was. */
  #history = 0
  #running: Promise<void> | null = null
  #waiting: Waiting[] = []
  #reading: Reading = { snapshotOffset: -1, records: 0, unknown: 0 }
  #recordsSinceSnapshot = 0
  #snapshotRunning: Promise<unknown> | null = null

  constructor(parts: KeptStateParts) {
    this.#parts = parts
  }

  get reading(): Reading {
    return this.#reading
  }

  /** Reads this log from now on; it may be another one than before. */
  attach(log: CoordinatorLog): void {
    if (this.#log && this.#log.topicId !== log.topicId) this.#forget()
    this.#log = log
  }

  /** Call when the high watermark may have moved. One reading at a time; it goes on until nothing is left. */
  keepUp(): void {
    const log = this.#log
    if (!log || this.#isLed || this.#isClosed || this.#running) return
    if (this.#fits(log) && this.#applied.offset >= committedEnd(log)) {
      this.#settle()
      return
    }
    this.#running = this.#read(log)
      .then(
        () => true,
        error => this.#failed(error)
      )
      .then(goesOn => {
        this.#running = null
        if (goesOn) this.keepUp()
      })
  }

  /** Resolves when everything below `offset` is committed and applied. Rejects when that is given up, or cannot be. */
  reach(offset: Offset): Promise<void> {
    return new Promise((resolve, reject) => {
      this.#waiting.push({ offset, resolve, reject })
      this.keepUp()
    })
  }

  /** From now on the leader applies to `state` what it appends. */
  lead(): void {
    this.#isLed = true
  }

  /** The leader appended and is about to apply so many records; they end there. */
  appended(offset: Offset, leaderEpoch: LeaderEpoch, records: number): void {
    this.#applied = { offset, leaderEpoch }
    this.#recordsSinceSnapshot += records
    this.#maybeSnapshot()
  }

  /** Leads no more, or never came to it. The state is that of the high watermark again (Machine.close). */
  resign(): void {
    const log = this.#log
    for (const { reject } of this.#waiting.splice(0)) reject(new MoldauError('ERR_NOT_LEADER', 'leadership was lost'))
    if (!this.#isLed || !log) return
    this.#isLed = false
    // A slice of a snapshot may show what was taken back.
    this.#history++
    const offset = Math.min(this.#applied.offset, log.highWatermark)
    this.#applied = { offset, leaderEpoch: log.epochBefore(offset) }
    // A leader does not look for open transactions behind its own records.
    if (this.state.pending.size > 0) this.#forget()
  }

  close(): void {
    this.resign()
    this.#isClosed = true
    this.#history++
  }

  /** For a clean stop: what the next start would have to read from the log again. */
  async saveSnapshot(): Promise<void> {
    if (this.#recordsSinceSnapshot === 0 || this.#applied.offset < this.#shown.offset) return
    await this.#snapshotRunning
    await this.#writeSnapshot()
  }

  async #read(log: CoordinatorLog): Promise<void> {
    if (this.#fits(log)) await this.#readOn(log)
    else await this.#parts.inTurn(() => this.#readAll(log))
  }

  async #readAll(log: CoordinatorLog): Promise<void> {
    if (this.#applied.offset >= 0) this.#parts.logger.warn({ partition: this.#parts.index }, 'groups are read again')
    this.#forget()
    const history = this.#history
    const snapshot = await readSnapshot(this.#place(log), this.state).catch(error => {
      this.#parts.logger.warn({ partition: this.#parts.index, err: error }, 'snapshot of groups not read')
      return null
    })
    if (this.#isOver(log, history)) return
    // A snapshot that turned out to be torn may have left half of itself behind.
    if (!snapshot) this.state.clear()
    const offset = snapshot?.offset ?? log.logStartOffset
    this.#applied = { offset, leaderEpoch: log.epochBefore(offset) }
    if (snapshot) this.#shown = { offset: snapshot.endOffset, leaderEpoch: snapshot.leaderEpoch }
    this.#reading = { snapshotOffset: snapshot?.offset ?? -1, records: 0, unknown: 0 }
    await this.#readOn(log)
    // Cut while it was read: the next word of the log finds out what it is now.
    if (!this.#isOver(log, history) && !this.#fits(log)) throw changed()
  }

  async #readOn(log: CoordinatorLog): Promise<void> {
    const history = this.#history
    const from = this.#applied.offset
    const upto = committedEnd(log)
    await replay(
      this.state,
      log,
      this.#parts.clock,
      { from, upto },
      {
        isOver: () => this.#isOver(log, history),
        applied: ({ endOffset, leaderEpoch, records, unknown }) => {
          this.#applied = { offset: endOffset, leaderEpoch }
          this.#reading.records += records
          this.#reading.unknown += unknown
          this.#recordsSinceSnapshot += records
        }
      }
    )
    if (this.#isOver(log, history)) return
    // The cleaner may have left nothing at the end.
    if (this.#fits(log) && this.#applied.offset < upto) {
      this.#applied = { offset: upto, leaderEpoch: log.epochBefore(upto) }
    }
    this.#maybeSnapshot()
  }

  /** Whether the log still has what was applied. */
  #fits(log: CoordinatorLog): boolean {
    const { offset, leaderEpoch } = this.#applied
    if (offset < 0 || offset < log.logStartOffset || offset > log.logEndOffset) return false
    const isShown = offset >= this.#shown.offset || log.holds(this.#shown.offset, this.#shown.leaderEpoch)
    return isShown && (offset === log.logStartOffset || log.holds(offset, leaderEpoch))
  }

  #isOver(log: CoordinatorLog, history: number): boolean {
    return this.#isClosed || this.#isLed || this.#log !== log || this.#history !== history
  }

  #forget(): void {
    this.#history++
    this.state.clear()
    this.#applied = NOWHERE
    this.#shown = NOWHERE
    this.#recordsSinceSnapshot = 0
  }

  #settle(): void {
    if (this.#waiting.length === 0) return
    const { offset } = this.#applied
    const ready = this.#waiting.filter(each => each.offset <= offset)
    this.#waiting = this.#waiting.filter(each => each.offset > offset)
    for (const { resolve } of ready) resolve()
  }

  /** False: not tried again before the next word of the log. */
  #failed(error: unknown): boolean {
    if (this.#isClosed) return false
    const cause = error instanceof Error ? error : new Error(String(error))
    this.#forget()
    const waiting = this.#waiting.splice(0)
    if (waiting.length === 0) {
      this.#parts.logger.warn({ partition: this.#parts.index, err: cause }, 'groups could not be followed')
    }
    for (const { reject } of waiting) reject(cause)
    return false
  }

  #place(log: CoordinatorLog): SnapshotPlace {
    const { snapshots, clock, index } = this.#parts
    return { snapshots, log, clock, key: `groups/${index}` }
  }

  #maybeSnapshot(): void {
    if (this.#recordsSinceSnapshot >= Math.max(RECORDS_PER_SNAPSHOT_MIN, this.state.offsetCount)) {
      void this.#writeSnapshot()
    }
  }

  #writeSnapshot(): Promise<unknown> {
    this.#snapshotRunning ??= this.#doWriteSnapshot().finally(() => {
      this.#snapshotRunning = null
    })
    return this.#snapshotRunning
  }

  async #doWriteSnapshot(): Promise<void> {
    const { logger, index } = this.#parts
    const log = this.#log
    if (!log) return
    const history = this.#history
    this.#recordsSinceSnapshot = 0
    try {
      await writeSnapshot(this.#place(log), this.state, {
        applied: () => this.#applied,
        isCurrent: () => !this.#isClosed && this.#log === log && this.#history === history
      })
    } catch (error) {
      logger.warn({ partition: index, err: error }, 'snapshot of groups not written')
    }
  }
}

function changed(): MoldauError {
  return new MoldauError('ERR_OUT_OF_RANGE', 'the log was cut while it was read')
}

function committedEnd(log: CoordinatorLog): Offset {
  return Math.min(log.highWatermark, log.logEndOffset)
}
