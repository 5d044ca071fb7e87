// A producer: writes batches to its partitions, one in flight in each or a few, with acks=all. A plain one gives up where it
// does not know the outcome, or sends again; an idempotent one sends the same bytes until it has a definite answer, in the
// order of their sequences, and begins anew under another producer id now and then, as one that was started again.
import { ErrorCode } from '../../../protocol/errors.ts'
import { initProducerId } from '../../../protocol/messages/init-producer-id.ts'
import { produce } from '../../../protocol/messages/produce.ts'
import { buildBatch } from '../../../protocol/records/builder.ts'
import { checkAck, checkProducerId, checkRefusal } from '../checkers/answers.ts'
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
/** One in so many turns is the first of a new life. */
const TURNS_OF_A_LIFE = 25

export interface WriterOptions {
  readonly name: string
  readonly courier: Courier
  readonly history: History
  readonly load: Load
  readonly topic: string
  readonly ledgers: readonly Ledger[]
  readonly isIdempotent: boolean
  /** Batches of a partition that may be in flight at once; 5 are the most that a broker remembers. */
  readonly inFlight: number
}

interface Batch {
  readonly send: Send
  readonly bytes: Buffer
}

interface ProducerId {
  readonly producerId: number
  readonly producerEpoch: number
}

/** UNKNOWN_SERVER_ERROR stands for it: nobody knows more of one than of the other. */
const NO_ANSWER = ErrorCode.UNKNOWN_SERVER_ERROR

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
    await Promise.all(this.#o.ledgers.map((ledger, partition) => this.#lane(ledger, partition)))
    this.#o.courier.close()
  }

  async #newProducerId(): Promise<ProducerId> {
    const { courier, history, isIdempotent } = this.#o
    while (isIdempotent && !this.#isStopping) {
      const request = { transactionalId: null, transactionTimeoutMs: 60_000 }
      const answer = await courier.ask(courier.anyNode(), initProducerId, INIT_VERSION, request, PATIENCE_MS)
      if (answer.kind === 'answered' && answer.response.errorCode === ErrorCode.NONE) {
        checkProducerId(history, this.name, answer.response)
        return answer.response
      }
      await this.#pause()
    }
    return NOBODY
  }

  async #lane(ledger: Ledger, partition: number): Promise<void> {
    const { courier, load, inFlight } = this.#o
    const { clock, random } = courier.room
    let id = await this.#newProducerId()
    let sequence = 0
    while (!this.#isStopping) {
      const restMs = load.restMs(clock.monotonicMs())
      if (restMs > 0) {
        await sleep(clock, Math.min(restMs, 5000) + random.below(100))
        continue
      }
      await sleep(clock, (30 + random.below(random.below(4) === 0 ? 200 : 4000)) * load.patience())
      if (id.producerId >= 0 && random.below(TURNS_OF_A_LIFE) === 0) {
        id = await this.#newProducerId()
        sequence = 0
      }
      if (this.#isStopping) return
      const batches: Batch[] = []
      for (let left = inFlight === 1 ? 1 : 1 + random.below(inFlight); left > 0; left--) {
        const batch = this.#next(ledger, id, sequence)
        sequence += batch.send.count
        batches.push(batch)
      }
      const isDone = await this.#deliver(ledger, partition, batches)
      if (!isDone) return
    }
  }

  #next(ledger: Ledger, id: ProducerId, sequence: number): Batch {
    const { courier, history } = this.#o
    const { clock, random } = courier.room
    const count = 1 + random.below(random.below(3) === 0 ? LARGEST_BATCH : 4)
    const bytes = this.#batch(count, id, sequence)
    const { producerId, producerEpoch } = id
    const send = history.begin({
      ...{ writer: this.name, partition: ledger.name, fingerprint: fingerprintAt(bytes, 0), count },
      ...{ producerId, producerEpoch, sequence, sentMs: clock.monotonicMs() }
    })
    return { send, bytes }
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

  /** True when the batches are in the log, or, for a plain producer, when nothing more will be done for them. */
  async #deliver(ledger: Ledger, partition: number, batches: readonly Batch[]): Promise<boolean> {
    const { courier, topic, isIdempotent } = this.#o
    const { random } = courier.room
    let left = batches
    for (;;) {
      const leader = courier.leaderOf(topic, partition)
      if (leader === null) {
        // Nothing was ever sent of them: no more is owed.
        if (this.#isStopping && left.every(each => each.send.possible === 0)) return false
        await this.#pause()
        await courier.refresh()
        continue
      }
      left = await this.#round(ledger, partition, left, leader.nodeId)
      if (left.length === 0) return true
      courier.forgetLeader(topic, partition)
      if (!isIdempotent && random.below(2) === 0) return true
      if (this.#isStopping && left.every(each => each.send.possible === 0)) return false
      await this.#pause()
      if (courier.leaderOf(topic, partition) === null) await courier.refresh()
    }
  }

  /** Sends them one behind the other, without waiting; gives those that have to be sent again. One behind a batch that
   *  failed is rightly out of order. So is one before a batch that may be in the log, where the broker was started anew: of
   *  what was before it remembers the last batch of a producer alone, as Kafka's does. When that is acked, it is there too. */
  async #round(ledger: Ledger, index: number, batches: readonly Batch[], nodeId: number): Promise<readonly Batch[]> {
    const errors = await Promise.all(batches.map(batch => this.#attempt(ledger, index, batch, nodeId)))
    const first = errors.findIndex(error => error !== ErrorCode.NONE)
    if (first < 0) return []
    const isLast = batches.slice(first + 1).every(each => each.send.possible === 0)
    if (isLast) checkRefusal(ledger, (batches[first] as Batch).send, errors[first] as number, nodeId)
    return batches.slice(errors.lastIndexOf(ErrorCode.NONE) + 1)
  }

  /** Gives the error, or NO_ANSWER. */
  async #attempt(ledger: Ledger, index: number, { send, bytes }: Batch, nodeId: number): Promise<number> {
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
      history.end(send, outcome, -1, clock.monotonicMs())
      return NO_ANSWER
    }
    const { errorCode = NO_ANSWER, baseOffset = -1 } = answer.response.responses[0]?.partitionResponses[0] ?? {}
    const outcome = outcomeOf(errorCode)
    history.end(send, outcome, baseOffset, clock.monotonicMs())
    if (outcome === 'acked') checkAck(ledger, send, baseOffset)
    return errorCode
  }

  #pause(): Promise<void> {
    const { clock, random } = this.#o.courier.room
    return sleep(clock, 50 + random.below(200))
  }
}
