// Many deadlines, few timers: parked requests (Produce waiting for replicas, Fetch waiting for data) mostly end before
// their time is up, so a deadline costs one entry in a set of its bucket, and only the earliest bucket has a timer.
import type { Clock, Timer } from './clock.ts'

export interface Deadline {
  /** The bucket, in units of the granularity; for cancel. */
  readonly bucket: number
  readonly expire: () => void
}

export class Deadlines {
  readonly #clock: Clock
  readonly #granularityMs: number
  readonly #buckets = new Map<number, Set<Deadline>>()
  #timer: Timer | null = null
  #timerBucket = Number.POSITIVE_INFINITY

  /** A deadline expires up to `granularityMs` late, never early. */
  constructor(clock: Clock, granularityMs = 5) {
    this.#clock = clock
    this.#granularityMs = granularityMs
  }

  add(afterMs: number, expire: () => void): Deadline {
    const bucket = Math.ceil((this.#clock.monotonicMs() + Math.max(0, afterMs)) / this.#granularityMs)
    const deadline = { bucket, expire }
    const entries = this.#buckets.get(bucket)
    if (entries) entries.add(deadline)
    else this.#buckets.set(bucket, new Set([deadline]))
    if (bucket < this.#timerBucket) this.#arm(bucket)
    return deadline
  }

  cancel(deadline: Deadline): void {
    const entries = this.#buckets.get(deadline.bucket)
    if (entries?.delete(deadline) && entries.size === 0) this.#buckets.delete(deadline.bucket)
  }

  #arm(bucket: number): void {
    this.#timer?.cancel()
    this.#timerBucket = bucket
    const waitMs = Math.max(0, bucket * this.#granularityMs - this.#clock.monotonicMs())
    this.#timer = this.#clock.after(waitMs, () => this.#expire())
  }

  #expire(): void {
    this.#timerBucket = Number.POSITIVE_INFINITY
    const now = Math.floor(this.#clock.monotonicMs() / this.#granularityMs)
    let earliest = Number.POSITIVE_INFINITY
    for (const [bucket, entries] of this.#buckets) {
      if (bucket <= now) {
        this.#buckets.delete(bucket)
        for (const each of entries) each.expire()
      }
    }
    for (const bucket of this.#buckets.keys()) if (bucket < earliest) earliest = bucket
    if (earliest < this.#timerBucket) this.#arm(earliest)
  }
}
