// In-sync sets that leaders of this broker propose, on their way to the controller: one AlterPartition in flight per
// broker, everything proposed meanwhile goes with the next (AlterPartitionManager.scala, KIP-497). A request whose fate
// is not known is sent again: the partition epoch in it tells the controller whether it was taken before.
import { ErrorCode } from '../protocol/errors.ts'
import type { alterPartition } from '../protocol/messages/alter-partition.ts'
import type { RequestDraft, ResponseOf } from '../protocol/schema.ts'
import type { BrokerId, Uuid } from '../protocol/types.ts'
import type { Effect } from '../replication/leader.ts'
import { RECOVERED } from '../replication/metadata/partition.ts'
import type { Clock, Timer } from './clock.ts'
import type { Logger } from './log.ts'

export type IsrProposal = Extract<Effect, { kind: 'propose-isr' }>
type Response = ResponseOf<typeof alterPartition>
export type PartitionAnswer = Response['topics'][number]['partitions'][number]

export interface IsrUpdatesOptions {
  readonly nodeId: BrokerId
  readonly brokerEpoch: () => number
  /** To the active controller, wherever it is (broker/controller-channel.ts). */
  readonly alterPartition: (request: RequestDraft<typeof alterPartition>) => Promise<Response>
  readonly clock: Clock
  readonly log: Logger
}

interface Pending {
  readonly topicId: Uuid
  readonly index: number
  readonly proposal: IsrProposal
  readonly answered: (answer: PartitionAnswer) => void
}

/** After a failure, doubled with each one in a row up to the longest. */
const SHORTEST_BACK_OFF_MS = 20
const LONGEST_BACK_OFF_MS = 1_000
/** The partition's state here is not the controller's any more, or the leader's is not: only newer metadata helps
 *  (Partition.scala, handleAlterPartitionError). Whatever else goes wrong is tried again. */
const FINAL: ReadonlySet<number> = new Set([
  ErrorCode.NONE,
  ErrorCode.OPERATION_NOT_ATTEMPTED,
  ErrorCode.INELIGIBLE_REPLICA,
  ErrorCode.UNKNOWN_TOPIC_OR_PARTITION,
  ErrorCode.UNKNOWN_TOPIC_ID,
  ErrorCode.FENCED_LEADER_EPOCH,
  ErrorCode.INVALID_UPDATE_VERSION,
  ErrorCode.INVALID_REQUEST,
  ErrorCode.NEW_LEADER_ELECTED
])

export class IsrUpdates {
  readonly #o: IsrUpdatesOptions
  /** In the order of their proposals; a partition has one at a time. */
  #waiting = new Map<string, Pending>()
  #inFlight = new Map<string, Pending>()
  #isSending = false
  #failures = 0
  #timer: Timer | null = null
  #isStopped = false

  constructor(options: IsrUpdatesOptions) {
    this.#o = options
  }

  /** `answered` is called once, unless the proposal is withdrawn: with what the controller says of the partition. */
  propose(topicId: Uuid, index: number, proposal: IsrProposal, answered: (answer: PartitionAnswer) => void): void {
    if (this.#isStopped) return
    this.#waiting.set(keyOf(topicId, index), { topicId, index, proposal, answered })
    // What else is proposed in this turn goes along.
    if (!this.#isSending && this.#timer === null) this.#schedule(0)
  }

  /** The partition is not led here any more: nobody waits for an answer. */
  withdraw(topicId: Uuid, index: number): void {
    this.#waiting.delete(keyOf(topicId, index))
    this.#inFlight.delete(keyOf(topicId, index))
  }

  stop(): void {
    this.#isStopped = true
    this.#timer?.cancel()
    this.#waiting.clear()
    this.#inFlight.clear()
  }

  #schedule(afterMs: number): void {
    this.#timer = this.#o.clock.after(afterMs, () => {
      this.#timer = null
      void this.#send()
    })
  }

  async #send(): Promise<void> {
    if (this.#isSending || this.#isStopped || this.#waiting.size === 0) return
    this.#isSending = true
    this.#inFlight = this.#waiting
    this.#waiting = new Map()
    const asked = this.#inFlight
    let errorCode: number
    try {
      const response = await this.#o.alterPartition(this.#request(asked.values()))
      errorCode = response.errorCode
      if (errorCode === ErrorCode.NONE) errorCode = this.#answer(response)
    } catch (error) {
      errorCode = ErrorCode.UNKNOWN_SERVER_ERROR
      if (!this.#isStopped) this.#o.log.warn({ err: error, partitions: asked.size }, 'alter-partition-failed')
    }
    this.#isSending = false
    if (this.#isStopped) return
    // What was not answered goes again, unless something newer is proposed by now.
    for (const [key, pending] of asked) if (!this.#waiting.has(key)) this.#waiting.set(key, pending)
    this.#inFlight = new Map()
    this.#failures = errorCode === ErrorCode.NONE ? 0 : this.#failures + 1
    if (this.#waiting.size > 0) this.#schedule(this.#backOffMs())
  }

  #backOffMs(): number {
    if (this.#failures === 0) return 0
    return Math.min(LONGEST_BACK_OFF_MS, SHORTEST_BACK_OFF_MS * 2 ** Math.min(10, this.#failures - 1))
  }

  #request(asked: Iterable<Pending>): RequestDraft<typeof alterPartition> {
    const brokerEpoch = this.#o.brokerEpoch()
    const byTopic = new Map<Uuid, Pending[]>()
    for (const each of asked) {
      const others = byTopic.get(each.topicId)
      if (others) others.push(each)
      else byTopic.set(each.topicId, [each])
    }
    const topics = [...byTopic].map(([topicId, partitions]) => ({
      topicId,
      partitions: partitions.map(({ index, proposal }) => ({
        partitionIndex: index,
        leaderEpoch: proposal.leaderEpoch,
        newIsrWithEpochs: proposal.isr.map(each =>
          each.brokerId === this.#o.nodeId ? { brokerId: each.brokerId, brokerEpoch } : each
        ),
        leaderRecoveryState: RECOVERED,
        partitionEpoch: proposal.partitionEpoch
      }))
    }))
    return { brokerId: this.#o.nodeId, brokerEpoch, topics }
  }

  /** Tells those who are answered for good; gives the last error that is worth another try, or NONE. */
  #answer(response: Response): number {
    let failure: number = ErrorCode.NONE
    for (const { topicId, partitions } of response.topics) {
      for (const answer of partitions) {
        const key = keyOf(topicId, answer.partitionIndex)
        const pending = this.#inFlight.get(key)
        if (pending === undefined) continue
        if (FINAL.has(answer.errorCode)) {
          this.#inFlight.delete(key)
          pending.answered(answer)
        } else failure = answer.errorCode
      }
    }
    return failure
  }
}

function keyOf(topicId: Uuid, index: number): string {
  return `${topicId}:${index}`
}
