// Makes a failing list of faults short: leaves out halves, then quarters, then single ones, as long as the same promise is
// still broken. Every try is a whole run on the same seed; a run that fails otherwise counts as one that does not fail.
import type { Fault } from './faults.ts'

export interface Shrunk {
  readonly faults: readonly Fault[]
  readonly tries: number
}

/** `fails` runs with these faults and says whether the same promise is broken. */
export async function shrink(
  faults: readonly Fault[],
  fails: (faults: readonly Fault[]) => Promise<boolean>,
  mostTries: number
): Promise<Shrunk> {
  let kept = faults
  let tries = 0
  let size = Math.ceil(kept.length / 2)
  while (size >= 1 && kept.length > 0) {
    let isShorter = false
    for (let from = 0; from < kept.length && tries < mostTries; ) {
      const without = [...kept.slice(0, from), ...kept.slice(from + size)]
      tries++
      if (await fails(without)) {
        kept = without
        isShorter = true
      } else from += size
    }
    if (tries >= mostTries || (size === 1 && !isShorter)) break
    size = size === 1 ? 1 : Math.ceil(size / 2)
  }
  return { faults: kept, tries }
}
