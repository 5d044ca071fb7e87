// One process on one host of the simulated world: it has time, chance and a network, and everything that happens to it
// goes through `run`. Dead, nothing of it ever acts again: no timer, no answer of a disk, no byte. Stopped (SIGSTOP), what
// happens is held; when it goes on it sees its timers first and then what came meanwhile, as Node's event loop does.
import type { Clock } from '../../broker/clock.ts'
import type { Agenda, Entry } from './agenda.ts'
import type { Dice } from './dice.ts'
import type { Trace } from './trace.ts'

export type EventKind = 'timer' | 'io'

/** 2026-01-01: what the clocks of the simulated world show when it begins. */
export const EPOCH_MS = 1_767_225_600_000

/** How long a turn of the event loop takes, and by how much a timer may be late. */
const TURN_US = { least: 20, most: 120 }
const LATE_US = 400

export interface ProcessParts {
  readonly agenda: Agenda
  readonly trace: Trace
  readonly dice: Dice
  /** By how much its wall clock is wrong. */
  readonly skewMs: () => number
  /** The number of this process in the world. */
  readonly id: number
}

export class SimProcess {
  readonly #o: ProcessParts
  readonly #held: { readonly kind: EventKind; readonly fn: () => void }[] = []
  #ends: (() => void)[] = []
  #isPaused = false
  #isDead = false
  readonly clock: Clock
  /** Its own chance: uuids, ids of sessions, back-offs. */
  readonly random: Dice
  readonly #bornUs: number

  constructor(parts: ProcessParts) {
    this.#o = parts
    this.#bornUs = parts.agenda.nowUs
    this.random = parts.dice.of('random')
    this.clock = this.#clockOf(parts)
  }

  get isDead(): boolean {
    return this.#isDead
  }

  get isPaused(): boolean {
    return this.#isPaused
  }

  /** Something happens to the process. */
  run(kind: EventKind, fn: () => void): void {
    if (this.#isDead) return
    if (this.#isPaused) {
      this.#held.push({ kind, fn })
      return
    }
    const { trace, agenda, id } = this.#o
    trace.add(agenda.nowUs)
    trace.add(id * 2 + (kind === 'timer' ? 1 : 0))
    fn()
  }

  pause(): void {
    this.#isPaused = true
  }

  resume(): void {
    if (!this.#isPaused) return
    this.#isPaused = false
    const held = this.#held.splice(0)
    // An entry each: promises run out between them, as between the callbacks of an event loop.
    for (const kind of ['timer', 'io'] as const) {
      for (const each of held) if (each.kind === kind) this.#o.agenda.after(0, () => this.run(kind, each.fn))
    }
  }

  /** From now on nothing of it acts. What belongs to the system (its sockets) is told. */
  end(): void {
    if (this.#isDead) return
    this.#isDead = true
    this.#held.length = 0
    for (const each of this.#ends.splice(0)) each()
  }

  /** Called when the process has ended, however it did. */
  onEnd(fn: () => void): void {
    this.#ends.push(fn)
  }

  #clockOf({ agenda, dice, skewMs }: ProcessParts): Clock {
    const lateness = dice.of('timers')
    let turnUs = -1
    return {
      nowMs: () => EPOCH_MS + skewMs() + Math.floor(agenda.nowUs / 1000),
      monotonicMs: () => (agenda.nowUs - this.#bornUs) / 1000,
      after: (ms, fn) => {
        // As setTimeout: never less than a millisecond, and never early.
        const us = Math.max(1000, Math.ceil(Math.min(ms, 2 ** 31 - 1) * 1000)) + lateness.below(LATE_US)
        let entry: Entry | null = null
        let isCancelled = false
        entry = agenda.after(us, () =>
          this.run('timer', () => {
            if (!isCancelled) fn()
          })
        )
        return {
          cancel: () => {
            isCancelled = true
            agenda.cancel(entry as Entry)
          }
        }
      },
      // What arrives before this turn is over is still handled in it: the ends of a turn all come at the same moment.
      endOfTurn: fn => {
        if (turnUs <= agenda.nowUs) turnUs = agenda.nowUs + lateness.between(TURN_US.least, TURN_US.most)
        agenda.after(turnUs - agenda.nowUs, () => this.run('io', fn))
      }
    }
  }
}
