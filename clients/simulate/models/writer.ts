// A producer: writes batches to its partitions, one in flight in each, with acks=all. A plain one gives up where it does not
// know the outcome, or sends again; an idempotent one sends the same bytes until it has a definite answer, and every
// batch has its sequence.
import { ErrorCode } from '../../../protocol/errors.ts'
import { initProducerId } from '../../../protocol/messages/init-producer-id.ts'
import { produce } from '../../../protocol/messages/produce.ts'
import { buildBatch } from '../../../protocol/records/builder.ts'
import { checkAck, checkRefusal } from '../checkers/answers.ts'
import { type History, outcomeOf, type Send } from '../history.ts'
import type { Ledger } from '../ledger.ts'
import { fingerprintAt } from '../rows.ts'
import { type Courier, sleep } from './courier.ts'
import type { Load } from './load.ts'

const PRODUCE_VERSION = 9
const INIT_VERSION = 4
const TIMEOUT_MS = 4000
/** The client waits a little longer than it asks the broker to. */
const PATIENCE_MS = 5000
const LARGEST_BATCH = 40

export interface WriterOptions {
  readonly name: string
  readonly courier: Courier
  readonly history: History
  readonly load: Load
  readonly topic: string
  readonly ledgers: readonly Ledger[]
  readonly isIdempotent: boolean
}

interface ProducerId {
  readonly producerId: number
  readonly producerEpoch: number
}

const NOBODY: ProducerId = { producerId: -1, producerEpoch: -1 }

export class Writer {
  readonly name: string
  readonly #o: WriterOptions
  #isStopping = false
  #count = 0

  constructor(options: WriterOptions) {
    this.name = options.name
    this.#o = options
  }

  /** What is begun is still brought to its end. */
  stop(): void {
    this.#isStopping = true
  }

  async run(): Promise<void> {
    const id = this.#o.isIdempotent ? await this.#newProducerId() : NOBODY
    await Promise.all(this.#o.ledgers.map((ledger, partition) => this.#lane(ledger, partition, id)))
    this.#o.courier.close()
  }

  async #newProducerId(): Promise<ProducerId> {
    const { courier } = this.#o
    for (;;) {
      const request = { transactionalId: null, transactionTimeoutMs: 60_000 }
      const answer = await courier.ask(courier.anyNode(), initProducerId, INIT_VERSION, request, PATIENCE_MS)
      if (answer.kind === 'answered' && answer.response.errorCode === ErrorCode.NONE) return answer.response
      if (this.#isStopping) return NOBODY
      await this.#pause()
    }
  }

  async #lane(ledger: Ledger, partition: number, id: ProducerId): Promise<void> {
    const { courier, load } = this.#o
    const { clock, random } = courier.room
    let sequence = 0
    while (!this.#isStopping) {
      const restMs = load.restMs(clock.monotonicMs())
      if (restMs > 0) {
        await sleep(clock, Math.min(restMs, 5000) + random.below(100))
        continue
      }
      await sleep(clock, (30 + random.below(random.below(4) === 0 ? 200 : 4000)) * load.patience())
      if (this.#isStopping) return
      const count = 1 + random.below(random.below(3) === 0 ? LARGEST_BATCH : 4)
      const bytes = this.#batch(count, id, sequence)
      const send = this.#o.history.begin({
        ...{ writer: this.name, partition: ledger.name, fingerprint: fingerprintAt(bytes, 0), count, ...id, sequence },
        sentMs: clock.monotonicMs()
      })
      const isDone = await this.#deliver(ledger, partition, send, bytes)
      if (isDone) sequence += count
    }
  }

  #batch(count: number, { producerId, producerEpoch }: ProducerId, sequence: number): Buffer {
    const { clock } = this.#o.courier.room
    const timestamp = Math.floor(clock.nowMs())
    const records = Array.from({ length: count }, () => ({
      timestamp,
      key: null,
      value: Buffer.from(`${this.name}:${this.#count++}`)
    }))
    const idempotent = producerId < 0 ? {} : { producerId, producerEpoch, baseSequence: sequence }
    return buildBatch({ ...idempotent, records })
  }

  /** True when the batch is in the log, or, for a plain producer, when nothing more will be done for it. */
  async #deliver(ledger: Ledger, partition: number, send: Send, bytes: Buffer): Promise<boolean> {
    const { courier, topic, isIdempotent } = this.#o
    const { random } = courier.room
    for (;;) {
      const leader = courier.leaderOf(topic, partition)
      if (leader === null) {
        // Nothing was ever sent of it: no more is owed.
        if (this.#isStopping && send.possible === 0) return false
        await this.#pause()
        await courier.refresh()
        continue
      }
      const outcome = await this.#attempt(ledger, partition, send, bytes, leader.nodeId)
      if (outcome === 'acked') return true
      courier.forgetLeader(topic, partition)
      if (!isIdempotent && random.below(2) === 0) return true
      if (this.#isStopping && send.possible === 0) return false
      await this.#pause()
      if (courier.leaderOf(topic, partition) === null) await courier.refresh()
    }
  }

  async #attempt(ledger: Ledger, index: number, send: Send, bytes: Buffer, nodeId: number): Promise<string> {
    const { courier, history, topic } = this.#o
    const { clock } = courier.room
    history.attempt(send)
    const records = Buffer.from(bytes)
    const request = {
      ...{ acks: -1, timeoutMs: TIMEOUT_MS },
      topicData: [{ name: topic, partitionData: [{ index, records }] }]
    }
    const answer = await courier.ask(nodeId, produce, PRODUCE_VERSION, request, PATIENCE_MS)
    if (answer.kind !== 'answered') {
      const outcome = answer.kind === 'unsent' ? 'refused' : 'unknown'
      history.end(send, outcome, -1, clock.monotonicMs(), null)
      return outcome
    }
    const { errorCode = -1, baseOffset = -1 } = answer.response.responses[0]?.partitionResponses[0] ?? {}
    const outcome = outcomeOf(errorCode)
    history.end(send, outcome, baseOffset, clock.monotonicMs(), errorCode)
    if (outcome === 'acked') checkAck(ledger, send, baseOffset)
    else checkRefusal(ledger, send, errorCode, nodeId)
    return outcome
  }

  #pause(): Promise<void> {
    const { clock, random } = this.#o.courier.room
    return sleep(clock, 50 + random.below(200))
  }
}
