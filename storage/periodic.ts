// One task for all logs that comes again: the next time is counted from the end of the last, never two at once.
import type { StorageClock } from './storage-clock.ts'

export class Periodic {
  readonly #clock: StorageClock
  readonly #intervalMs: () => number
  readonly #work: () => Promise<void>
  #timer: { cancel(): void } | null = null
  #running: Promise<void> = Promise.resolve()
  #isStopped = false

  /** `work` must not reject. */
  constructor(clock: StorageClock, intervalMs: () => number, work: () => Promise<void>) {
    this.#clock = clock
    this.#intervalMs = intervalMs
    this.#work = work
  }

  start(firstMs: number): void {
    if (this.#isStopped) return
    this.#timer = this.#clock.after(firstMs, () => {
      this.#running = this.#work().then(() => this.start(Math.max(1, this.#intervalMs())))
    })
  }

  /** Resolves when a run that had begun is over; none follows. */
  async stop(): Promise<void> {
    this.#isStopped = true
    this.#timer?.cancel()
    await this.#running
  }
}
