// Waits until the others know what is committed: a client that was told of a new topic should not find a broker that has
// not heard of it. Only those who fetched lately are waited for; who is silent must not hold up everybody.
import type { Offset } from '../../protocol/types.ts'
import type { Quorum } from '../../replication/quorum/state.ts'
import type { Clock, Timer } from '../clock.ts'

const LATELY_MS = 1000
const LOOK_AGAIN_MS = 100

interface Waiter {
  readonly endOffset: Offset
  readonly deadlineMs: number
  readonly resolve: () => void
}

export class KnownOffsets {
  readonly #quorum: Quorum
  readonly #clock: Clock
  #waiters: Waiter[] = []
  #timer: Timer | null = null

  constructor(quorum: Quorum, clock: Clock) {
    this.#quorum = quorum
    this.#clock = clock
  }

  when(endOffset: Offset, limitMs: number): Promise<void> {
    if (this.#isKnown(endOffset)) return Promise.resolve()
    return new Promise(resolve => {
      this.#waiters.push({ endOffset, deadlineMs: this.#clock.monotonicMs() + limitMs, resolve })
      this.#arm()
    })
  }

  /** Somebody fetched, or this node leads no more. */
  look(): void {
    if (this.#waiters.length === 0) return
    const nowMs = this.#clock.monotonicMs()
    this.#waiters = this.#waiters.filter(({ endOffset, deadlineMs, resolve }) => {
      const isOver = nowMs >= deadlineMs || this.#isKnown(endOffset)
      if (isOver) resolve()
      return !isOver
    })
    if (this.#waiters.length > 0) return
    this.#timer?.cancel()
    this.#timer = null
  }

  #arm(): void {
    this.#timer ??= this.#clock.after(LOOK_AGAIN_MS, () => {
      this.#timer = null
      this.look()
      if (this.#waiters.length > 0) this.#arm()
    })
  }

  #isKnown(endOffset: Offset): boolean {
    const { role } = this.#quorum
    if (role.kind !== 'leader') return true
    const sinceMs = this.#clock.monotonicMs() - LATELY_MS
    for (const { lastFetchMs, highWatermark, logEndOffset } of role.replicas.values()) {
      // Who does not say what it knows (before KIP-1166) is known by what it has.
      const known = highWatermark < 0 ? logEndOffset : highWatermark
      if (lastFetchMs >= sinceMs && lastFetchMs >= 0 && known < endOffset) return false
    }
    return true
  }
}
