// How long this process stood still: a busy loop, a collection, SIGSTOP, a suspended machine. Silence of others while
// nobody here listened is not their fault: who sets deadlines on others takes the stalls out of them, and judges only
// after one full poll of the sockets, since timers run before what has already arrived is read.
import assert from 'node:assert/strict'
import type { Clock, Timer } from './clock.ts'

const BEAT_MS = 250
/** What a timer may be late without being called a stall. */
const LATE_MS = 100

export class Stalls {
  readonly #clock: Clock
  #timer: Timer | null = null
  #dueMs = Number.POSITIVE_INFINITY
  #seenMs = 0

  constructor(clock: Clock) {
    this.#clock = clock
  }

  start(): void {
    assert(this.#timer === null)
    this.#beat()
  }

  stop(): void {
    this.#timer?.cancel()
    this.#timer = null
    this.#dueMs = Number.POSITIVE_INFINITY
  }

  /** All stalls since `start`, in milliseconds, the one that has just ended included: what grew between two looks is
   *  to be credited to a deadline that ran meanwhile. */
  get totalMs(): number {
    return this.#seenMs + this.#pendingMs()
  }

  /** Runs `fn` once what has arrived at the sockets until now is handled. */
  afterPoll(fn: () => void): void {
    this.#clock.endOfTurn(fn)
  }

  /** Which timer of a late turn runs first is nobody's choice: a stall counts before the beat has seen it. */
  #pendingMs(): number {
    const lateMs = this.#clock.monotonicMs() - this.#dueMs
    return lateMs > LATE_MS ? lateMs : 0
  }

  #beat(): void {
    this.#seenMs += this.#pendingMs()
    this.#dueMs = this.#clock.monotonicMs() + BEAT_MS
    this.#timer = this.#clock.after(BEAT_MS, () => this.#beat())
  }
}
