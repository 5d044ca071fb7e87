// Fetches that wait: for one partition to move, for their connection to end, and for the look that all who were woken in
// one turn take at its end. A wait costs some entries in sets and no closures, because with many readers at a partition
// every move wakes all of them; what they then read alike is read once.
import type { Offset } from '../protocol/types.ts'
import type { Clock, Timer } from './clock.ts'
import type { Partition } from './partition.ts'

/** It leaves all readers that it is among when it is woken. */
export interface Waiting {
  wake(): void
  /** At the end of the turn in which it was woken. */
  look(): void
}

/** Who waits for one thing. */
export class Readers {
  #waiting: Set<Waiting> | null = null

  add(waiting: Waiting): void {
    this.#waiting ??= new Set()
    this.#waiting.add(waiting)
  }

  delete(waiting: Waiting): void {
    this.#waiting?.delete(waiting)
  }

  get size(): number {
    return this.#waiting?.size ?? 0
  }

  wake(): void {
    if (this.#waiting === null) return
    for (const each of this.#waiting) each.wake()
  }
}

/** So many that wait for one partition are a crowd. */
const CROWD = 8
/** A wake-up costs some 25 us for each: this way they take a sixth of the loop's time at most. */
const REST_MS_EACH = 0.15
const REST_MS_MAX = 5

/** The consumers of one partition. A crowd is woken in rounds, with a rest between them in which records gather: without
 *  it every record would be a request and an answer for each of them. Who is behind the last round is not kept waiting,
 *  and neither is who comes alone. */
export class Consumers extends Readers {
  readonly #clock: Clock
  #restsUntilMs = 0
  #timer: Timer | null = null
  #end: Offset = 0
  /** What could be read when the last round began. */
  #toldEnd: Offset = 0

  constructor(clock: Clock) {
    super()
    this.#clock = clock
  }

  /** There is more to read, up to `end`. */
  moved(end: Offset): void {
    this.#end = end
    if (this.#restsUntilMs > 0 && this.#clock.monotonicMs() < this.#restsUntilMs) {
      if (this.size > 0) this.#arm()
    } else this.#round()
  }

  /** How long a consumer that has everything before `from` is to wait for the next round; 0: there is none. */
  restMs(from: Offset): number {
    if (this.#restsUntilMs === 0 || from < this.#toldEnd) return 0
    return Math.max(0, this.#restsUntilMs - this.#clock.monotonicMs())
  }

  /** Until the next round, which comes though nothing moves. */
  addResting(waiting: Waiting): void {
    this.add(waiting)
    this.#arm()
  }

  #arm(): void {
    this.#timer ??= this.#clock.after(this.#restsUntilMs - this.#clock.monotonicMs(), () => {
      this.#timer = null
      this.#round()
    })
  }

  #round(): void {
    const { size } = this
    this.#toldEnd = this.#end
    this.#restsUntilMs = size < CROWD ? 0 : this.#clock.monotonicMs() + Math.min(size * REST_MS_EACH, REST_MS_MAX)
    this.wake()
  }
}

const ofSignals = new WeakMap<AbortSignal, Readers>()

/** Woken when the signal is aborted: a connection has one listener, however many fetches it waits for in its life. */
export function readersOf(signal: AbortSignal): Readers {
  let readers = ofSignals.get(signal)
  if (readers === undefined) {
    const made = new Readers()
    signal.addEventListener('abort', () => made.wake(), { once: true })
    ofSignals.set(signal, made)
    readers = made
  }
  return readers
}

/** What several fetches read alike in one turn, in memory of its own. */
export interface SharedRead {
  readonly partition: Partition
  readonly from: Offset
  readonly upto: Offset
  readonly maxBytes: number
  readonly records: readonly Buffer[]
  readonly sizeInBytes: number
}

/** Those that were woken in this turn: all moves of one turn are answered by one look. */
export class Looks {
  readonly #clock: Clock
  #due: Waiting[] = []
  /** What the last of them read, for the next; null outside of their turn. */
  shared: SharedRead | null = null
  /** More than one looks in this turn. */
  isShared = false

  constructor(clock: Clock) {
    this.#clock = clock
  }

  add(waiting: Waiting): void {
    if (this.#due.push(waiting) === 1) this.#clock.endOfTurn(() => this.#look())
  }

  #look(): void {
    const due = this.#due
    this.#due = []
    this.isShared = due.length > 1
    for (const each of due) each.look()
    this.isShared = false
    this.shared = null
  }
}
