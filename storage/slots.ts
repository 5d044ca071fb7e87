// The order of asynchronous work: so many pieces at a time (Slots), or one after the other for one name (Turns).

/** So many pieces of work at a time, the rest in the order of their coming. */
export class Slots {
  #free: number
  readonly #waiting: (() => void)[] = []

  constructor(count: number) {
    this.#free = count
  }

  async run<T>(work: () => Promise<T>): Promise<T> {
    if (this.#free > 0) this.#free--
    else await new Promise<void>(resolve => this.#waiting.push(resolve))
    try {
      return await work()
    } finally {
      const next = this.#waiting.shift()
      if (next) next()
      else this.#free++
    }
  }
}

/** Work on one name goes one after the other, whether it succeeds or not; other names do not wait for it. */
export class Turns {
  readonly #last = new Map<string, Promise<unknown>>()

  run<T>(name: string, work: () => Promise<T>): Promise<T> {
    const before = this.#last.get(name)
    const done = before ? before.then(work, work) : work()
    this.#last.set(name, done)
    const forget = () => {
      if (this.#last.get(name) === done) this.#last.delete(name)
    }
    done.then(forget, forget)
    return done
  }

  /** Resolves when what was given until now is over. */
  async settled(): Promise<void> {
    await Promise.allSettled(this.#last.values())
  }
}
