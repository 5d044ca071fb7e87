// The kill -9 run: idempotent producers with acks=all and a committing group, a broker process killed at a random moment,
// again and again on one directory. Checked at the end, and the only thing that matters: every acked record is at its
// offset, none is there twice, each producer's order holds, and no group went back behind an acked commit.
import type { Connection } from '../../clients/connection.ts'
import { isFailure } from '../../protocol/failure.ts'
import type { Offset } from '../../protocol/types.ts'
import { BrokerProcess, type ProcessOptions } from './broker-process.ts'
import {
  batchFor,
  commit,
  committed,
  coordinatorOf,
  createTopic,
  newProducerId,
  Refused,
  readAll,
  send
} from './load.ts'

const TOPIC = 'orders'
const GROUP = 'shop'
const IN_FLIGHT = 5
const RECORDS_PER_BATCH = 3

export interface KillOptions extends ProcessOptions {
  readonly rounds: number
  readonly producers: number
  /** 0 <= random() < 1 */
  readonly random: () => number
  readonly onRound?: (round: number, acked: number) => void
}

export interface KillReport {
  readonly acked: number
  readonly stored: number
  readonly commits: number
  /** What must not be; empty when all is well. */
  readonly violations: string[]
}

interface Acked {
  readonly partition: number
  readonly baseOffset: Offset
  readonly values: readonly string[]
}

/** One idempotent producer that outlives brokers: what was not answered is sent again with its old sequence. */
class Producer {
  readonly name: string
  readonly partition: number
  readonly acked: Acked[] = []
  #id: { producerId: number; producerEpoch: number } | null = null
  /** Everything below was answered, in order. */
  #answeredTo = 0

  constructor(partition: number) {
    this.partition = partition
    this.name = `p${partition}`
  }

  get sent(): number {
    return this.#answeredTo
  }

  /** Sends until the connection is lost. */
  async run(connection: Connection): Promise<void> {
    this.#id ??= await newProducerId(connection)
    const flying: Promise<void>[] = []
    let next = this.#answeredTo
    for (;;) {
      while (flying.length < IN_FLIGHT) {
        const sending = this.#send(connection, next)
        // One failure ends the run; the others fail with the same connection.
        sending.catch(() => {})
        flying.push(sending)
        next += RECORDS_PER_BATCH
      }
      await flying.shift()
    }
  }

  async #send(connection: Connection, from: number): Promise<void> {
    const records = batchFor(this.name, from, RECORDS_PER_BATCH, this.#id)
    const baseOffset = await send(connection, { topic: TOPIC, partition: this.partition, records })
    const values = Array.from({ length: RECORDS_PER_BATCH }, (_, i) => `${this.name}:${from + i}`)
    this.acked.push({ partition: this.partition, baseOffset, values })
    this.#answeredTo = Math.max(this.#answeredTo, from + RECORDS_PER_BATCH)
  }
}

/** A group that commits ever higher positions. */
class Group {
  acked = -1
  attempted = -1
  count = 0

  async run(connection: Connection): Promise<void> {
    await coordinatorOf(connection, GROUP)
    for (;;) {
      this.attempted++
      await commit(connection, GROUP, TOPIC, this.attempted)
      this.acked = this.attempted
      this.count++
    }
  }
}

export async function killRounds(o: KillOptions): Promise<KillReport> {
  const producers = Array.from({ length: o.producers }, (_, partition) => new Producer(partition))
  const group = new Group()
  const violations: string[] = []
  for (let round = 0; round < o.rounds; round++) {
    const broker = await BrokerProcess.start(o)
    try {
      const control = await broker.connect()
      if (round === 0) await createTopic(control, TOPIC, o.producers)
      await checkGroup(control, group, violations)
      await runUntilKilled(broker, [...producers, group], 20 + Math.floor(o.random() * 400), violations)
    } finally {
      await broker.kill()
    }
    o.onRound?.(
      round,
      producers.reduce((sum, each) => sum + each.acked.length, 0)
    )
  }
  const broker = await BrokerProcess.start(o)
  try {
    const connection = await broker.connect()
    await checkGroup(connection, group, violations)
    const stored = await checkRecords(connection, producers, violations)
    const acked = producers.reduce((sum, each) => sum + each.acked.length * RECORDS_PER_BATCH, 0)
    return { acked, stored, commits: group.count, violations }
  } finally {
    await broker.stop()
  }
}

async function runUntilKilled(
  broker: BrokerProcess,
  clients: readonly { run(connection: Connection): Promise<void> }[],
  afterMs: number,
  violations: string[]
): Promise<void> {
  const running = clients.map(async client => {
    const connection = await broker.connect()
    try {
      await client.run(connection)
    } catch (error) {
      if (error instanceof Refused) violations.push(`a client was refused: ${error.message}`)
      else if (!isFailure(error, 'ERR_DISCONNECTED')) throw error
    } finally {
      connection.destroy()
    }
  })
  await new Promise(resolve => setTimeout(resolve, afterMs))
  await broker.kill()
  await Promise.all(running)
}

async function checkGroup(connection: Connection, group: Group, violations: string[]): Promise<void> {
  if (group.attempted < 0) return
  const found = await committed(connection, GROUP, TOPIC)
  if (found < group.acked) violations.push(`the group is at ${found}, but ${group.acked} was acked`)
  if (found > group.attempted)
    violations.push(`the group is at ${found}, but nobody committed beyond ${group.attempted}`)
}

async function checkRecords(
  connection: Connection,
  producers: readonly Producer[],
  violations: string[]
): Promise<number> {
  let count = 0
  for (const producer of producers) {
    const stored = await readAll(connection, TOPIC, producer.partition)
    count += stored.size
    for (const { baseOffset, values } of producer.acked) {
      values.forEach((value, i) => {
        const there = stored.get(baseOffset + i)
        if (there !== value) violations.push(`${value} was acked at offset ${baseOffset + i}, where ${there} is`)
      })
    }
    // Unique, in order, without a hole: the values are the numbers from 0 on.
    const found = [...stored].sort(([a], [b]) => a - b).map(([, value]) => value)
    const wrong = found.findIndex((value, i) => value !== `${producer.name}:${i}`)
    if (wrong >= 0) violations.push(`${producer.name}: record ${wrong} is ${found[wrong]}`)
  }
  return count
}
