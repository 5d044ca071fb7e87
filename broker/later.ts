// An answer that is not known yet, for the one who waits for it: he is called in the very call that brings it. A promise
// says the same, but takes four objects and two rounds of the microtask queue at each step of the way from a handler to
// its connection, which for a small request is more than the work itself.
import assert from 'node:assert/strict'

export class Later<T> {
  #isSettled = false
  #value: T | undefined
  #error: unknown = null
  #done: ((value: T) => void) | null = null
  #failed: ((error: unknown) => void) | null = null

  settle(value: T): void {
    assert(!this.#isSettled, 'an answer comes once')
    this.#isSettled = true
    if (this.#done === null) this.#value = value
    else this.#done(value)
  }

  fail(error: unknown): void {
    assert(!this.#isSettled, 'an answer comes once')
    this.#isSettled = true
    if (this.#failed === null) this.#error = error
    else this.#failed(error)
  }

  /** For one who waits, once. Called at once where the answer is here; `await` knows it too. */
  // biome-ignore lint/suspicious/noThenProperty: meant to be awaited where one does not count microseconds
  then(done: (value: T) => void, failed: (error: unknown) => void): void {
    assert(this.#done === null, 'one waits for an answer')
    this.#done = done
    this.#failed = failed
    if (!this.#isSettled) return
    if (this.#error === null) done(this.#value as T)
    else failed(this.#error)
  }

  /** What becomes of the answer, or of its failure; what either throws is the failure of that. */
  map<U>(of: (value: T) => U, ofFailure: (error: unknown) => U): Later<U> {
    const mapped = new Later<U>()
    this.then(
      value => mapped.#take(of, value),
      error => mapped.#take(ofFailure, error)
    )
    return mapped
  }

  #take<V>(of: (value: V) => T, value: V): void {
    let result: T
    try {
      result = of(value)
    } catch (error) {
      this.fail(error)
      return
    }
    this.settle(result)
  }
}

export function isLater<T>(answer: T | Promise<T> | Later<T>): answer is Promise<T> | Later<T> {
  return answer instanceof Later || answer instanceof Promise
}
