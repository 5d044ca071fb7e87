// Many deadlines, few timers: parked requests (Produce waiting for replicas, Fetch waiting for data) mostly end before
// their time is up. Those that wait equally long come due in the order of their coming, so each length has a list, and
// only the earliest of all has a timer. Lists are of links, not of slots: what is cancelled leaves nothing behind that
// the collector of garbage would have to copy.
import type { Clock, Timer } from './clock.ts'

/** One deadline, for cancel. */
export interface Deadline {
  /** In units of the granularity. */
  readonly due: number
}

class Entry implements Deadline {
  readonly due: number
  readonly expire: () => void
  before: Entry
  after: Entry

  constructor(due: number, expire: () => void) {
    this.due = due
    this.expire = expire
    this.before = this.after = this
  }

  /** Behind everything in the ring that `head` is the head of. */
  join(head: Entry): void {
    this.before = head.before
    this.after = head
    head.before.after = this
    head.before = this
  }

  leave(): void {
    this.before.after = this.after
    this.after.before = this.before
    this.before = this.after = this
  }
}

/** Lengths that nobody waits for any more are looked for when there are so many: they mostly come again at once. */
const LENGTHS_KEPT = 64
/** More come due at the same time where a thousand consumers wait equally long: those beyond are for the next turns. */
const EXPIRED_MAX = 128

export class Deadlines {
  readonly #clock: Clock
  readonly #granularityMs: number
  /** By whole milliseconds to wait: the head of a ring of entries, earliest first. */
  readonly #lengths = new Map<number, Entry>()
  #lengthsKept = LENGTHS_KEPT
  #timer: Timer | null = null
  #timerDue = Number.POSITIVE_INFINITY

  /** A deadline expires up to `granularityMs` and one millisecond late (in a crowd by some turns more), never early. */
  constructor(clock: Clock, granularityMs = 5) {
    this.#clock = clock
    this.#granularityMs = granularityMs
  }

  add(afterMs: number, expire: () => void): Deadline {
    const lengthMs = Math.ceil(Math.max(0, afterMs))
    const entry = new Entry(Math.ceil((this.#clock.monotonicMs() + lengthMs) / this.#granularityMs), expire)
    entry.join(this.#lengths.get(lengthMs) ?? this.#newLength(lengthMs))
    if (entry.due < this.#timerDue) this.#arm(entry.due)
    return entry
  }

  /** Once more is no harm. */
  cancel(deadline: Deadline): void {
    ;(deadline as Entry).leave()
  }

  #newLength(lengthMs: number): Entry {
    if (this.#lengths.size >= this.#lengthsKept) {
      for (const [key, head] of this.#lengths) if (head.after === head) this.#lengths.delete(key)
      this.#lengthsKept = Math.max(LENGTHS_KEPT, 2 * this.#lengths.size)
    }
    const head = new Entry(Number.POSITIVE_INFINITY, () => {})
    this.#lengths.set(lengthMs, head)
    return head
  }

  #arm(due: number): void {
    this.#timer?.cancel()
    this.#timerDue = due
    const waitMs = Math.max(0, due * this.#granularityMs - this.#clock.monotonicMs())
    this.#timer = this.#clock.after(waitMs, () => this.#expire())
  }

  #expire(): void {
    this.#timerDue = Number.POSITIVE_INFINITY
    const now = Math.floor(this.#clock.monotonicMs() / this.#granularityMs)
    let left = EXPIRED_MAX
    for (const head of this.#lengths.values()) {
      for (let first = head.after; first.due <= now && left > 0; first = head.after) {
        first.leave()
        first.expire()
        left--
      }
    }
    let earliest = Number.POSITIVE_INFINITY
    for (const head of this.#lengths.values()) if (head.after.due < earliest) earliest = head.after.due
    if (earliest < this.#timerDue) this.#arm(earliest)
  }
}
