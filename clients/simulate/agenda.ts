// Everything that will happen, in one queue by (time, order of entry), and the loop that lets it happen. Between two
// entries every promise runs out, as between two callbacks of a real event loop. This is the only file of the
// simulator that the real event loop knows; time is an integer, in microseconds.

export interface Entry {
  readonly atUs: number
  readonly sequence: number
  readonly run: () => void
  /** Its place in the heap; -1 once it is out. */
  place: number
}

/** Entries per round of the real event loop: its own polling costs as much as many small entries. */
const PER_ROUND = 64

export class Agenda {
  readonly #heap: Entry[] = []
  #nowUs = 0
  #sequence = 0
  #isRunning = false
  /** How many entries have run. */
  count = 0

  get nowUs(): number {
    return this.#nowUs
  }

  get size(): number {
    return this.#heap.length
  }

  /** Runs after `us` microseconds, behind what is already there for that moment. */
  after(us: number, run: () => void): Entry {
    const entry = { atUs: this.#nowUs + Math.max(0, Math.ceil(us)), sequence: this.#sequence++, run, place: -1 }
    this.#heap.push(entry)
    this.#up(this.#heap.length - 1, entry)
    return entry
  }

  cancel(entry: Entry): void {
    const { place } = entry
    if (place < 0) return
    entry.place = -1
    const last = this.#heap.pop() as Entry
    if (last === entry) return
    this.#up(place, last)
    if (last.place === place) this.#down(place, last)
  }

  /** When the next entry is due; Infinity without one. */
  get nextUs(): number {
    return this.#heap[0]?.atUs ?? Number.POSITIVE_INFINITY
  }

  /** Lets everything happen up to `untilUs` or until `isDone` says so, which is asked before each entry. True if it did.
   *  Rejects with what an entry throws. */
  run(untilUs: number, isDone: () => boolean): Promise<boolean> {
    if (this.#isRunning) return Promise.reject(new Error('the world already runs'))
    this.#isRunning = true
    return new Promise<boolean>((resolve, reject) => {
      let isOver = false
      const end = (settle: () => void): void => {
        this.#isRunning = false
        isOver = true
        settle()
      }
      const step = (): void => {
        if (isOver) return
        try {
          if (isDone()) end(() => resolve(true))
          else if (this.nextUs <= untilUs) this.#runFirst()
          else {
            this.#nowUs = Math.max(this.#nowUs, untilUs)
            end(() => resolve(false))
          }
        } catch (error) {
          end(() => reject(error))
        }
      }
      const round = (): void => {
        if (isOver) return
        for (let i = 0; i < PER_ROUND; i++) setImmediate(step)
        setImmediate(round)
      }
      round()
    })
  }

  #runFirst(): void {
    const first = this.#heap[0] as Entry
    this.#nowUs = first.atUs
    this.count++
    first.place = -1
    const last = this.#heap.pop() as Entry
    if (last !== first) this.#down(0, last)
    first.run()
  }

  #up(from: number, entry: Entry): void {
    let place = from
    while (place > 0) {
      const above = (place - 1) >> 1
      const other = this.#heap[above] as Entry
      if (!isBefore(entry, other)) break
      this.#put(place, other)
      place = above
    }
    this.#put(place, entry)
  }

  #down(from: number, entry: Entry): void {
    let place = from
    for (;;) {
      let below = place * 2 + 1
      if (below >= this.#heap.length) break
      const right = this.#heap[below + 1]
      if (right !== undefined && isBefore(right, this.#heap[below] as Entry)) below++
      const other = this.#heap[below] as Entry
      if (!isBefore(other, entry)) break
      this.#put(place, other)
      place = below
    }
    this.#put(place, entry)
  }

  #put(place: number, entry: Entry): void {
    this.#heap[place] = entry
    entry.place = place
  }
}

function isBefore(a: Entry, b: Entry): boolean {
  return a.atUs < b.atUs || (a.atUs === b.atUs && a.sequence < b.sequence)
}
