// The load of the real soak: idempotent producers on raw connections, acks=all, one batch in flight in each partition, sent
// again until there is a definite answer; and a group of kafkajs consumers. Both only write down what they saw.
import { type Consumer, Kafka, logLevel } from 'kafkajs'
import { systemClock } from '../broker/clock.ts'
import { nodeNetwork } from '../broker/net/network.ts'
import type { NodeLayout } from '../clients/dev/layout.ts'
import type { Dice } from '../clients/simulate/dice.ts'
import { Courier, sleep } from '../clients/simulate/models/courier.ts'
import { ErrorCode } from '../protocol/errors.ts'
import { initProducerId } from '../protocol/messages/init-producer-id.ts'
import { produce } from '../protocol/messages/produce.ts'
import { buildBatch } from '../protocol/records/builder.ts'

export const TOPIC = 'soak'
export const GROUP = 'soak-group'
const TIMEOUT_MS = 8000
const NOTABLE_SILENCE_MS = 15_000
const PATIENCE_MS = 10_000
/** Record ids: the producer above, its own count below. */
const PER_PRODUCER = 2 ** 40
/** What a sound cluster never answers to a producer that has one batch in flight and never skips a number. */
const NEVER = new Set<number>([
  ErrorCode.OUT_OF_ORDER_SEQUENCE_NUMBER,
  ErrorCode.DUPLICATE_SEQUENCE_NUMBER,
  ErrorCode.INVALID_PRODUCER_EPOCH,
  ErrorCode.CORRUPT_MESSAGE,
  ErrorCode.INVALID_RECORD
])

export interface Acked {
  readonly baseOffset: number
  readonly firstId: number
  readonly count: number
}

/** What producers and consumers saw; checks read it at the end. */
export class Notes {
  /** By partition. */
  readonly acked: Acked[][]
  readonly consumed: Map<number, number>[]
  readonly wrong: string[] = []
  readonly errors = new Map<string, number>()
  ackedRecords = 0
  ackedBatches = 0
  /** Attempts whose end nobody knows. */
  unknown = 0
  consumedRecords = 0
  lastAckMs = performance.now()
  longestSilenceMs = 0
  /** Nobody was acknowledged anything for so long. */
  onSilence: (ms: number) => void = () => {}

  constructor(partitions: number) {
    this.acked = Array.from({ length: partitions }, () => [])
    this.consumed = Array.from({ length: partitions }, () => new Map())
  }

  ack(partition: number, acked: Acked): void {
    this.acked[partition]?.push(acked)
    this.ackedRecords += acked.count
    this.ackedBatches++
    const now = performance.now()
    const silenceMs = now - this.lastAckMs
    this.longestSilenceMs = Math.max(this.longestSilenceMs, silenceMs)
    if (silenceMs > NOTABLE_SILENCE_MS) this.onSilence(silenceMs)
    this.lastAckMs = now
  }

  error(name: string): void {
    this.errors.set(name, (this.errors.get(name) ?? 0) + 1)
  }
}

export function idOf(producer: number, count: number): number {
  return producer * PER_PRODUCER + count
}

export function producerOf(id: number): number {
  return Math.floor(id / PER_PRODUCER)
}

function courierOf(layout: readonly NodeLayout[], clientId: string, random: Dice): Courier {
  const bootstrap = new Map(layout.map(({ nodeId, host, port }) => [nodeId, { host, port }]))
  return new Courier({ clock: systemClock, random, network: nodeNetwork, bootstrap }, clientId)
}

export interface ProducerOptions {
  readonly index: number
  readonly layout: readonly NodeLayout[]
  readonly partitions: number
  readonly notes: Notes
  readonly random: Dice
}

export class SoakProducer {
  readonly #o: ProducerOptions
  readonly #courier: Courier
  #isStopping = false
  #count = 0

  constructor(options: ProducerOptions) {
    this.#o = options
    this.#courier = courierOf(options.layout, `producer-${options.index}`, options.random)
  }

  /** What was sent is still brought to its end. */
  stop(): void {
    this.#isStopping = true
  }

  async run(): Promise<void> {
    const id = await this.#newProducerId()
    const lanes = Array.from({ length: this.#o.partitions }, (_, partition) => this.#lane(partition, id))
    await Promise.all(lanes)
    this.#courier.close()
  }

  async #newProducerId(): Promise<{ producerId: number; producerEpoch: number }> {
    const courier = this.#courier
    for (;;) {
      const request = { transactionalId: null, transactionTimeoutMs: 60_000 }
      const answer = await courier.ask(courier.anyNode(), initProducerId, 4, request, PATIENCE_MS)
      if (answer.kind === 'answered' && answer.response.errorCode === ErrorCode.NONE) return answer.response
      await sleep(systemClock, 100)
    }
  }

  async #lane(partition: number, id: { producerId: number; producerEpoch: number }): Promise<void> {
    const { random, index } = this.#o
    let sequence = 0
    while (!this.#isStopping) {
      const count = 1 + random.below(8)
      const firstId = idOf(index, this.#count)
      this.#count += count
      const timestamp = Date.now()
      const records = Array.from({ length: count }, (_, at) => ({
        timestamp,
        key: null,
        value: Buffer.from(String(firstId + at).padEnd(80))
      }))
      const bytes = buildBatch({ ...id, baseSequence: sequence, records })
      if (!(await this.#deliver(partition, bytes, firstId, count))) return
      sequence = (sequence + count) % 2 ** 31
      await sleep(systemClock, 20 + random.below(120))
    }
  }

  /** False: no further batch of this partition makes sense. */
  async #deliver(partition: number, bytes: Buffer, firstId: number, count: number): Promise<boolean> {
    const { notes, random } = this.#o
    for (;;) {
      const leader = this.#courier.leaderOf(TOPIC, partition)
      if (leader === null) {
        await sleep(systemClock, 20 + random.below(50))
        await this.#courier.refresh()
        continue
      }
      const request = {
        ...{ acks: -1, timeoutMs: TIMEOUT_MS },
        topicData: [{ name: TOPIC, partitionData: [{ index: partition, records: Buffer.from(bytes) }] }]
      }
      const answer = await this.#courier.ask(leader.nodeId, produce, 9, request, PATIENCE_MS)
      if (answer.kind === 'answered') {
        const { errorCode = -1, baseOffset = -1 } = answer.response.responses[0]?.partitionResponses[0] ?? {}
        if (errorCode === ErrorCode.NONE) {
          notes.ack(partition, { baseOffset, firstId, count })
          return true
        }
        notes.error(nameOf(errorCode))
        if (NEVER.has(errorCode)) {
          notes.wrong.push(`${TOPIC}-${partition}: producer ${this.#o.index} was answered ${nameOf(errorCode)}`)
          return false
        }
      } else if (answer.kind === 'lost') notes.unknown++
      this.#courier.forgetLeader(TOPIC, partition)
      await sleep(systemClock, 10 + random.below(50))
    }
  }
}

function nameOf(errorCode: number): string {
  return Object.entries(ErrorCode).find(([, code]) => code === errorCode)?.[0] ?? String(errorCode)
}

const LEAVE_MS = 5000

/** A member of the group. */
export class SoakConsumer {
  readonly #name: string
  readonly #layout: readonly NodeLayout[]
  readonly #notes: Notes
  #consumer: Consumer
  #isStopping = false
  #again: Promise<void> = Promise.resolve()

  constructor(name: string, layout: readonly NodeLayout[], notes: Notes) {
    this.#name = name
    this.#layout = layout
    this.#notes = notes
    this.#consumer = this.#create()
  }

  #create(): Consumer {
    const kafka = new Kafka({
      clientId: this.#name,
      brokers: this.#layout.map(({ host, port }) => `${host}:${port}`),
      logLevel: logLevel.NOTHING,
      connectionTimeout: 2000,
      requestTimeout: 8000,
      retry: { initialRetryTime: 100, maxRetryTime: 1000, retries: 20, restartOnFailure: async () => true }
    })
    return kafka.consumer({
      groupId: GROUP,
      sessionTimeout: 10_000,
      rebalanceTimeout: 15_000,
      heartbeatInterval: 1000,
      maxWaitTimeInMs: 500,
      metadataMaxAge: 5000
    })
  }

  async start(): Promise<void> {
    // kafkajs gives up on what it takes for its own mistake, as when every broker is gone at once ("Broker not connected"):
    // then people start the process again.
    this.#consumer.on(this.#consumer.events.CRASH, ({ payload }) => {
      if (payload.restart || this.#isStopping) return
      this.#notes.error(`consumer gave up: ${payload.error.message}`)
      this.#again = this.#again.then(() => this.#beginAnew())
    })
    await this.#consumer.connect()
    await this.#consumer.subscribe({ topic: TOPIC, fromBeginning: true })
    await this.#consumer.run({
      autoCommitInterval: 1000,
      eachBatch: async ({ batch, resolveOffset, heartbeat, isRunning, isStale }) => {
        for (const { offset, value } of batch.messages) {
          if (!isRunning() || isStale()) break
          this.#see(batch.partition, Number(offset), Number(value))
          resolveOffset(offset)
        }
        await heartbeat()
      }
    })
  }

  /** kafkajs may wait for ever for a consumer that it gave up on. */
  async #leave(): Promise<void> {
    await Promise.race([this.#consumer.disconnect().catch(() => {}), sleep(systemClock, LEAVE_MS)])
  }

  async #beginAnew(): Promise<void> {
    await this.#leave()
    while (!this.#isStopping) {
      await sleep(systemClock, 500)
      this.#consumer = this.#create()
      const failure = await this.start().then(
        () => null,
        error => error as Error
      )
      if (failure === null) return
      await this.#leave()
    }
  }

  async stop(): Promise<void> {
    this.#isStopping = true
    await this.#again
    await this.#leave()
  }

  #see(partition: number, offset: number, id: number): void {
    const seen = this.#notes.consumed[partition] as Map<number, number>
    const before = seen.get(offset)
    if (before === undefined) this.#notes.consumedRecords++
    else if (before !== id) this.#notes.wrong.push(`${TOPIC}-${partition}@${offset}: read as ${before} and as ${id}`)
    seen.set(offset, id)
  }
}
