// Requests that wait for an offset of one partition to be reached: a high watermark, a written end, a low watermark.

import { ErrorCode } from '../protocol/errors.ts'
import type { Offset } from '../protocol/types.ts'

interface Waiter {
  readonly offset: Offset
  /** Called once: NONE, or why the offset may never be reached here. */
  readonly done: (errorCode: number) => void
}

export class Waiters {
  /** By offset. */
  readonly #waiters: Waiter[] = []

  get isEmpty(): boolean {
    return this.#waiters.length === 0
  }

  /** Waiters mostly come in order; only a duplicate's old offset goes further to the front. */
  add(offset: Offset, done: (errorCode: number) => void): void {
    const waiters = this.#waiters
    let at = waiters.length
    while (at > 0 && (waiters[at - 1] as Waiter).offset > offset) at--
    if (at === waiters.length) waiters.push({ offset, done })
    else waiters.splice(at, 0, { offset, done })
  }

  /** The offset is reached: everybody up to it is told. */
  release(reached: Offset): void {
    let count = 0
    while (count < this.#waiters.length && (this.#waiters[count] as Waiter).offset <= reached) count++
    if (count === 0) return
    for (const waiter of this.#waiters.splice(0, count)) waiter.done(ErrorCode.NONE)
  }

  fail(errorCode: number): void {
    for (const waiter of this.#waiters.splice(0)) waiter.done(errorCode)
  }
}
