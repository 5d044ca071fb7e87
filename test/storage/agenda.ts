// System calls that return when the dice say so: what makes one seed one story. Also the dice.
import assert from 'node:assert/strict'
import type { Dice } from '../../storage/memory-disk.ts'

/** mulberry32: small, fast, good enough to pick operations. */
export function diceOf(seed: number): Dice {
  let state = (seed * 0x9e3779b1) >>> 0
  return {
    below(limit) {
      state = (state + 0x6d2b79f5) >>> 0
      let mixed = Math.imul(state ^ (state >>> 15), 1 | state)
      mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed
      return Math.floor((((mixed ^ (mixed >>> 14)) >>> 0) / 4294967296) * limit)
    }
  }
}

export class Agenda {
  readonly #dice: Dice
  #pending: (() => void)[] = []

  constructor(dice: Dice) {
    this.#dice = dice
  }

  /** A system call is under way. */
  add(complete: () => void): void {
    this.#pending.push(complete)
  }

  /** The process has died: nothing returns any more. */
  forget(): void {
    this.#pending = []
  }

  async run(count: number): Promise<void> {
    for (let tick = 0; tick < count; tick++) await this.completeOne()
  }

  /** One system call returns, any of those under way. */
  async completeOne(): Promise<void> {
    if (this.#pending.length > 0) {
      const [complete] = this.#pending.splice(this.#dice.below(this.#pending.length), 1)
      complete?.()
    }
    for (let turn = 0; turn < 4; turn++) await null
  }

  /** Lets the world go on until `promise` settles, at most for so many system calls. */
  async happens(promise: Promise<unknown>, calls: number): Promise<boolean> {
    let isSettled = false
    const settle = () => {
      isSettled = true
    }
    promise.then(settle, settle)
    let idle = 0
    for (let call = 0; !isSettled; ) {
      if (call >= calls) return false
      idle = this.#pending.length > 0 ? 0 : idle + 1
      assert(idle < 200, 'something waits for ever')
      if (this.#pending.length > 0) call++
      await this.completeOne()
    }
    return true
  }

  async settled<T>(promise: Promise<T>): Promise<T> {
    await this.happens(promise, Number.POSITIVE_INFINITY)
    return await promise
  }
}
