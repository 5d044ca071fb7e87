// Runs the pure quorum: jobs one after another, the inputs that a job gives before the next job, and all effects of an
// input, in order, before the next input. What takes time (the quorum-state file, cutting the log) holds back all that
// follows, so that nothing is decided on a log or a vote that is about to change.
import { type Effect, type Input, nextDeadlineMs, type Quorum, step } from '../../replication/quorum/step.ts'
import type { Clock, Random, Timer } from '../clock.ts'
import type { Stalls } from '../stalls.ts'

/** Looks at the world, changes it perhaps, and says what the quorum has to know of it. */
export type Job = () => readonly Input[] | Promise<readonly Input[]>

export interface RunnerOptions {
  readonly quorum: Quorum
  readonly clock: Clock
  readonly random: Random
  readonly stalls: Stalls
  /** What it returns is waited for. */
  readonly perform: (effect: Effect) => Promise<undefined> | undefined
  /** Everything that was known is done. */
  readonly onSettled: () => void
  /** An effect or a job failed: nothing is done any more. */
  readonly onFailure: (error: unknown) => void
}

const NO_INPUT: readonly Input[] = []
const CHANCES = 2 ** 31

export class QuorumRunner {
  readonly #o: RunnerOptions
  #jobs: Job[] = []
  #inputs: Input[] = []
  #effects: Effect[] = []
  #isBusy = false
  #isStopped = false
  #timer: Timer | null = null
  #timerMs = Number.POSITIVE_INFINITY
  #creditedMs = 0
  #waiting: (() => void)[] = []

  constructor(o: RunnerOptions) {
    this.#o = o
    this.#creditedMs = o.stalls.totalMs
  }

  take(input: Input): void {
    this.run(() => [input])
  }

  run(job: Job): void {
    if (this.#isStopped) return
    this.#jobs.push(job)
    this.#drain()
  }

  /** Resolves when all that is known now is done, or will not be. */
  settled(): Promise<void> {
    if (this.#isStopped || !this.#isBusy) return Promise.resolve()
    return new Promise(resolve => this.#waiting.push(resolve))
  }

  /** What is under way ends; nothing new begins. */
  stop(): void {
    this.#isStopped = true
    this.#jobs = []
    this.#inputs = []
    this.#effects = []
    this.#timer?.cancel()
    this.#timer = null
    for (const resolve of this.#waiting.splice(0)) resolve()
  }

  #drain(): void {
    if (this.#isBusy) return
    this.#isBusy = true
    try {
      for (;;) {
        const pause = this.#next()
        if (pause === 'nothing left') break
        if (pause) {
          this.#resumeAfter(pause)
          return
        }
      }
    } catch (error) {
      this.#fail(error)
      return
    }
    this.#isBusy = false
    if (this.#isStopped) return
    this.#arm()
    this.#o.onSettled()
    for (const resolve of this.#waiting.splice(0)) resolve()
  }

  /** One effect, input or job; a promise where it takes time. */
  #next(): Promise<readonly Input[] | undefined> | 'nothing left' | undefined {
    const effect = this.#effects.shift()
    if (effect) return this.#o.perform(effect)
    const input = this.#inputs.shift()
    if (input) {
      const { clock, quorum, random } = this.#o
      this.#effects = step(quorum, input, { nowMs: clock.monotonicMs(), chance: random.below(CHANCES) / CHANCES })
      return
    }
    const job = this.#jobs.shift()
    if (!job) return 'nothing left'
    const inputs = job()
    if (inputs instanceof Promise) return inputs
    this.#inputs.push(...inputs)
    return
  }

  #resumeAfter(pause: Promise<readonly Input[] | undefined>): void {
    pause.then(
      inputs => {
        this.#isBusy = false
        if (this.#isStopped) return
        this.#inputs.push(...(inputs ?? NO_INPUT))
        this.#drain()
      },
      error => this.#fail(error)
    )
  }

  #fail(error: unknown): void {
    if (this.#isStopped) return
    this.stop()
    this.#o.onFailure(error)
  }

  /** Deadlines mostly move away: a timer that comes too early looks again, which is cheaper than a new one each time. */
  #arm(): void {
    const { clock, quorum } = this.#o
    const deadlineMs = nextDeadlineMs(quorum)
    if (deadlineMs === Number.POSITIVE_INFINITY || (this.#timer && this.#timerMs <= deadlineMs)) return
    this.#timer?.cancel()
    this.#timerMs = deadlineMs
    this.#timer = clock.after(Math.max(0, deadlineMs - clock.monotonicMs()), () => {
      this.#timer = null
      this.#fire()
    })
  }

  #fire(): void {
    const stalledMs = this.#newlyStalledMs()
    if (stalledMs === 0) {
      this.#tick()
      return
    }
    // What arrived while this process stood still is heard before anybody is called silent.
    this.#o.stalls.afterPoll(() => {
      this.take({ kind: 'stalled', forMs: stalledMs })
      this.#tick()
    })
  }

  #tick(): void {
    const { clock, quorum } = this.#o
    if (this.#isStopped) return
    if (clock.monotonicMs() >= nextDeadlineMs(quorum)) this.take({ kind: 'ticked' })
    else if (!this.#isBusy) this.#arm()
  }

  #newlyStalledMs(): number {
    const totalMs = this.#o.stalls.totalMs
    const newMs = totalMs - this.#creditedMs
    this.#creditedMs = totalMs
    return newMs
  }
}
