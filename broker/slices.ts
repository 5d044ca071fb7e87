// A long list gone through in slices, one in each turn of the event loop, so that others are served meanwhile. What it is
// about may change between two slices: whoever is visited is looked up then, not before.
import type { Clock } from './clock.ts'

/** So long may a slice be. */
const SLICE_MS = 4
/** And so many are visited in one: what each of them begins goes on behind the slice, in the same turn. */
const SLICE_COUNT = 256

export async function inSlices<T>(clock: Clock, items: Iterable<T>, visit: (item: T) => void): Promise<void> {
  let beganMs = clock.monotonicMs()
  let count = 0
  for (const item of items) {
    if (count === SLICE_COUNT || clock.monotonicMs() - beganMs > SLICE_MS) {
      await new Promise<void>(resolve => clock.endOfTurn(resolve))
      beganMs = clock.monotonicMs()
      count = 0
    }
    visit(item)
    count++
  }
}
