// Directories that were renamed to `-delete` and wait for file.delete.delay.ms before their files go: readers that were
// in the middle of them get their time. One timer for all; files go one directory after the other.
import type { Files } from './files.ts'
import type { StorageClock } from './storage-clock.ts'

interface Doomed {
  readonly path: string
  readonly dueMs: number
}

export class Deletions {
  readonly #files: Files
  readonly #clock: StorageClock
  readonly #onDone: (path: string, error: unknown) => void
  /** In the order of their due times. */
  readonly #doomed: Doomed[] = []
  #timer: { cancel(): void } | null = null
  #working: Promise<void> | null = null
  #isStopped = false

  constructor(files: Files, clock: StorageClock, onDone: (path: string, error: unknown) => void) {
    this.#files = files
    this.#clock = clock
    this.#onDone = onDone
  }

  get count(): number {
    return this.#doomed.length
  }

  schedule(path: string, delayMs: number): void {
    const dueMs = this.#clock.monotonicMs() + delayMs
    let at = this.#doomed.length
    while (at > 0 && (this.#doomed[at - 1] as Doomed).dueMs > dueMs) at--
    this.#doomed.splice(at, 0, { path, dueMs })
    if (at === 0) this.#arm()
  }

  /** Deletes no more; what waits is dropped at the next start. */
  async stop(): Promise<void> {
    this.#isStopped = true
    this.#timer?.cancel()
    await this.#working
  }

  #arm(): void {
    this.#timer?.cancel()
    this.#timer = null
    const first = this.#doomed[0]
    if (first === undefined || this.#isStopped || this.#working) return
    this.#timer = this.#clock.after(Math.max(0, first.dueMs - this.#clock.monotonicMs()), () => {
      this.#working = this.#deleteDue().finally(() => {
        this.#working = null
        this.#arm()
      })
    })
  }

  async #deleteDue(): Promise<void> {
    for (;;) {
      const first = this.#doomed[0]
      if (first === undefined || this.#isStopped || first.dueMs > this.#clock.monotonicMs()) return
      this.#doomed.shift()
      const error = await this.#files.removeDirectory(first.path).then(
        () => null,
        error => error
      )
      this.#onDone(first.path, error)
    }
  }
}
