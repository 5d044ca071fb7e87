// A group coordinator in a world of its own: a clock that only moves when told, logs in memory whose high watermark can
// be held back, appends that fail on demand, and a broker that can be restarted with what its log and snapshots hold.

import { GroupCoordinator } from '../../../broker/groups/coordinator.ts'
import type { CoordinatorLog, GroupSettings } from '../../../broker/groups/ports.ts'
import { MoldauError } from '../../../protocol/failure.ts'
import {
  batchesOf,
  lastOffset,
  partitionLeaderEpoch,
  setBaseOffset,
  sizeInBytes
} from '../../../protocol/records/batch.ts'
import type { LeaderEpoch, Offset, TimestampMs } from '../../../protocol/types.ts'

export const WALL_AT_START: TimestampMs = 1_800_000_000_000

interface Timer {
  readonly atMs: number
  readonly order: number
  readonly fn: () => void
}

/** Nothing happens but in `advance` and `settle`. */
export class SimulatedClock {
  #nowMs = 0
  #stalledMs = 0
  #order = 0
  #timers: Timer[] = []
  #turn: (() => void)[] = []
  readonly nowMs = (): TimestampMs => WALL_AT_START + this.#nowMs
  readonly monotonicMs = (): number => this.#nowMs
  readonly awakeMs = (): number => this.#nowMs - this.#stalledMs

  after(ms: number, fn: () => void): { cancel(): void } {
    const timer = { atMs: this.#nowMs + ms, order: ++this.#order, fn }
    this.#timers.push(timer)
    return {
      cancel: () => {
        this.#timers = this.#timers.filter(each => each !== timer)
      }
    }
  }

  endOfTurn(fn: () => void): void {
    this.#turn.push(fn)
  }

  get timerCount(): number {
    return this.#timers.length
  }

  /** Runs everything that is to run now. */
  async settle(): Promise<void> {
    do {
      for (const fn of this.#turn.splice(0)) fn()
      await new Promise<void>(resolve => setImmediate(resolve))
      const next = this.#next()
      if (next && next.atMs <= this.#nowMs) this.#fire(next)
    } while (this.#turn.length > 0 || (this.#next()?.atMs ?? Infinity) <= this.#nowMs)
  }

  async advance(ms: number): Promise<void> {
    const untilMs = this.#nowMs + ms
    await this.settle()
    for (let next = this.#next(); next && next.atMs <= untilMs; next = this.#next()) {
      this.#nowMs = Math.max(this.#nowMs, next.atMs)
      this.#fire(next)
      await this.settle()
    }
    this.#nowMs = untilMs
  }

  /** The process stands still: time passes, and nothing runs. */
  stall(ms: number): void {
    this.#nowMs += ms
    this.#stalledMs += ms
  }

  #next(): Timer | undefined {
    let first: Timer | undefined
    for (const timer of this.#timers) {
      if (!first || timer.atMs < first.atMs || (timer.atMs === first.atMs && timer.order < first.order)) first = timer
    }
    return first
  }

  #fire(timer: Timer): void {
    this.#timers = this.#timers.filter(each => each !== timer)
    timer.fn()
  }
}

/** The bytes of one partition of __consumer_offsets, as they survive a restart. */
export class MemoryLog {
  batches: Buffer[] = []
  highWatermark: Offset = 0
  leaderEpoch: LeaderEpoch = 0
  /** While true nothing appended is committed. */
  isHeld = false
  failAppends: MoldauError | null = null
  deleteRetentionMs = 24 * 3_600_000
  appends = 0
  /** Batches that a coordinator read. */
  reads = 0
  topicId = 'AAAAAAAAAAAAAAAAAAAAAQ'
  readonly #listeners = new Set<() => void>()
  readonly #clock: SimulatedClock

  constructor(clock: SimulatedClock) {
    this.#clock = clock
  }

  get logEndOffset(): Offset {
    const last = this.batches.at(-1)
    return last ? lastOffset(last, 0) + 1 : 0
  }

  append(batch: Buffer): Offset {
    if (this.failAppends) throw this.failAppends
    const kept = Buffer.from(batch)
    setBaseOffset(kept, 0, this.logEndOffset)
    this.batches.push(kept)
    this.appends++
    if (!this.isHeld) this.#clock.endOfTurn(() => this.commit())
    return this.logEndOffset
  }

  commit(upto: Offset = this.logEndOffset): void {
    this.highWatermark = Math.max(this.highWatermark, Math.min(upto, this.logEndOffset))
    for (const listener of [...this.#listeners]) listener()
  }

  epochBefore(offset: Offset): LeaderEpoch {
    const before = this.batches.findLast(batch => lastOffset(batch, 0) < offset)
    return before ? partitionLeaderEpoch(before, 0) : -1
  }

  /** What a crash leaves: the committed batches. */
  truncate(): void {
    this.batches = this.batches.filter(batch => lastOffset(batch, 0) < this.highWatermark)
  }

  /** One reign over this log; a later one invalidates it. */
  lead(): CoordinatorLog {
    const log = this
    const leaderEpoch = ++this.leaderEpoch
    this.#listeners.clear()
    return {
      topicId: log.topicId,
      append: batch => {
        if (log.leaderEpoch !== leaderEpoch) throw new MoldauError('ERR_NOT_LEADER', 'another leads')
        return log.append(batch)
      },
      logStartOffset: 0,
      get logEndOffset() {
        return log.logEndOffset
      },
      get highWatermark() {
        return log.highWatermark
      },
      leaderEpoch,
      get deleteRetentionMs() {
        return log.deleteRetentionMs
      },
      onHighWatermark: fn => {
        log.#listeners.add(fn)
        return () => log.#listeners.delete(fn)
      },
      async *batches(from, upto) {
        for (const batch of log.batches) {
          const [position] = batchesOf(batch)
          if (position === undefined || sizeInBytes(batch, 0) !== batch.length) throw new Error('not one batch')
          if (lastOffset(batch, 0) < from || lastOffset(batch, 0) >= upto) continue
          log.reads++
          yield batch
        }
      },
      holds: (offset, epoch) => offset <= log.logEndOffset && log.epochBefore(offset) === epoch,
      epochBefore: offset => log.epochBefore(offset)
    }
  }
}

/** msgpack makes copies; so does this. */
export class MemorySnapshots {
  entries = new Map<string, unknown>()
  get(key: string): unknown {
    return rebuffered(structuredClone(this.entries.get(key)))
  }
  put(key: string, value: unknown): void {
    this.entries.set(key, structuredClone(value))
  }
}

/** structuredClone turns a Buffer into a Uint8Array; msgpackr gives Buffers back. */
function rebuffered(value: unknown): unknown {
  if (value instanceof Uint8Array) return Buffer.from(value)
  if (Array.isArray(value)) return value.map(rebuffered)
  if (value === null || typeof value !== 'object') return value
  return Object.fromEntries(Object.entries(value).map(([key, each]) => [key, rebuffered(each)]))
}

export type MutableSettings = { -readonly [K in keyof GroupSettings]: GroupSettings[K] }

export class World {
  readonly clock: SimulatedClock
  readonly settings: MutableSettings = {
    minSessionTimeoutMs: 6_000,
    maxSessionTimeoutMs: 1_800_000,
    initialRebalanceDelayMs: 3_000,
    maxSize: 2 ** 31 - 1,
    offsetMetadataMax: 4_096,
    offsetsRetentionMs: 7 * 24 * 3_600_000,
    retentionCheckIntervalMs: 600_000,
    commitTimeoutMs: 5_000
  }
  readonly logs: MemoryLog[]
  readonly snapshots = new MemorySnapshots()
  readonly lines: { data: Record<string, unknown>; message: string }[] = []
  coordinator: GroupCoordinator
  #uuids = 0

  /** Several brokers share a clock. */
  constructor(numPartitions = 1, clock = new SimulatedClock()) {
    this.clock = clock
    this.logs = Array.from({ length: numPartitions }, () => new MemoryLog(this.clock))
    this.coordinator = this.#make()
  }

  async start(): Promise<void> {
    const loads = this.logs.map((log, index) => this.coordinator.electPartition(index, log.lead()))
    await this.clock.settle()
    await Promise.race([Promise.all(loads), Promise.resolve()])
    await this.clock.settle()
  }

  /** Clean: what is appended gets committed, snapshots are written. Unclean: only what is committed survives. */
  async restart(kind: 'clean' | 'crash'): Promise<void> {
    if (kind === 'clean') {
      for (const log of this.logs) log.commit()
      await this.clock.settle()
      const closed = this.coordinator.close()
      await this.clock.settle()
      await closed
    } else {
      this.logs.forEach((log, index) => {
        log.lead()
        this.coordinator.resignPartition(index)
        log.truncate()
      })
      await this.clock.settle()
    }
    this.coordinator = this.#make()
    await this.start()
  }

  /** A new process that neither leads nor follows yet. */
  reboot(): void {
    this.coordinator = this.#make()
  }

  #make(): GroupCoordinator {
    const note = (data: object, message: string): void => {
      this.lines.push({ data: data as Record<string, unknown>, message })
    }
    return new GroupCoordinator({
      settings: this.settings,
      clock: this.clock,
      awakeMs: this.clock.awakeMs,
      random: { uuid: () => this.#uuid() },
      logger: { info: note, warn: note, error: note },
      numPartitions: () => this.logs.length,
      snapshots: this.snapshots
    })
  }

  /** Uuids that say how many were given out before: 0001, 0002, ... */
  #uuid(): string {
    const bytes = Buffer.alloc(16)
    bytes.writeUInt32BE(++this.#uuids, 0)
    return bytes.toString('base64url')
  }
}
