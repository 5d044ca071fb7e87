// The clients of one run: writers, plain and idempotent, readers of their own, and the members of a group, all on one topic,
// and an operator who moves its replicas; and at the end, readers who read everything back.
import { ErrorCode } from '../../protocol/errors.ts'
import { createTopics } from '../../protocol/messages/create-topics.ts'
import { Operations } from './checkers/operations.ts'
import type { Dice } from './dice.ts'
import type { History } from './history.ts'
import type { Ledger } from './ledger.ts'
import { Auditor } from './models/auditor.ts'
import { Courier, type Room, sleep } from './models/courier.ts'
import { Group } from './models/group.ts'
import { Load } from './models/load.ts'
import { Member } from './models/member.ts'
import { Operator } from './models/operator.ts'
import { Reader } from './models/reader.ts'
import { Writer } from './models/writer.ts'
import type { Watch } from './watch.ts'
import { BROKER_PORT, type World } from './world.ts'

export const TOPIC = 'events'
export const PARTITIONS = 3
const OFFSETS = '__consumer_offsets-0'
const CREATE_VERSION = 6
const WRITERS = [
  { isIdempotent: true, inFlight: 1 },
  { isIdempotent: true, inFlight: 5 },
  { isIdempotent: false, inFlight: 1 }
]
const MEMBERS = 3

interface Model {
  run(): Promise<void>
  stop(): void
}

export class Workload {
  readonly group = new Group('workers')
  readonly operations = new Operations()
  readonly writers: Writer[] = []
  readonly members: Member[] = []
  readonly load: Load
  readonly hosts: string[] = []
  readonly #world: World
  readonly #watch: Watch
  readonly #history: History
  readonly #untilMs: number
  readonly #rest: number
  readonly #dice: Dice
  readonly #onlookers: Model[] = []
  readonly #running: Promise<void>[] = []
  #operator: Operator | null = null
  #operating: Promise<void> = Promise.resolve()
  #names = 0

  constructor(world: World, watch: Watch, history: History, untilMs: number, rest: number) {
    this.#world = world
    this.#watch = watch
    this.#history = history
    this.#untilMs = untilMs
    this.#rest = rest
    this.#dice = world.dice.of('workload')
    this.load = new Load(this.#dice.of('load'), untilMs, rest)
  }

  get ledgers(): Ledger[] {
    return Array.from({ length: PARTITIONS }, (_, index) => this.#watch.ledger(`${TOPIC}-${index}`))
  }

  async createTopic(): Promise<void> {
    const courier = this.#courier('admin')
    const brokers = this.#world.nodes.length
    const configs = [
      { name: 'min.insync.replicas', value: String(Math.min(2, brokers)) },
      { name: 'segment.ms', value: String(this.#dice.pick([20_000, 60_000, 600_000])) }
    ]
    const topic = { name: TOPIC, numPartitions: PARTITIONS, replicationFactor: brokers, configs }
    for (;;) {
      const request = { topics: [topic], timeoutMs: 10_000 }
      const answer = await courier.ask(courier.anyNode(), createTopics, CREATE_VERSION, request, 12_000)
      const errorCode = answer.kind === 'answered' ? answer.response.topics[0]?.errorCode : -1
      if (errorCode === ErrorCode.NONE || errorCode === ErrorCode.TOPIC_ALREADY_EXISTS) return
      await sleep(courier.room.clock, 200)
    }
  }

  /** `onFailed` hears of a broken promise, or of a bug in a model. */
  begin(onFailed: (error: unknown) => void): void {
    const { ledgers, group, load } = this
    for (const [index, kind] of WRITERS.entries()) {
      const name = `writer-${index}`
      const courier = this.#courier(name)
      const writer = new Writer({ name, courier, history: this.#history, load, topic: TOPIC, ledgers, ...kind })
      this.writers.push(writer)
      this.#run(writer, onFailed)
    }
    for (const [partition, ledger] of ledgers.entries()) {
      if (partition === PARTITIONS - 1) continue
      const name = `reader-${partition}`
      const reader = new Reader({ name, courier: this.#courier(name), topic: TOPIC, ledger, partition })
      this.#onlookers.push(reader)
      this.#run(reader, onFailed)
    }
    const isCoordinator = (nodeId: number): boolean => {
      const { leaders, newestEpoch } = this.#watch.ledger(OFFSETS)
      return leaders.get(newestEpoch)?.nodeId === nodeId
    }
    const courier = this.#courier('auditor')
    const auditor = new Auditor({
      ...{
        courier,
        group,
        load: new Load(this.#dice.of('load'), this.#untilMs, this.#rest),
        topic: TOPIC,
        partitions: PARTITIONS
      },
      isCoordinator
    })
    this.#onlookers.push(auditor)
    this.#run(auditor, onFailed)
    for (let index = 0; index < MEMBERS; index++) {
      const name = `member-${index}`
      const member = new Member({ name, courier: this.#courier(name), group, topic: TOPIC, ledgers, isCoordinator })
      this.members.push(member)
      this.#run(member, onFailed)
    }
    this.#beginOperator(onFailed)
  }

  #beginOperator(onFailed: (error: unknown) => void): void {
    const courier = this.#courier('operator')
    const { operations } = this
    const of = { topic: TOPIC, partitions: PARTITIONS, rest: this.#rest }
    this.#operator = new Operator({ courier, operations, ...of })
    this.#operating = this.#operator.run().catch(onFailed)
  }

  get operatorActs(): number {
    return this.#operator?.acts ?? 0
  }

  /** Resolves when all replicas are where they should be. */
  stopOperator(): Promise<void> {
    this.#operator?.stop()
    return this.#operating
  }

  /** Resolves when every writer has brought to its end what it had begun. */
  async stopWriters(): Promise<void> {
    for (const each of this.writers) each.stop()
    await Promise.all(this.#running.slice(0, this.writers.length))
  }

  get isGroupDone(): boolean {
    return this.ledgers.every((ledger, partition) => {
      return ledger.end === 0 || this.group.positionOf(partition).atLeast >= ledger.end
    })
  }

  async stopConsumers(): Promise<void> {
    for (const each of [...this.#onlookers, ...this.members]) each.stop()
    await Promise.all(this.#running)
  }

  /** Gives how far the last readers came, by partition. */
  async readBack(): Promise<Map<string, number>> {
    const readTo = new Map<string, number>()
    const read = this.ledgers.map(async (ledger, partition) => {
      const name = `last-reader-${partition}`
      const reader = new Reader({ name, courier: this.#courier(name), topic: TOPIC, ledger, partition })
      await reader.run(ledger.end)
      readTo.set(ledger.name, reader.position)
    })
    await Promise.all(read)
    return readTo
  }

  #run(model: Model, onFailed: (error: unknown) => void): void {
    this.#running.push(model.run().catch(onFailed))
  }

  #courier(name: string): Courier {
    const host = `${name}-${this.#names++}`
    this.hosts.push(host)
    const client = this.#world.client(host)
    const bootstrap = new Map(this.#world.nodes.map(({ id, host }) => [id, { host, port: BROKER_PORT }]))
    const room: Room = { clock: client.clock, random: client.random, network: client.network, bootstrap }
    return new Courier(room, name)
  }
}
