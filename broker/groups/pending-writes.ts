// Writes that wait for their commit, with a limit (offsets.commit.timeout.ms). Every write has the same limit, so the
// oldest is always the first to be given up: a queue, and no timer of its own.

export interface Write {
  readonly atMs: number
  isDone: boolean
  readonly giveUp: () => void
}

export class PendingWrites {
  readonly #writes: Write[] = []

  get earliestMs(): number {
    return this.#writes[0]?.atMs ?? Infinity
  }

  /** Calls `giveUp` at `atMs`, unless it is done before. */
  add(atMs: number, giveUp: () => void): Write {
    const write: Write = { atMs, isDone: false, giveUp }
    this.#writes.push(write)
    return write
  }

  /** Committed, or refused. */
  done(write: Write): void {
    write.isDone = true
    while (this.#writes[0]?.isDone) this.#writes.shift()
  }

  giveUpDue(nowMs: number): void {
    while (this.earliestMs <= nowMs) this.#writes.shift()?.giveUp()
  }
}
