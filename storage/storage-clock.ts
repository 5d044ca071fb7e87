// Time as storage sees it: the part of the broker's clock that it needs. Passed in, never taken.
import type { TimestampMs } from '../protocol/types.ts'

export interface StorageClock {
  nowMs(): TimestampMs
  monotonicMs(): number
  /** Runs `fn` once everything that this turn of the event loop received has been handled. */
  endOfTurn(fn: () => void): void
  after(ms: number, fn: () => void): { cancel(): void }
}
