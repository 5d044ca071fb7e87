// Fetches that wait: for one partition to move, for their connection to end, and for the look that all who were woken in
// one turn take at its end. A wait costs some entries in sets and no closures, because with many readers at a partition
// every move wakes all of them; what they then read alike is read once.
import type { Offset } from '../protocol/types.ts'
import type { Clock } from './clock.ts'
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

  wake(): void {
    if (this.#waiting === null) return
    for (const each of this.#waiting) each.wake()
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
