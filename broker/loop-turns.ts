// How long one turn of the event loop keeps the processor: while it does, nobody is answered. Every turn is measured, from
// one check phase to the next, without waking an idle loop and for about 0.3 us. What counts is processor time, not the
// clock on the wall: on a busy machine a turn is late through no fault of its own.
import { performance } from 'node:perf_hooks'
import { NodeFiles } from '../storage/files-node.ts'

/** Where the figures come from; `systemLoop` outside of tests. All in milliseconds. */
export interface LoopSource {
  monotonicMs(): number
  /** How long the loop has waited for events so far. */
  idleMs(): number
  /** Processor time of the loop's thread; of the whole process, which is never less, where nobody can tell. */
  cpuMs(): number
  /** Calls `fn` in every turn until it is cancelled, and is no reason for a turn. */
  everyTurn(fn: () => void): { cancel(): void }
}

/** Upper bounds in milliseconds; what is longer is in a last bucket without bound. */
export const TURN_BUCKETS_MS = [0.1, 0.25, 0.5, 1, 2.5, 5, 7.5, 10, 15, 20, 30, 50, 100, 250, 1000] as const

/** A turn is called long from here on. */
export const LONG_TURN_MS = 10
/** A turn that is shorter on the wall is taken to have had the processor all the time: one look at the clock is a tenth
 *  of the price of the system's accounting. */
const EXACT_FROM_MS = 4
/** The accounting is read again after so much work: what a long turn may be charged too much. */
const REREAD_MS = 3

export class LoopTurns {
  readonly #source: LoopSource
  readonly #onLong: (cpuMs: number) => void
  readonly #counts: number[] = new Array(TURN_BUCKETS_MS.length + 1).fill(0)
  #hook: { cancel(): void } | null = null
  #seenMs = 0
  #seenIdleMs = 0
  #cpuMs = 0
  #sinceReadMs = 0
  #count = 0
  #totalMs = 0
  #longestMs = 0
  #longMs = 0

  constructor(source: LoopSource = systemLoop, onLong: (cpuMs: number) => void = () => {}) {
    this.#source = source
    this.#onLong = onLong
  }

  /** How many turns fell into each bucket; one more than there are bounds. */
  get counts(): readonly number[] {
    return this.#counts
  }

  get count(): number {
    return this.#count
  }

  get totalMs(): number {
    return this.#totalMs
  }

  get longestMs(): number {
    return this.#longestMs
  }

  /** Spent in long turns: what share of the time a request meets one. */
  get longMs(): number {
    return this.#longMs
  }

  start(): void {
    if (this.#hook !== null) return
    this.#look()
    this.#read()
    this.#hook = this.#source.everyTurn(() => this.#measure())
  }

  stop(): void {
    this.#hook?.cancel()
    this.#hook = null
  }

  #measure(): void {
    const activeMs = this.#look()
    this.#sinceReadMs += activeMs
    if (activeMs < EXACT_FROM_MS) {
      this.#note(activeMs)
      if (this.#sinceReadMs >= REREAD_MS) this.#read()
      return
    }
    const before = this.#cpuMs
    this.#read()
    this.#note(Math.min(activeMs, this.#cpuMs - before))
  }

  /** Time since the last look that was not spent waiting. */
  #look(): number {
    const nowMs = this.#source.monotonicMs()
    const idleMs = this.#source.idleMs()
    const activeMs = nowMs - this.#seenMs - (idleMs - this.#seenIdleMs)
    this.#seenMs = nowMs
    this.#seenIdleMs = idleMs
    return Math.max(0, activeMs)
  }

  #read(): void {
    this.#cpuMs = this.#source.cpuMs()
    this.#sinceReadMs = 0
  }

  #note(ms: number): void {
    let bucket = 0
    while (bucket < TURN_BUCKETS_MS.length && ms > (TURN_BUCKETS_MS[bucket] as number)) bucket++
    this.#counts[bucket] = (this.#counts[bucket] as number) + 1
    this.#count++
    this.#totalMs += ms
    if (ms > this.#longestMs) this.#longestMs = ms
    if (ms <= LONG_TURN_MS) return
    this.#longMs += ms
    this.#onLong(ms)
  }
}

let readCpuMs: (() => number) | null = null

export const systemLoop: LoopSource = {
  monotonicMs: () => performance.now(),
  idleMs: () => performance.nodeTiming.idleTime,
  cpuMs: () => {
    readCpuMs ??= cpuSource()
    return readCpuMs()
  },
  everyTurn(fn) {
    let isCancelled = false
    // Without its reference an immediate runs in the next check phase, and the loop still waits in its poll before.
    const again = (): void => {
      if (isCancelled) return
      fn()
      setImmediate(again).unref()
    }
    setImmediate(again).unref()
    return {
      cancel: () => {
        isCancelled = true
      }
    }
  }
}

/** Linux keeps accounts for each thread: nanoseconds run, nanoseconds waited for a processor, time slices. Elsewhere Node
 *  20 has figures of the whole process alone. */
function cpuSource(): () => number {
  const wholeProcess = (): number => {
    const { user, system } = process.cpuUsage()
    return (user + system) / 1000
  }
  const files = new NodeFiles()
  try {
    const fd = files.open('/proc/thread-self/schedstat', 'read')
    const account = Buffer.alloc(64)
    const ranMs = (): number => Number.parseInt(account.toString('latin1', 0, files.readSync(fd, account, 0)), 10) / 1e6
    return ranMs() > 0 ? ranMs : wholeProcess
  } catch {
    return wholeProcess
  }
}
