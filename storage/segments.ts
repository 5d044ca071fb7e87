// The segments of one log, by base offset. Never empty; the last one is active: only it takes batches.
import assert from 'node:assert/strict'
import type { Offset } from '../protocol/types.ts'
import type { Segment } from './segment.ts'

export class Segments {
  #sorted: Segment[]

  constructor(sorted: Segment[]) {
    assert(sorted.length > 0)
    this.#sorted = sorted
  }

  get count(): number {
    return this.#sorted.length
  }

  get first(): Segment {
    return this.#sorted[0] as Segment
  }

  get active(): Segment {
    return this.#sorted[this.#sorted.length - 1] as Segment
  }

  get sizeInBytes(): number {
    let size = 0
    for (const segment of this.#sorted) size += segment.sizeInBytes
    return size
  }

  [Symbol.iterator](): Iterator<Segment> {
    return this.#sorted[Symbol.iterator]()
  }

  at(index: number): Segment | undefined {
    return this.#sorted[index]
  }

  indexOf(segment: Segment): number {
    const index = this.floorIndex(segment.baseOffset)
    return this.#sorted[index] === segment ? index : -1
  }

  /** Index of the last segment that begins at or before `offset`, -1 when none does. */
  floorIndex(offset: Offset): number {
    let low = -1
    let high = this.#sorted.length - 1
    while (low < high) {
      const middle = (low + high + 1) >> 1
      if ((this.#sorted[middle] as Segment).baseOffset <= offset) low = middle
      else high = middle - 1
    }
    return low
  }

  add(segment: Segment): void {
    assert(segment.baseOffset > this.active.baseOffset)
    this.#sorted.push(segment)
  }

  /** Takes `count` segments out from `index` on and puts others in their place. */
  replace(index: number, count: number, others: Segment[] = []): Segment[] {
    const removed = this.#sorted.splice(index, count, ...others)
    assert(this.#sorted.length > 0)
    return removed
  }
}
