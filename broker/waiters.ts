// Requests that wait for an offset of one partition to be reached: a high watermark, a written end, a low watermark.

import { ErrorCode } from '../protocol/errors.ts'
import type { Offset } from '../protocol/types.ts'

export interface Waiter {
  /** Called once: NONE, or why the offset may never be reached here. */
  done(errorCode: number): void
}

export class Waiters {
  /** By offset; who waits for which stands at the same place in the other. */
  #offsets: Offset[] = []
  #waiters: Waiter[] = []

  get isEmpty(): boolean {
    return this.#waiters.length === 0
  }

  /** Waiters mostly come in order; only a duplicate's old offset goes further to the front. */
  add(offset: Offset, waiter: Waiter): void {
    const offsets = this.#offsets
    let at = offsets.length
    while (at > 0 && (offsets[at - 1] as Offset) > offset) at--
    if (at === offsets.length) {
      offsets.push(offset)
      this.#waiters.push(waiter)
    } else {
      offsets.splice(at, 0, offset)
      this.#waiters.splice(at, 0, waiter)
    }
  }

  /** The offset is reached: everybody up to it is told. */
  release(reached: Offset): void {
    const offsets = this.#offsets
    let count = 0
    while (count < offsets.length && (offsets[count] as Offset) <= reached) count++
    if (count > 0) this.#tell(count, ErrorCode.NONE)
  }

  fail(errorCode: number): void {
    this.#tell(this.#waiters.length, errorCode)
  }

  /** The first so many; they may come back, or others may, while they are told. */
  #tell(count: number, errorCode: number): void {
    let told = this.#waiters
    if (count === told.length) {
      this.#waiters = []
      this.#offsets = []
    } else {
      told = told.splice(0, count)
      this.#offsets.splice(0, count)
    }
    for (const waiter of told) waiter.done(errorCode)
  }
}
