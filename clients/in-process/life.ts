// The life of a broker inside this process, so that it can end or stand still as a process of its own would: everything
// that happens to the broker comes through `run`. Dead, nothing reaches it any more and nothing leaves it. Paused, what
// happens is kept, and comes in the same order when it goes on.
import type { Clock } from '../../broker/clock.ts'

export class Life {
  #isPaused = false
  #isDead = false
  #held: (() => void)[] = []
  readonly #ends = new Set<() => void>()
  readonly #pauses = new Set<(isPaused: boolean) => void>()

  get isDead(): boolean {
    return this.#isDead
  }

  get isPaused(): boolean {
    return this.#isPaused
  }

  run(fn: () => void): void {
    if (this.#isDead) return
    if (this.#isPaused) this.#held.push(fn)
    else fn()
  }

  pause(): void {
    if (this.#isDead || this.#isPaused) return
    this.#isPaused = true
    for (const tell of this.#pauses) tell(true)
  }

  resume(): void {
    if (!this.#isPaused) return
    this.#isPaused = false
    const held = this.#held
    this.#held = []
    for (const fn of held) this.run(fn)
    for (const tell of this.#pauses) tell(false)
  }

  end(): void {
    if (this.#isDead) return
    this.#isDead = true
    this.#held = []
    for (const fn of [...this.#ends]) fn()
  }

  /** The answer ends the subscription, here as below. */
  onEnd(fn: () => void): () => void {
    this.#ends.add(fn)
    return () => {
      this.#ends.delete(fn)
    }
  }

  onPause(tell: (isPaused: boolean) => void): () => void {
    this.#pauses.add(tell)
    return () => {
      this.#pauses.delete(tell)
    }
  }
}

/** The clock of one life; time itself goes on for the dead and for the paused. */
export function clockOf(life: Life, clock: Clock): Clock {
  return {
    nowMs: () => clock.nowMs(),
    monotonicMs: () => clock.monotonicMs(),
    after(ms, fn) {
      let isCancelled = false
      const timer = clock.after(ms, () =>
        life.run(() => {
          if (!isCancelled) fn()
        })
      )
      return {
        cancel: () => {
          isCancelled = true
          timer.cancel()
        }
      }
    },
    endOfTurn: fn => clock.endOfTurn(() => life.run(fn))
  }
}
