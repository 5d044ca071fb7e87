// What clients sent and what they were told: the half of the truth that brokers cannot change. A send is one batch of one
// writer to one partition, in one or more attempts; what became of each attempt follows DESIGN's words: acked, refused
// (an error before the append), and everything else unknown.
import { ErrorCode } from '../../protocol/errors.ts'
import type { Offset } from '../../protocol/types.ts'

export type Outcome = 'acked' | 'refused' | 'unknown'

export interface Send {
  readonly writer: string
  readonly partition: string
  readonly fingerprint: number
  readonly count: number
  readonly producerId: number
  readonly producerEpoch: number
  readonly sequence: number
  readonly sentMs: number
  /** Attempts that are under way or whose end is not known: each may have put the batch into the log. */
  possible: number
  refused: number
  /** Base offset as told, -1 before. */
  ackedAt: Offset
  /** Base offsets at which the batch was committed. */
  readonly found: Offset[]
}

/** Errors of Produce that are given before anything is appended, whatever happened meanwhile. The others, among them
 *  NOT_LEADER_OR_FOLLOWER, may come to one that waits for its commit. */
const BEFORE_APPEND = new Set<number>([
  ErrorCode.CORRUPT_MESSAGE,
  ErrorCode.NOT_ENOUGH_REPLICAS,
  ErrorCode.OUT_OF_ORDER_SEQUENCE_NUMBER,
  ErrorCode.INVALID_PRODUCER_EPOCH,
  ErrorCode.MESSAGE_TOO_LARGE,
  ErrorCode.UNKNOWN_TOPIC_ID,
  ErrorCode.INVALID_RECORD
])

export function outcomeOf(errorCode: number): Outcome {
  if (errorCode === ErrorCode.NONE) return 'acked'
  return BEFORE_APPEND.has(errorCode) ? 'refused' : 'unknown'
}

export class History {
  readonly sends: Send[] = []
  readonly #byFingerprint = new Map<number, Send>()
  /** Whom each was given to. */
  readonly producerIds = new Map<number, string>()
  ackedRecords = 0
  /** Outcomes of single attempts. */
  readonly attempts: Record<Outcome, number> = { acked: 0, refused: 0, unknown: 0 }
  lastAckMs = Number.NEGATIVE_INFINITY

  begin(send: Omit<Send, 'possible' | 'refused' | 'ackedAt' | 'found'>): Send {
    const begun: Send = { ...send, possible: 0, refused: 0, ackedAt: -1, found: [] }
    this.sends.push(begun)
    this.#byFingerprint.set(send.fingerprint, begun)
    return begun
  }

  sendOf(fingerprint: number): Send | undefined {
    return this.#byFingerprint.get(fingerprint)
  }

  attempt(send: Send): void {
    send.possible++
  }

  /** An attempt ended. */
  end(send: Send, outcome: Outcome, offset: Offset, nowMs: number): void {
    this.attempts[outcome]++
    if (outcome === 'refused') {
      send.possible--
      send.refused++
    }
    if (outcome !== 'acked') return
    if (send.ackedAt < 0) this.ackedRecords += send.count
    send.ackedAt = offset
    this.lastAckMs = nowMs
  }
}
