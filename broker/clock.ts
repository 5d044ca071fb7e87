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
  endOfTurn
}

/** Work at the end of a turn brings more of it: a write to a file the answers to those who waited for it, those a write
 *  to their sockets. So many rounds belong to one turn; what goes on for longer has to let the loop turn. */
const ROUNDS = 4
let due: (() => void)[] = []
let isRunning = false

/** One immediate for all: with a hundred partitions at work each of them would have its own, and a turn of the loop more
 *  would lie between a request's append and its answer. */
function endOfTurn(fn: () => void): void {
  if (due.push(fn) === 1 && !isRunning) setImmediate(runDue)
}

function runDue(): void {
  isRunning = true
  let running: (() => void)[] = []
  let at = 0
  try {
    for (let round = 0; round < ROUNDS && due.length > 0; round++) {
      running = due
      due = []
      for (at = 0; at < running.length; ) (running[at++] as () => void)()
    }
  } finally {
    isRunning = false
    // Who throws keeps nobody else from his turn.
    if (at < running.length) due = [...running.slice(at), ...due]
    if (due.length > 0) setImmediate(runDue)
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
