// The side of the load process that orchestrates: starts it, gives it orders one at a time, and says when it failed.
import { type ChildProcess, fork } from 'node:child_process'
import { once } from 'node:events'
import { join } from 'node:path'
import { atWorst } from './launch.ts'
import type { Answer, LifeOrder, Order } from './load.ts'
import { CannotRun, type Measured, type Scene } from './workload.ts'

export class Loader {
  readonly #child: ChildProcess
  #answer: ((answer: Answer) => void) | null = null

  constructor(progress: (text: string) => void) {
    this.#child = fork(join(import.meta.dirname, 'load.js'), {
      stdio: ['ignore', 'inherit', 'inherit', 'ipc'],
      // JSON has no NaN.
      serialization: 'advanced'
    })
    // Not SIGKILL: it may have brokers to end.
    const done = atWorst(() => this.#child.kill('SIGTERM'))
    this.#child.on('message', message => {
      const answer = message as Answer
      if (answer.answer === 'progress') progress(answer.text)
      else this.#answer?.(answer)
    })
    this.#child.once('exit', code => {
      done()
      this.#answer?.({ answer: 'failed', why: `the load ended with code ${code}` })
    })
  }

  async setUp(row: string, scene: Scene): Promise<void> {
    await this.#call({ order: 'set-up', row, scene })
  }

  measure(seconds: number): Promise<Measured> {
    return this.#measured({ order: 'measure', seconds })
  }

  live(row: string, life: LifeOrder): Promise<Measured> {
    return this.#measured({ order: 'live', row, life })
  }

  async #measured(order: Order): Promise<Measured> {
    const answer = await this.#call(order)
    if (answer.answer !== 'measured') throw new Error(`the load answered ${answer.answer}`)
    return answer.measured
  }

  async close(): Promise<void> {
    if (this.#child.exitCode !== null || this.#child.signalCode !== null) return
    const gone = once(this.#child, 'exit')
    await this.#call({ order: 'close' })
    await gone
  }

  /** Without farewell. */
  kill(): void {
    this.#child.kill('SIGTERM')
  }

  async #call(order: Order): Promise<Answer> {
    const answer = await new Promise<Answer>(resolve => {
      this.#answer = resolve
      this.#child.send(order)
    })
    this.#answer = null
    if (answer.answer === 'cannot') throw new CannotRun(answer.why)
    if (answer.answer === 'failed') throw new Error(answer.why)
    return answer
  }
}
