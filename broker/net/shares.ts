// A share of the memory in flight: taken in order of arrival, waited for where there is not enough, and taken away from
// who holds what others wait for and does nothing.
import type { Clock, Timer } from '../clock.ts'

/** Who holds memory until his peer has done its part. */
export interface Holder {
  /** Grows while the peer does that. */
  readonly movedBytes: number
  /** Others waited in vain. */
  abandon(reason: string): void
}

export interface Waiter {
  readonly bytes: number
  readonly granted: () => void
}

/** Bytes of one kind, in order of arrival where there is not enough. */
export class Share {
  readonly #fits: (bytes: number) => boolean
  readonly #stalls: Stalled
  usedBytes = 0
  readonly waiting = new Set<Waiter>()
  #isGranting = false

  constructor(stalls: Stalled, fits: (bytes: number) => boolean) {
    this.#stalls = stalls
    this.#fits = fits
  }

  /** True if the bytes are taken now; otherwise `granted` is called once they are, unless the waiter is dropped. */
  take(bytes: number, granted: () => void): Waiter | true {
    if (this.waiting.size === 0 && this.#fits(bytes)) {
      this.usedBytes += bytes
      return true
    }
    const waiter = { bytes, granted }
    this.waiting.add(waiter)
    this.#stalls.watch()
    return waiter
  }

  /** Whoever is granted something may give a part of it back at once: the next get it from here, not from within his call,
   *  where a thousand who wait would be a thousand calls deep. */
  grant(): void {
    if (this.#isGranting) return
    this.#isGranting = true
    try {
      for (const waiter of this.waiting) {
        if (!this.#fits(waiter.bytes)) return
        this.waiting.delete(waiter)
        this.usedBytes += waiter.bytes
        waiter.granted()
      }
    } finally {
      this.#isGranting = false
    }
  }
}

/** Ends holders that do not move while somebody waits for what they hold. */
export class Stalled {
  readonly #clock: Clock
  readonly #everyMs: number
  readonly #isWaitedFor: () => boolean
  readonly #reason: string
  readonly #holders = new Map<Holder, number>()
  #timer: Timer | null = null
  abandoned = 0

  constructor(clock: Clock, everyMs: number, reason: string, isWaitedFor: () => boolean) {
    this.#clock = clock
    this.#everyMs = everyMs
    this.#reason = reason
    this.#isWaitedFor = isWaitedFor
  }

  add(holder: Holder): void {
    this.#holders.set(holder, -1)
  }

  delete(holder: Holder): void {
    this.#holders.delete(holder)
  }

  /** Somebody waits. */
  watch(): void {
    this.#timer ??= this.#clock.after(this.#everyMs, () => this.#look())
  }

  #look(): void {
    this.#timer = null
    if (!this.#isWaitedFor()) {
      for (const holder of this.#holders.keys()) this.#holders.set(holder, -1)
      return
    }
    for (const [holder, before] of this.#holders) {
      const now = holder.movedBytes
      if (now !== before) this.#holders.set(holder, now)
      else {
        this.#holders.delete(holder)
        this.abandoned++
        holder.abandon(this.#reason)
      }
    }
    this.watch()
  }
}
