// The order of asynchronous work: so many pieces at a time (Slots), or one after the other for one name (Turns).
import type { StorageClock } from './storage-clock.ts'

/** Pieces of work that begin in one turn of the event loop may take so long of it. */
const TURN_MS = 4

/** So many pieces of work at a time, the rest in the order of their coming. Pieces that never wait for anything leave the
 *  event loop to others after a while all the same. */
export class Slots {
  #free: number
  readonly #waiting: (() => void)[] = []
  readonly #clock: StorageClock
  #turnBeganMs: number | null = null
  #nextTurn: Promise<void> = Promise.resolve()

  constructor(count: number, clock: StorageClock) {
    this.#free = count
    this.#clock = clock
  }

  async run<T>(work: () => Promise<T>): Promise<T> {
    if (this.#free > 0) this.#free--
    else await new Promise<void>(resolve => this.#waiting.push(resolve))
    try {
      while (this.#isTurnOver()) await this.#nextTurn
      return await work()
    } finally {
      const next = this.#waiting.shift()
      if (next) next()
      else this.#free++
    }
  }

  #isTurnOver(): boolean {
    const nowMs = this.#clock.monotonicMs()
    if (this.#turnBeganMs !== null) return nowMs - this.#turnBeganMs > TURN_MS
    this.#turnBeganMs = nowMs
    this.#nextTurn = new Promise(resolve => {
      this.#clock.endOfTurn(() => {
        this.#turnBeganMs = null
        resolve()
      })
    })
    return false
  }
}

/** Work on one name goes one after the other, whether it succeeds or not; other names do not wait for it. */
export class Turns {
  readonly #last = new Map<string, Promise<unknown>>()

  run<T>(name: string, work: () => Promise<T>): Promise<T> {
    const before = this.#last.get(name)
    const done = before ? before.then(work, work) : work()
    this.#last.set(name, done)
    const forget = () => {
      if (this.#last.get(name) === done) this.#last.delete(name)
    }
    done.then(forget, forget)
    return done
  }

  isBusy(name: string): boolean {
    return this.#last.has(name)
  }

  /** Resolves when what was given until now is over. */
  async settled(): Promise<void> {
    await Promise.allSettled(this.#last.values())
  }
}
