// Time and chance as the broker sees them: given to the top object, so that the whole broker runs on a simulated
// clock and one seed. Everything below broker.ts takes these as parameters; nobody else calls Date or setTimeout.
import { randomBytes, randomInt } from 'node:crypto'
import { performance } from 'node:perf_hooks'

export interface Timer {
  cancel(): void
}

export interface Clock {
  /** Wall clock, milliseconds since 1970: for timestamps that leave the process. */
  nowMs(): number
  /** Never goes back: for deadlines and durations, in milliseconds. */
  monotonicMs(): number
  /** Runs `fn` once, not before `ms` milliseconds have passed. Does not keep the process alive. */
  after(ms: number, fn: () => void): Timer
  /** Runs `fn` once everything that this turn of the event loop received has been handled. */
  endOfTurn(fn: () => void): void
}

export interface Random {
  /** 16 random bytes as a Kafka uuid (22 characters), never the zero uuid and never beginning with '-'. */
  uuid(): string
  /** A random integer with 0 <= n < limit. */
  below(limit: number): number
}

const LONGEST_TIMER_MS = 2 ** 31 - 1

export const systemClock: Clock = {
  nowMs: () => Date.now(),
  monotonicMs: () => performance.now(),
  after(ms, fn) {
    const timer = setTimeout(fn, Math.min(Math.max(0, ms), LONGEST_TIMER_MS))
    timer.unref()
    return { cancel: () => clearTimeout(timer) }
  },
  endOfTurn(fn) {
    setImmediate(fn)
  }
}

export const systemRandom: Random = {
  uuid() {
    for (;;) {
      const text = randomBytes(16).toString('base64url')
      // Kafka's tools read a leading '-' as an option (Uuid.randomUuid skips it for the same reason).
      if (!text.startsWith('-') && text !== 'AAAAAAAAAAAAAAAAAAAAAA' && text !== 'AAAAAAAAAAAAAAAAAAAAAQ') return text
    }
  },
  below: limit => randomInt(limit)
}
