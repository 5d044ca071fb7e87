// When clients work and when they rest: the same phases for all, drawn from the seed. Work comes in bursts, so that faults
// meet both a busy cluster and an idle one. Long runs rest more, and work gently most of the time: hours, not records.
import type { Random } from '../../../broker/clock.ts'

interface Phase {
  readonly fromMs: number
  readonly toMs: number
  /** How much longer than usual a writer waits between two batches. */
  readonly patience: number
}

export class Load {
  readonly #phases: Phase[] = []

  constructor(random: Random, untilMs: number, rest = 1) {
    let at = 500
    while (at < untilMs) {
      const toMs = at + 8_000 + random.below(30_000)
      const patience = rest === 1 || random.below(4) === 0 ? 1 : 2 * rest
      this.#phases.push({ fromMs: at, toMs, patience })
      at = toMs + (5_000 + random.below(45_000)) * rest
    }
  }

  isBusy(nowMs: number): boolean {
    return this.#phases.some(({ fromMs, toMs }) => nowMs >= fromMs && nowMs < toMs)
  }

  /** Of the phase that is on. */
  patience(): number {
    return this.#phases[0]?.patience ?? 1
  }

  /** Until somebody has to work again: 0 within a phase, Infinity after the last one. */
  restMs(nowMs: number): number {
    while ((this.#phases[0]?.toMs ?? Number.POSITIVE_INFINITY) <= nowMs) this.#phases.shift()
    const next = this.#phases[0]
    return next === undefined ? Number.POSITIVE_INFINITY : Math.max(0, next.fromMs - nowMs)
  }
}
