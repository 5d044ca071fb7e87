// The side of the load process that orchestrates: starts it, gives it orders one at a time, and says when it failed.
import { type ChildProcess, fork } from 'node:child_process'
import { once } from 'node:events'
import { join } from 'node:path'
import type { Answer, Order } from './load.ts'
import { atWorst } from './subject.ts'
import { CannotRun, type Measured, type Scene } from './workload.ts'

export class Loader {
  readonly #child: ChildProcess
  #answer: ((answer: Answer) => void) | null = null

  constructor() {
    this.#child = fork(join(import.meta.dirname, 'load.js'), { stdio: ['ignore', 'inherit', 'inherit', 'ipc'] })
    const done = atWorst(() => this.#child.kill('SIGKILL'))
    this.#child.on('message', answer => this.#answer?.(answer as Answer))
    this.#child.once('exit', code => {
      done()
      this.#answer?.({ answer: 'failed', why: `the load ended with code ${code}` })
    })
  }

  async setUp(row: string, scene: Scene): Promise<void> {
    await this.#call({ order: 'set-up', row, scene })
  }

  async measure(seconds: number): Promise<Measured> {
    const answer = await this.#call({ order: 'measure', seconds })
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
    this.#child.kill('SIGKILL')
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
