// Somebody who looks after the cluster while it suffers: elects leaders, moves replicas and takes moves back, changes settings,
// creates and deletes topics. What was answered without an error must hold, and in the end every move is over.
import { ErrorCode } from '../../../protocol/errors.ts'
import { alterPartitionReassignments } from '../../../protocol/messages/alter-partition-reassignments.ts'
import { createTopics } from '../../../protocol/messages/create-topics.ts'
import { deleteTopics } from '../../../protocol/messages/delete-topics.ts'
import { electLeaders } from '../../../protocol/messages/elect-leaders.ts'
import { incrementalAlterConfigs } from '../../../protocol/messages/incremental-alter-configs.ts'
import { listPartitionReassignments } from '../../../protocol/messages/list-partition-reassignments.ts'
import { metadata } from '../../../protocol/messages/metadata.ts'
import { checkOperation, type Operations } from '../checkers/operations.ts'
import { type Courier, sleep } from './courier.ts'

const VERSIONS = { alter: 1, create: 6, delete: 5, elect: 2, configs: 1, list: 0, metadata: 12 }
const TIMEOUT_MS = 4000
/** Longer than it asks the broker to. */
const PATIENCE_MS = 6000
const PREFERRED = 0
const TOPIC_RESOURCE = 2
const SET = 0
const OWN_TOPICS = 2

export interface OperatorOptions {
  readonly courier: Courier
  readonly operations: Operations
  /** Whose replicas are moved. Its settings stay as they are: checkers count copies by them. */
  readonly topic: string
  readonly partitions: number
  /** Between two acts it rests so many times longer than usual. */
  readonly rest: number
}

export class Operator {
  readonly #o: OperatorOptions
  readonly #brokers: readonly number[]
  #isStopping = false
  #own: string[] = []
  #names = 0
  /** How many acts were answered without an error. */
  acts = 0

  constructor(options: OperatorOptions) {
    this.#o = options
    this.#brokers = [...options.courier.room.bootstrap.keys()]
  }

  stop(): void {
    this.#isStopping = true
  }

  /** Until stopped, and then until every partition has all its replicas and nothing is moved any more. */
  async run(): Promise<void> {
    const { courier, rest } = this.#o
    const { clock, random } = courier.room
    while (!this.#isStopping) {
      await sleep(clock, Math.min(2000 + random.below(10_000) * rest, 60_000))
      if (!this.#isStopping) await this.#act()
    }
    while (!(await this.#isSettled())) await sleep(clock, 500)
    courier.close()
  }

  async #act(): Promise<void> {
    const { random } = this.#o.courier.room
    switch (random.below(8)) {
      case 0:
        return this.#elect([random.below(this.#o.partitions)])
      case 1:
        return this.#elect(null)
      case 2:
      case 3:
        return this.#move([random.below(this.#o.partitions)], () => this.#shuffled())
      case 4:
        // Two replicas hold what is acked; a third is made anew later.
        return this.#move([random.below(this.#o.partitions)], () =>
          this.#shuffled().slice(0, Math.max(2, random.below(4)))
        )
      case 5:
        return this.#move([random.below(this.#o.partitions)], () => null)
      case 6:
        return this.#configure()
      default:
        return this.#own.length < OWN_TOPICS ? this.#create() : this.#delete()
    }
  }

  async #elect(partitions: number[] | null): Promise<void> {
    const { courier, topic } = this.#o
    const topicPartitions = partitions === null ? null : [{ topic, partitions }]
    const request = { electionType: PREFERRED, topicPartitions, timeoutMs: TIMEOUT_MS }
    const answer = await courier.ask(courier.anyNode(), electLeaders, VERSIONS.elect, request, PATIENCE_MS)
    if (answer.kind !== 'answered') return
    this.#said('ElectLeaders', answer.response.errorCode)
    for (const { partitionResult } of answer.response.replicaElectionResults) {
      for (const { errorCode } of partitionResult) this.#said('ElectLeaders', errorCode)
    }
  }

  /** `replicas` null: what is under way is taken back. True: all were answered without an error. */
  async #move(indexes: readonly number[], replicasOf: () => number[] | null): Promise<void> {
    await this.#moved(indexes, replicasOf)
  }

  async #moved(indexes: readonly number[], replicasOf: () => number[] | null): Promise<boolean> {
    const { courier, topic } = this.#o
    const partitions = indexes.map(partitionIndex => ({ partitionIndex, replicas: replicasOf() }))
    const request = { timeoutMs: TIMEOUT_MS, topics: [{ name: topic, partitions }] }
    const answer = await courier.ask(
      courier.anyNode(),
      alterPartitionReassignments,
      VERSIONS.alter,
      request,
      PATIENCE_MS
    )
    if (answer.kind !== 'answered') return false
    const { errorCode, responses } = answer.response
    const codes = [errorCode, ...responses.flatMap(each => each.partitions.map(one => one.errorCode))]
    for (const code of codes) this.#said('AlterPartitionReassignments', code)
    return codes.every(code => code === ErrorCode.NONE)
  }

  async #configure(): Promise<void> {
    const { courier, operations } = this.#o
    const { random } = courier.room
    const name = this.#own[random.below(this.#own.length)]
    if (name === undefined) return
    // With one, the only replica in sync may lose its disk, and rightly nobody leads any more.
    const least = Math.min(2, this.#brokers.length)
    const value = String(least + random.below(this.#brokers.length - least + 1))
    const configs = [{ name: 'min.insync.replicas', configOperation: SET, value }]
    const request = { resources: [{ resourceType: TOPIC_RESOURCE, resourceName: name, configs }], validateOnly: false }
    operations.begin(name)
    const answer = await courier.ask(courier.anyNode(), incrementalAlterConfigs, VERSIONS.configs, request, PATIENCE_MS)
    const code = answer.kind === 'answered' ? answer.response.responses[0]?.errorCode : undefined
    if (code !== undefined) this.#said('IncrementalAlterConfigs', code)
    operations.end(name, code, known => ({ ...known, minInsyncReplicas: value }))
  }

  async #create(): Promise<void> {
    const { courier, operations } = this.#o
    // Never the same name twice: to the checkers a name is one log for ever.
    const name = `notes-${this.#names++}`
    const topic = { name, numPartitions: 1, replicationFactor: this.#brokers.length }
    const request = { topics: [topic], timeoutMs: TIMEOUT_MS }
    operations.begin(name)
    const answer = await courier.ask(courier.anyNode(), createTopics, VERSIONS.create, request, PATIENCE_MS)
    const code = answer.kind === 'answered' ? answer.response.topics[0]?.errorCode : undefined
    if (code !== undefined) this.#said('CreateTopics', code)
    operations.end(name, code, () => ({ isThere: true }))
    if (code === ErrorCode.NONE) this.#own.push(name)
  }

  async #delete(): Promise<void> {
    const { courier, operations } = this.#o
    const [name, ...others] = this.#own
    if (name === undefined) return
    this.#own = others
    const request = { topicNames: [name], timeoutMs: TIMEOUT_MS }
    operations.begin(name)
    const answer = await courier.ask(courier.anyNode(), deleteTopics, VERSIONS.delete, request, PATIENCE_MS)
    const code = answer.kind === 'answered' ? answer.response.responses[0]?.errorCode : undefined
    if (code !== undefined) this.#said('DeleteTopics', code)
    operations.end(name, code, () => ({ isThere: false }))
  }

  async #isSettled(): Promise<boolean> {
    const { courier, partitions, topic } = this.#o
    const node = courier.anyNode()
    const told = await courier.ask(
      ...([node, metadata, VERSIONS.metadata] as const),
      ...([{ topics: [{ name: topic }], allowAutoTopicCreation: false }, PATIENCE_MS] as const)
    )
    if (told.kind !== 'answered') return false
    const known = told.response.topics[0]?.partitions ?? []
    const isWhole = ({ replicaNodes }: (typeof known)[number]) => replicaNodes.length === this.#brokers.length
    if (known.length < partitions || !known.every(isWhole)) {
      await this.#moved(
        Array.from({ length: partitions }, (_, index) => index),
        () => this.#shuffled()
      )
      return false
    }
    const request = { timeoutMs: TIMEOUT_MS, topics: null }
    const answer = await courier.ask(node, listPartitionReassignments, VERSIONS.list, request, PATIENCE_MS)
    return (
      answer.kind === 'answered' && answer.response.errorCode === ErrorCode.NONE && answer.response.topics.length === 0
    )
  }

  #shuffled(): number[] {
    const { random } = this.#o.courier.room
    const left = [...this.#brokers]
    return this.#brokers.map(() => left.splice(random.below(left.length), 1)[0] as number)
  }

  #said(api: string, errorCode: number): void {
    checkOperation(api, errorCode)
    if (errorCode === ErrorCode.NONE) this.acts++
  }
}
