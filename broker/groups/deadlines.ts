// Many deadlines, one timer: a binary heap of (when, what). Moving a deadline pushes it anew; entries that are no longer
// the latest word on their subject are skipped when they come up. Times on the monotonic clock, in milliseconds.

interface Entry<T> {
  readonly atMs: number
  readonly of: T
}

export class Deadlines<T> {
  readonly #heap: Entry<T>[] = []
  readonly #latest: Map<T, number> = new Map()

  /** The earliest deadline, Infinity where there is none. It may be one that was moved: then nothing is due at it. */
  get earliestMs(): number {
    return this.#heap[0]?.atMs ?? Infinity
  }

  /** Sets the only deadline of a subject; Infinity takes it away. */
  set(of: T, atMs: number): void {
    if (this.#latest.get(of) === atMs) return
    if (atMs === Infinity) {
      this.#latest.delete(of)
      return
    }
    this.#latest.set(of, atMs)
    this.#heap.push({ atMs, of })
    this.#rise(this.#heap.length - 1)
    // Moved deadlines leave dead entries behind: never more of them than live ones.
    if (this.#heap.length > 2 * this.#latest.size + 64) this.#rebuild()
  }

  /** Takes out the subjects whose deadline has come. */
  takeDue(nowMs: number): T[] {
    const due: T[] = []
    while (this.earliestMs <= nowMs) {
      const { atMs, of } = this.#pop()
      if (this.#latest.get(of) !== atMs) continue
      this.#latest.delete(of)
      due.push(of)
    }
    return due
  }

  #pop(): Entry<T> {
    const heap = this.#heap
    const top = heap[0] as Entry<T>
    const last = heap.pop() as Entry<T>
    if (heap.length > 0) {
      heap[0] = last
      this.#sink(0)
    }
    return top
  }

  #rise(from: number): void {
    const heap = this.#heap
    const entry = heap[from] as Entry<T>
    let at = from
    while (at > 0) {
      const parent = (at - 1) >> 1
      if ((heap[parent] as Entry<T>).atMs <= entry.atMs) break
      heap[at] = heap[parent] as Entry<T>
      at = parent
    }
    heap[at] = entry
  }

  #sink(from: number): void {
    const heap = this.#heap
    const entry = heap[from] as Entry<T>
    let at = from
    for (;;) {
      let child = 2 * at + 1
      if (child >= heap.length) break
      if (child + 1 < heap.length && (heap[child + 1] as Entry<T>).atMs < (heap[child] as Entry<T>).atMs) child++
      if ((heap[child] as Entry<T>).atMs >= entry.atMs) break
      heap[at] = heap[child] as Entry<T>
      at = child
    }
    heap[at] = entry
  }

  #rebuild(): void {
    this.#heap.length = 0
    for (const [of, atMs] of this.#latest) {
      this.#heap.push({ atMs, of })
      this.#rise(this.#heap.length - 1)
    }
  }
}
