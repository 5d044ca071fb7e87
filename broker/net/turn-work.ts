// How much all connections together may take, or send, in one turn of the event loop: whoever has more goes on in a
// later one, behind those whose bytes came meanwhile. Without this a peer that sends large requests, or hundreds of small
// ones in one go, or that asks for large answers, would keep everybody waiting for as long as they take. Counted in
// bytes, not in time: on a busy machine time passes without any work.
import type { Clock } from '../clock.ts'

/** What is taken: a turn is over after one to two of these; writing to the files, and the answers, come on top. */
export const TAKEN_BYTES = 512 * 1024
/** What is sent of large answers: the copy into the sockets takes a millisecond or two. */
export const SENT_BYTES = 4 * 1024 * 1024
/** What a request costs beside its bytes. */
export const REQUEST_COST_BYTES = 4 * 1024
/** Each of those who go on may read a piece of up to 256 KiB. */
const GOING_ON_MAX = 32

export class TurnWork {
  readonly #clock: Clock
  readonly #turnBytes: number
  #leftBytes = 0
  /** The end of the present turn will be seen. */
  #isWatched = false
  #late: (() => void)[] = []

  constructor(clock: Clock, turnBytes: number) {
    this.#clock = clock
    this.#turnBytes = turnBytes
  }

  /** Nothing more is to be begun in this turn. */
  get isOver(): boolean {
    return this.#isWatched && this.#leftBytes <= 0
  }

  /** So much was done; false when nothing more is to be begun in this turn. */
  spend(bytes: number): boolean {
    this.#leftBytes -= bytes
    if (this.#leftBytes > 0) return true
    if (this.#isWatched) return false
    // Nobody knows how much of it was spent in earlier turns.
    this.#isWatched = true
    this.#leftBytes = this.#turnBytes
    this.#clock.endOfTurn(() => {
      this.#isWatched = false
    })
    return true
  }

  /** Calls `goOn` in a later turn, once what has arrived until then has been looked at. */
  later(goOn: () => void): void {
    if (this.#late.push(goOn) === 1) this.#nextTurn()
  }

  #nextTurn(): void {
    this.#clock.endOfTurn(() => this.#clock.endOfTurn(() => this.#goOn()))
  }

  #goOn(): void {
    const some = this.#late.splice(0, GOING_ON_MAX)
    if (this.#late.length > 0) this.#nextTurn()
    for (const each of some) each()
  }
}
