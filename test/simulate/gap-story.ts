// How long partitions are silent when their leader stops in order, in simulated time: producers that send one record after
// the other with acks=all, and a client that asks every node for Metadata every 10 ms and moves them at once.
import { type Connection, connect } from '../../clients/connection.ts'
import type { SimNode } from '../../clients/simulate/node.ts'
import { BROKER_PORT, type SimClient, World } from '../../clients/simulate/world.ts'
import { createTopics } from '../../protocol/messages/create-topics.ts'
import { metadata } from '../../protocol/messages/metadata.ts'
import { produce } from '../../protocol/messages/produce.ts'
import { buildBatch } from '../../protocol/records/builder.ts'

export interface GapStory {
  /** Longest silence of each partition from the stop on, in milliseconds. */
  readonly gapsMs: readonly number[]
  /** How long the node took to stop. */
  readonly stoppedMs: number
  /** Error codes that producers saw; -2: their connection ended, -3: they moved without an answer. */
  readonly refused: readonly number[]
}

const TOPIC = 'gap'
const ASK_EVERY_MS = 10
const PACE_MS = 5
const LIMIT_MS = 30_000

/** Stops one node, the controller or another one, that leads all partitions of a topic. */
export async function tellOfStop(o: {
  seed: number
  isController: boolean
  partitions?: number
  /** How many times slower its disk is than others are. */
  slowness?: number
  onLine?: (line: string) => void
}): Promise<GapStory> {
  const story = new Story(o.seed, o.partitions ?? 4, o.onLine ?? (() => {}))
  try {
    return await story.tell(o.isController, o.slowness ?? 1)
  } finally {
    story.world.end()
  }
}

class Story {
  readonly world: World
  readonly #partitions: number
  readonly #client: SimClient
  readonly #onLine: (line: string) => void
  readonly #lastMs: number[]
  readonly #gapsMs: number[]
  readonly #leaders = new Map<number, number>()
  readonly #epochs = new Map<number, number>()
  readonly #refused = new Set<number>()
  #movers = new Set<() => void>()
  #isStopping = false

  constructor(seed: number, partitions: number, onLine: (line: string) => void) {
    this.world = new World({ seed, brokers: 3, settings: { 'min.insync.replicas': 2 } })
    this.#partitions = partitions
    this.#onLine = onLine
    this.#client = this.world.client('client')
    this.#lastMs = Array(partitions).fill(0)
    this.#gapsMs = Array(partitions).fill(0)
  }

  async tell(isController: boolean, slowness: number): Promise<GapStory> {
    const { world } = this
    await world.start()
    const victim = world.nodes.find(({ broker }) => broker!.services.controller.isActive === isController)!
    await world.until(this.#create(victim), LIMIT_MS)
    for (const { host } of world.nodes) void this.#askAlways(host)
    for (let partition = 0; partition < this.#partitions; partition++) void this.#produceTo(partition)
    await world.run(500)
    victim.disk.slowness = slowness
    await world.run(200)
    const beganMs = world.nowMs
    this.#lastMs.fill(beganMs)
    this.#gapsMs.fill(0)
    this.#refused.clear()
    this.#onLine(`${beganMs} stop ${victim.id}`)
    let stoppedMs = 0
    void victim.stop().then(() => {
      stoppedMs = world.nowMs - beganMs
      this.#onLine(`${world.nowMs} stopped`)
    })
    await world.waitFor(() => stoppedMs > 0, LIMIT_MS)
    await world.run(200)
    for (const [partition, lastMs] of this.#lastMs.entries()) this.#noteGap(partition, world.nowMs - lastMs)
    this.#isStopping = true
    return { gapsMs: this.#gapsMs.map(Math.round), stoppedMs: Math.round(stoppedMs), refused: [...this.#refused] }
  }

  async #create(leader: SimNode): Promise<void> {
    const connection = await connect(leader.host, BROKER_PORT, this.#client)
    const others = this.world.nodes.map(({ id }) => id).filter(id => id !== leader.id)
    const assignments = Array.from({ length: this.#partitions }, (_, partitionIndex) => ({
      partitionIndex,
      brokerIds: [leader.id, ...(partitionIndex % 2 === 0 ? others : [...others].reverse())]
    }))
    const topic = { name: TOPIC, numPartitions: -1, replicationFactor: -1, assignments }
    const { topics } = await connection.send(createTopics, 7, { topics: [topic], timeoutMs: 30_000 })
    if (topics[0]?.errorCode !== 0) throw new Error(`not created: ${topics[0]?.errorMessage}`)
    await connection.close()
  }

  async #askAlways(host: string): Promise<void> {
    let connection: Connection | null = null
    while (!this.#isStopping) {
      try {
        connection ??= await connect(host, BROKER_PORT, this.#client)
        const { topics } = await connection.send(metadata, 12, {
          topics: [{ name: TOPIC }],
          allowAutoTopicCreation: false
        })
        for (const { partitionIndex, leaderId, leaderEpoch } of topics[0]?.partitions ?? []) {
          if (leaderId < 0 || leaderEpoch <= (this.#epochs.get(partitionIndex) ?? -1)) continue
          this.#epochs.set(partitionIndex, leaderEpoch)
          this.#leaders.set(partitionIndex, leaderId)
          this.#onLine(
            `${this.world.nowMs} client: ${leaderId} leads ${partitionIndex} in ${leaderEpoch}, says ${host}`
          )
          for (const move of [...this.#movers]) move()
        }
      } catch {
        connection?.destroy()
        connection = null
      }
      await this.#sleep(ASK_EVERY_MS)
    }
  }

  async #produceTo(partition: number): Promise<void> {
    const connections = new Map<number, Promise<Connection>>()
    while (!this.#isStopping) {
      const leader = this.#leaders.get(partition)
      let errorCode = -1
      if (leader !== undefined) {
        const opening = connections.get(leader) ?? connect(`broker-${leader}`, BROKER_PORT, this.#client)
        connections.set(leader, opening)
        errorCode = await this.#unlessMoved(
          opening.then(connection => this.#send(connection, partition)).catch(() => -2)
        )
        if (errorCode === -2) connections.delete(leader)
      }
      if (errorCode === 0) {
        const nowMs = this.world.nowMs
        this.#noteGap(partition, nowMs - this.#lastMs[partition]!)
        this.#lastMs[partition] = nowMs
      } else this.#refused.add(errorCode)
      await this.#sleep(errorCode === 0 ? PACE_MS : 2)
    }
  }

  #noteGap(partition: number, gapMs: number): void {
    this.#gapsMs[partition] = Math.max(this.#gapsMs[partition]!, gapMs)
    if (gapMs > 25) this.#onLine(`${this.world.nowMs} partition ${partition}: silent for ${Math.round(gapMs)} ms`)
  }

  async #send(connection: Connection, index: number): Promise<number> {
    const records = buildBatch({ records: [{ timestamp: 0, key: null, value: Buffer.from('value') }] })
    const topicData = [{ name: TOPIC, partitionData: [{ index, records }] }]
    const { responses } = await connection.send(produce, 9, { acks: -1, timeoutMs: 3000, topicData })
    return responses[0]!.partitionResponses[0]!.errorCode
  }

  #unlessMoved(answer: Promise<number>): Promise<number> {
    return new Promise(resolve => {
      const move = (): void => {
        this.#movers.delete(move)
        resolve(-3)
      }
      this.#movers.add(move)
      void answer.then(code => {
        this.#movers.delete(move)
        resolve(code)
      })
    })
  }

  #sleep(ms: number): Promise<void> {
    return new Promise(resolve => void this.#client.clock.after(ms, resolve))
  }
}
