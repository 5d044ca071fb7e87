// Writes that wait for their commit, with a limit (offsets.commit.timeout.ms). Every write has the same limit, so the
// oldest is always the first to be given up: a queue, and no timer of its own.

interface Write {
  readonly atMs: number
  isDone: boolean
  readonly giveUp: () => void
}

/** Not committed in time; it may be committed yet. */
export class CommitTimeout extends Error {}

export class PendingWrites {
  readonly #writes: Write[] = []

  get earliestMs(): number {
    return this.#writes[0]?.atMs ?? Infinity
  }

  /** The reply, or a CommitTimeout at `atMs`. */
  add<T>(reply: Promise<T>, atMs: number): Promise<T> {
    return new Promise((resolve, reject) => {
      const write: Write = { atMs, isDone: false, giveUp: () => reject(new CommitTimeout('not committed in time')) }
      this.#writes.push(write)
      reply
        .finally(() => {
          write.isDone = true
          while (this.#writes[0]?.isDone) this.#writes.shift()
        })
        .then(resolve, reject)
    })
  }

  giveUpDue(nowMs: number): void {
    while (this.earliestMs <= nowMs) this.#writes.shift()?.giveUp()
  }
}
