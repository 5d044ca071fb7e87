// How long all connections together may work in one turn of the event loop: whoever has more to do goes on in the next,
// behind those whose bytes came meanwhile. Without this a peer that sends large requests, or hundreds of small ones in
// one go, would keep everybody waiting for as long as they take.
import type { Clock } from '../clock.ts'

/** A turn is over after one to two of these; writing to the files, and the answers, come on top. */
const TURN_MS = 4

export class TurnTime {
  readonly #clock: Clock
  #endsMs = 0
  /** The end of the present turn will be seen. */
  #isWatched = false
  #late: (() => void)[] = []

  constructor(clock: Clock) {
    this.#clock = clock
  }

  /** Whether there is time for more in this turn. A look at the clock is all that it costs in a short one. */
  isLeft(): boolean {
    const nowMs = this.#clock.monotonicMs()
    if (nowMs < this.#endsMs) return true
    if (this.#isWatched) return false
    // Nobody knows which turn the time was that of.
    this.#isWatched = true
    this.#endsMs = nowMs + TURN_MS
    this.#clock.endOfTurn(() => {
      this.#isWatched = false
    })
    return true
  }

  /** Calls `goOn` in the next turn, once what has arrived until then has been looked at. */
  later(goOn: () => void): void {
    if (this.#late.push(goOn) === 1) this.#clock.endOfTurn(() => this.#clock.endOfTurn(() => this.#goOn()))
  }

  #goOn(): void {
    const late = this.#late
    this.#late = []
    for (const each of late) each()
  }
}
