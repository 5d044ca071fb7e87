// How long a partition is silent when something happens to its leader: lanes that produce one record after the other with
// acks=all, one per partition, and a client that asks for Metadata every 10 ms and moves its lanes at once. The same for the
// commits of a group. The gap is the longest time between two answers from the command on.
import type { Connection } from '../clients/connection.ts'
import { connect } from '../clients/connection.ts'
import type { Place } from '../clients/dev/watch.ts'
import { createTopics } from '../protocol/messages/create-topics.ts'
import { deleteTopics } from '../protocol/messages/delete-topics.ts'
import { findCoordinator } from '../protocol/messages/find-coordinator.ts'
import { metadata } from '../protocol/messages/metadata.ts'
import { offsetCommit } from '../protocol/messages/offset-commit.ts'
import { produce } from '../protocol/messages/produce.ts'
import { buildBatch } from '../protocol/records/builder.ts'
import type { Subject } from './bench-cluster-subject.ts'

const ASK_EVERY_MS = 10
const PACE_MS = 5
const PATIENCE_MS = 300
const REQUEST_TIMEOUT_MS = 5000

export interface GapOptions {
  readonly subject: Subject
  readonly topic: string
  /** Of the partitions, in order: who leads first. */
  readonly leaders: readonly number[]
  readonly group: string | null
  /** What happens. Resolves when no more is to be expected of it. */
  readonly strike: () => Promise<void>
}

/** Longest silence of each partition, or of the group, in milliseconds. */
export async function gapsOf({ subject, topic, leaders, group, strike }: GapOptions): Promise<number[]> {
  const client = new GapClient(subject, topic)
  const silences = group === null ? leaders.map((_, partition) => new Silence(partition)) : [new Silence(-1)]
  const lanes = silences.map(silence =>
    group === null ? client.produceLane(silence) : client.commitLane(silence, group)
  )
  client.ask()
  try {
    await until(() => silences.every(each => each.answers > 20), 30_000)
    await pause(300)
    for (const each of silences) each.begin()
    await strike()
    // Whoever is still silent is waited for; then a little longer, for what comes late.
    await until(() => silences.every(each => each.isBack), 90_000)
    await pause(500)
    return silences.map(each => each.longestMs)
  } finally {
    client.stop()
    await Promise.all(lanes)
  }
}

class Silence {
  readonly partition: number
  answers = 0
  longestMs = 0
  #lastMs = 0

  constructor(partition: number) {
    this.partition = partition
  }

  begin(): void {
    this.#lastMs = performance.now()
    this.longestMs = 0
  }

  answered(): void {
    const now = performance.now()
    this.answers++
    this.longestMs = Math.max(this.longestMs, now - this.#lastMs)
    this.#lastMs = now
  }

  /** It was answered not long ago. */
  get isBack(): boolean {
    return performance.now() - this.#lastMs < 200
  }
}

class GapClient {
  readonly #subject: Subject
  readonly #topic: string
  readonly #connections = new Map<string, Promise<Connection>>()
  readonly #leaders = new Map<number, number>()
  readonly #epochs = new Map<number, number>()
  #coordinator: number | null = null
  #isStopping = false
  readonly #movers = new Set<() => void>()
  #group: string | null = null

  constructor(subject: Subject, topic: string) {
    this.#subject = subject
    this.#topic = topic
  }

  /** Asks every node, each on a connection of its own: one that is silent keeps nobody from hearing of the others. */
  ask(): void {
    for (const place of this.#subject.places) void this.#askAlways(place)
  }

  stop(): void {
    this.#isStopping = true
    this.#moved()
    for (const connection of this.#connections.values()) connection.then(each => each.destroy()).catch(() => {})
  }

  async produceLane(silence: Silence): Promise<void> {
    const { partition } = silence
    while (!this.#isStopping) {
      const leader = this.#leaders.get(partition)
      const isAnswered = leader !== undefined && (await this.#untilMoved(this.#produce(leader, partition)))
      if (isAnswered) silence.answered()
      await pause(isAnswered ? PACE_MS : 2)
    }
  }

  async commitLane(silence: Silence, group: string): Promise<void> {
    this.#group = group
    while (!this.#isStopping) {
      const isAnswered = this.#coordinator !== null && (await this.#untilMoved(this.#commit(this.#coordinator, group)))
      if (isAnswered) silence.answered()
      await pause(isAnswered ? PACE_MS : 2)
    }
  }

  async #produce(nodeId: number, index: number): Promise<boolean> {
    const records = buildBatch({ records: [{ timestamp: Date.now(), key: null, value: Buffer.alloc(100) }] })
    const connection = await this.#open(this.#place(nodeId), `lane ${index}`)
    const answer = await connection.send(produce, 9, {
      ...{ acks: -1, timeoutMs: REQUEST_TIMEOUT_MS },
      topicData: [{ name: this.#topic, partitionData: [{ index, records }] }]
    })
    return answer.responses[0]?.partitionResponses[0]?.errorCode === 0
  }

  async #commit(nodeId: number, groupId: string): Promise<boolean> {
    const connection = await this.#open(this.#place(nodeId), 'commit')
    const partitions = [{ partitionIndex: 0, committedOffset: 0, committedMetadata: null }]
    const answer = await connection.send(offsetCommit, 8, {
      ...{ groupId, generationIdOrMemberEpoch: -1, memberId: '' },
      topics: [{ name: this.#topic, partitions }]
    })
    return answer.topics[0]?.partitions[0]?.errorCode === 0
  }

  /** False as soon as somebody else is said to lead, or it fails. */
  async #untilMoved(work: Promise<boolean>): Promise<boolean> {
    let mover: () => void = () => {}
    const moved = new Promise<boolean>(resolve => {
      mover = () => resolve(false)
    })
    this.#movers.add(mover)
    const answer = await Promise.race([work, moved]).catch(() => false)
    this.#movers.delete(mover)
    return answer
  }

  #moved(): void {
    for (const mover of [...this.#movers]) mover()
  }

  async #askAlways(place: Place): Promise<void> {
    while (!this.#isStopping) {
      const startedMs = performance.now()
      await Promise.race([this.#askOne(place), pause(PATIENCE_MS)]).catch(() => {})
      await pause(Math.max(1, ASK_EVERY_MS - (performance.now() - startedMs)))
    }
  }

  async #askOne(place: Place): Promise<void> {
    const connection = await this.#open(place, 'metadata')
    if (this.#group !== null) {
      const found = await connection.send(findCoordinator, 3, { key: this.#group, keyType: 0 })
      if (found.errorCode === 0 && found.nodeId !== this.#coordinator) {
        this.#coordinator = found.nodeId
        this.#moved()
      }
      return
    }
    const { topics } = await connection.send(metadata, 12, {
      topics: [{ name: this.#topic }],
      allowAutoTopicCreation: false
    })
    for (const { partitionIndex, leaderId, leaderEpoch } of topics[0]?.partitions ?? []) {
      if (leaderId < 0 || leaderEpoch <= (this.#epochs.get(partitionIndex) ?? -1)) continue
      this.#epochs.set(partitionIndex, leaderEpoch)
      this.#leaders.set(partitionIndex, leaderId)
      this.#moved()
    }
  }

  #place(nodeId: number): Place {
    return this.#subject.places.find(each => each.nodeId === nodeId) as Place
  }

  #open(place: Place, user: string): Promise<Connection> {
    const key = `${place.nodeId} ${user}`
    const known = this.#connections.get(key)
    if (known !== undefined) return known
    const opening = connect(place.host, place.port, { clientId: 'bench' })
    this.#connections.set(key, opening)
    const forget = (): void => {
      if (this.#connections.get(key) === opening) this.#connections.delete(key)
    }
    opening.then(connection => connection.closed.then(forget)).catch(forget)
    return opening
  }
}

/** A topic whose partitions are led by these nodes, with copies on all. */
export async function makeTopic(subject: Subject, topic: string, leaders: readonly number[]): Promise<void> {
  const ids = subject.places.map(each => each.nodeId)
  const assignments = leaders.map((leader, partitionIndex) => ({
    partitionIndex,
    brokerIds: [leader, ...ids.filter(id => id !== leader)]
  }))
  // To the leader of the quorum or not: a broker forwards it.
  const place = subject.places[0] as Place
  const connection = await connect(place.host, place.port)
  const configs = [{ name: 'min.insync.replicas', value: '2' }]
  const made = await connection.send(createTopics, 7, {
    topics: [{ name: topic, numPartitions: -1, replicationFactor: -1, assignments, configs }],
    timeoutMs: 30_000
  })
  connection.destroy()
  if (made.topics[0]?.errorCode !== 0) throw new Error(`topic not made: ${made.topics[0]?.errorMessage}`)
}

/** What was measured is not to be in the way of what comes. */
export async function dropTopic(subject: Subject, name: string): Promise<void> {
  const place = subject.places[0] as Place
  const connection = await connect(place.host, place.port)
  await connection.send(deleteTopics, 5, { topicNames: [name], timeoutMs: 30_000 })
  connection.destroy()
}

/** The broker that coordinates the group. */
export async function coordinatorOf(subject: Subject, group: string): Promise<number> {
  for (;;) {
    for (const place of subject.places) {
      const connection = await connect(place.host, place.port)
      const found = await connection.send(findCoordinator, 3, { key: group, keyType: 0 })
      connection.destroy()
      if (found.errorCode === 0) return found.nodeId
      await pause(100)
    }
  }
}

export function pause(ms: number): Promise<void> {
  return new Promise(resolve => setTimeout(resolve, ms))
}

async function until(isSo: () => boolean, limitMs: number): Promise<void> {
  const end = performance.now() + limitMs
  while (!isSo()) {
    if (performance.now() > end) throw new Error(`it did not come to that in ${limitMs} ms`)
    await pause(10)
  }
}
