// One story of a simulated cluster, from a seed: a client produces to three partitions while one node at a time is killed,
// crashes, loses its power, is stopped, paused or cut off; then everything is healed, and all that was acknowledged is read.
import { type Connection, connect } from '../../clients/connection.ts'
import type { SimNode } from '../../clients/simulate/node.ts'
import { BROKER_PORT, type SimClient, World } from '../../clients/simulate/world.ts'
import { createTopics } from '../../protocol/messages/create-topics.ts'
import { fetch } from '../../protocol/messages/fetch.ts'
import { metadata } from '../../protocol/messages/metadata.ts'
import { produce } from '../../protocol/messages/produce.ts'
import { buildBatch } from '../../protocol/records/builder.ts'

export interface ClusterStory {
  readonly hash: string
  readonly acked: number
  readonly lost: string[]
  /** What was done, and when. */
  readonly faults: string[]
  /** The longest time without an ack of a partition while a fault was in force, in milliseconds, and the fault. */
  readonly longestGapMs: number
  readonly events: number
}

export const FAULTS = ['kill', 'crash', 'power-off', 'stop', 'pause', 'isolate', 'one-way', 'reset'] as const
export type FaultName = (typeof FAULTS)[number]

export interface StoryOptions {
  readonly seed: number
  readonly rounds: number
  readonly faults?: readonly FaultName[]
  readonly onLine?: (line: string) => void
  readonly brokers?: number
  /** How long a fault may last, at most. */
  readonly longestMs?: number
}

const TOPIC = 'story'
const PARTITIONS = 3
const LIMIT_MS = 60_000

export async function tellOfCluster(o: StoryOptions): Promise<ClusterStory> {
  const story = new Story(o)
  try {
    return await story.tell()
  } finally {
    story.world.end()
  }
}

class Story {
  readonly world: World
  readonly #o: StoryOptions
  readonly #client: SimClient
  readonly #acked = Array.from({ length: PARTITIONS }, () => new Map<number, string>())
  readonly #lastAckMs: number[] = Array(PARTITIONS).fill(0)
  readonly #faults: string[] = []
  #longestGapMs = 0
  #isProducing = true

  constructor(o: StoryOptions) {
    this.#o = o
    const settings = { 'min.insync.replicas': 2, 'offsets.topic.num.partitions': 3 }
    this.world = new World({ seed: o.seed, brokers: o.brokers ?? 3, settings })
    this.#client = this.world.client('client')
    if (o.onLine !== undefined) this.world.trace.onLine = o.onLine
  }

  async tell(): Promise<ClusterStory> {
    const { world } = this
    await world.start()
    await world.until(this.#create(), LIMIT_MS)
    const producers = Array.from({ length: PARTITIONS }, (_, partition) => this.#produceTo(partition))
    await world.run(1000)
    for (let round = 0; round < this.#o.rounds; round++) await this.#disturb()
    this.#isProducing = false
    await world.until(Promise.all(producers), LIMIT_MS)
    const lost = await world.until(this.#missing(), LIMIT_MS)
    const acked = this.#acked.reduce((sum, each) => sum + each.size, 0)
    return {
      ...{ hash: world.traceHash, acked, lost, faults: this.#faults, events: world.agenda.count },
      longestGapMs: Math.round(this.#longestGapMs)
    }
  }

  /** One fault, for a while; then it is undone, and the cluster must become whole. */
  async #disturb(): Promise<void> {
    const { world } = this
    const node = world.dice.pick(world.nodes)
    const fault = world.dice.pick(this.#o.faults ?? FAULTS)
    // Slow wires between brokers, so that what is not replicated yet is there to be lost.
    const slowMs = world.dice.below(30)
    for (const one of world.nodes)
      for (const other of world.nodes) if (one !== other) world.network.delay(one.host, other.host, slowMs)
    await world.run(300)
    const line = `${Math.round(world.nowMs)} ${fault} ${node.id}`
    this.#faults.push(line)
    this.#o.onLine?.(line)
    strike(world, node, fault)
    await world.run(world.dice.between(100, this.#o.longestMs ?? 12_000))
    this.#o.onLine?.(`${Math.round(world.nowMs)} healed`)
    node.resume()
    world.network.healAll()
    await world.waitFor(() => node.status !== 'stopping', LIMIT_MS)
    if (node.process === null) void node.start()
    const isWhole = await world.waitFor(() => this.#isWhole(), LIMIT_MS)
    if (!isWhole) throw new Error(`seed ${this.#o.seed}: not whole after ${line}: ${this.#lack()}`)
    await world.run(world.dice.between(0, 1500))
  }

  #isWhole(): boolean {
    return this.#lack() === null
  }

  #lack(): string | null {
    for (const { id, status, failure } of this.world.nodes)
      if (status !== 'up') return `node ${id} ${status} ${failure}`
    for (const { id, broker } of this.world.nodes) {
      const { topicsByName, brokers } = broker!.services.metadata.image
      for (const each of brokers.values()) if (each.fenced) return `node ${id} sees ${each.brokerId} fenced`
      for (const [index, { isr, leader }] of topicsByName.get(TOPIC)?.partitions.entries() ?? []) {
        if (isr.length < this.world.nodes.length || leader < 0) return `node ${id} sees ${index}: ${leader} of ${isr}`
      }
    }
    const nowMs = this.world.nowMs
    for (const [index, each] of this.#lastAckMs.entries())
      if (nowMs - each > 1000) return `no acks of partition ${index}`
    return null
  }

  async #create(): Promise<void> {
    const connection = await connect('broker-1', BROKER_PORT, this.#client)
    const topic = { name: TOPIC, numPartitions: PARTITIONS, replicationFactor: 3 }
    const { topics } = await connection.send(createTopics, 7, { topics: [topic], timeoutMs: 30_000 })
    if (topics[0]?.errorCode !== 0) throw new Error(`not created: ${topics[0]?.errorCode} ${topics[0]?.errorMessage}`)
    await connection.close()
  }

  /** One batch after the other, each until it is acknowledged. */
  async #produceTo(partition: number): Promise<void> {
    let connection: Connection | null = null
    let n = 0
    this.#lastAckMs[partition] = this.world.nowMs
    while (this.#isProducing) {
      try {
        connection ??= await this.#connectToLeader(partition)
        const baseOffset = await this.#send(connection, partition, `value ${n} of ${partition}`)
        this.#acked[partition]!.set(baseOffset, `value ${n} of ${partition}`)
        const nowMs = this.world.nowMs
        const gapMs = nowMs - this.#lastAckMs[partition]!
        if (gapMs > 400)
          this.#o.onLine?.(`${Math.round(nowMs)} partition ${partition}: no ack for ${Math.round(gapMs)} ms`)
        this.#longestGapMs = Math.max(this.#longestGapMs, gapMs)
        this.#lastAckMs[partition] = nowMs
        n++
        await this.#sleep(25)
      } catch {
        connection?.destroy()
        connection = null
        await this.#sleep(20)
      }
    }
    connection?.destroy()
  }

  async #send(connection: Connection, index: number, value: string): Promise<number> {
    const timestamp = this.#client.clock.nowMs()
    const records = buildBatch({ records: [{ timestamp, key: null, value: Buffer.from(value) }] })
    const topicData = [{ name: TOPIC, partitionData: [{ index, records }] }]
    const sent = connection.send(produce, 9, { acks: -1, timeoutMs: 3000, topicData })
    const { responses } = await this.#inTime(sent, connection)
    const answer = responses[0]!.partitionResponses[0]!
    if (answer.errorCode !== 0) throw new Error(`error ${answer.errorCode}`)
    return answer.baseOffset
  }

  async #connectToLeader(partition: number): Promise<Connection> {
    const { host } = this.#client.random.pick(this.world.nodes)
    const asked = await this.#connect(host)
    const answer = await this.#inTime(asked.send(metadata, 8, { topics: [{ name: TOPIC }] }), asked)
    asked.destroy()
    const leaderId = answer.topics[0]?.partitions.find(each => each.partitionIndex === partition)?.leaderId ?? -1
    const leader = answer.brokers.find(each => each.nodeId === leaderId)
    if (leader === undefined) throw new Error('no leader')
    return this.#connect(leader.host)
  }

  /** A connection that nobody answers is given up after half a second. */
  #connect(host: string): Promise<Connection> {
    const opening = connect(host, BROKER_PORT, this.#client)
    return new Promise((resolve, reject) => {
      const timer = this.#client.clock.after(500, () => reject(new Error('nobody answers')))
      opening.then(resolve, reject).finally(() => timer.cancel())
    })
  }

  async #inTime<T>(answer: Promise<T>, connection: Connection): Promise<T> {
    const timer = this.#client.clock.after(2000, () => connection.destroy())
    try {
      return await answer
    } finally {
      timer.cancel()
    }
  }

  #sleep(ms: number): Promise<void> {
    return new Promise(resolve => void this.#client.clock.after(ms, resolve))
  }

  async #missing(): Promise<string[]> {
    const lost: string[] = []
    for (const [partition, values] of this.#acked.entries()) {
      const connection = await this.#connectToLeader(partition)
      const found = await this.#readAll(connection, partition)
      for (const [offset, value] of values) if (!found.get(offset)?.includes(value)) lost.push(`${partition}@${offset}`)
      connection.destroy()
    }
    return lost
  }

  /** Base offset -> bytes of the batch. */
  async #readAll(connection: Connection, partition: number): Promise<Map<number, string>> {
    const found = new Map<number, string>()
    for (let fetchOffset = 0; ; ) {
      const partitions = [{ partition, fetchOffset, partitionMaxBytes: 1 << 20 }]
      const request = { maxWaitMs: 0, minBytes: 0, maxBytes: 1 << 24, topics: [{ topic: TOPIC, partitions }] }
      const { responses } = await connection.send(fetch, 12, request)
      const records = responses[0]!.partitions[0]!.records as Buffer | null
      if (records === null || records.length === 0) return found
      for (let at = 0; at < records.length; ) {
        const end = at + 12 + records.readInt32BE(at + 8)
        const offset = Number(records.readBigInt64BE(at))
        if (end <= records.length) found.set(offset, records.toString('latin1', at, end))
        fetchOffset = offset + 1
        at = end
      }
    }
  }
}

function strike(world: World, node: SimNode, fault: FaultName): void {
  const others = world.nodes.filter(each => each !== node)
  if (fault === 'kill') node.kill()
  else if (fault === 'crash') node.crash(world.dice.pick(['drop', 'mixed']))
  else if (fault === 'power-off') node.powerOff()
  else if (fault === 'stop') void node.stop()
  else if (fault === 'pause') node.pause()
  else if (fault === 'isolate') world.network.isolate(node.host)
  else if (fault === 'one-way') world.network.cut(node.host, world.dice.pick(others).host)
  else for (const other of others) world.network.reset(node.host, other.host)
}
