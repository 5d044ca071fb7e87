// What a cluster says of itself, asked through any node that answers: who is alive, who controls, who leads what. For
// people who watch a failover, and for programs that wait for one. Every question has a limit, since a node may be held.
import { describeQuorum } from '../../protocol/messages/describe-quorum.ts'
import { metadata } from '../../protocol/messages/metadata.ts'
import { type Connection, connect } from '../connection.ts'

export interface PartitionView {
  readonly topic: string
  readonly partition: number
  readonly leaderId: number
  readonly leaderEpoch: number
  readonly replicas: readonly number[]
  readonly isr: readonly number[]
}

export interface ClusterView {
  /** The node that was asked. */
  readonly from: number
  /** Brokers that are not fenced. */
  readonly brokers: readonly number[]
  readonly partitions: readonly PartitionView[]
}

export interface Place {
  readonly nodeId: number
  readonly host: string
  readonly port: number
}

const LIMIT_MS = 1000
const METADATA_TOPIC = '__cluster_metadata'

export class Watch {
  readonly #connections = new Map<number, Connection>()
  #isClosed = false

  /** What that node knows of the cluster; null if it does not answer in time. */
  view(place: Place, limitMs = LIMIT_MS): Promise<ClusterView | null> {
    return this.#ask(place, limitMs, async connection => {
      const { brokers, topics } = await connection.send(metadata, 12, {
        topics: null,
        allowAutoTopicCreation: false
      })
      const partitions = topics.flatMap(topic =>
        topic.partitions.map(each => ({
          topic: topic.name ?? '',
          partition: each.partitionIndex,
          leaderId: each.leaderId,
          leaderEpoch: each.leaderEpoch,
          replicas: each.replicaNodes,
          isr: each.isrNodes
        }))
      )
      return { from: place.nodeId, brokers: brokers.map(each => each.nodeId).sort((a, b) => a - b), partitions }
    })
  }

  /** The leader of the metadata quorum, as that node knows it. */
  controller(place: Place, limitMs = LIMIT_MS): Promise<number | null> {
    return this.#ask(place, limitMs, async connection => {
      const topics = [{ topicName: METADATA_TOPIC, partitions: [{ partitionIndex: 0 }] }]
      const answer = await connection.send(describeQuorum, 1, { topics })
      const found = answer.topics[0]?.partitions[0]
      return found?.errorCode === 0 && found.leaderId >= 0 ? found.leaderId : null
    })
  }

  /** The first answer that any of the places gives. */
  async first<T>(places: readonly Place[], ask: (place: Place) => Promise<T | null>): Promise<T | null> {
    for (const place of places) {
      const answer = await ask(place)
      if (answer !== null) return answer
    }
    return null
  }

  close(): void {
    this.#isClosed = true
    for (const connection of this.#connections.values()) connection.destroy()
    this.#connections.clear()
  }

  async #ask<T>(place: Place, limitMs: number, ask: (connection: Connection) => Promise<T>): Promise<T | null> {
    let timer: NodeJS.Timeout | undefined
    const late = new Promise<null>(resolve => {
      timer = setTimeout(() => resolve(null), limitMs)
    })
    const asked = this.#open(place).then(ask)
    const answer = await Promise.race([asked, late]).catch(() => null)
    clearTimeout(timer)
    if (answer === null) this.#forget(place)
    return answer
  }

  async #open(place: Place): Promise<Connection> {
    const known = this.#connections.get(place.nodeId)
    if (known !== undefined) return known
    const connection = await connect(place.host, place.port, { clientId: 'moldau-watch' })
    if (this.#isClosed) {
      connection.destroy()
      return connection
    }
    this.#connections.get(place.nodeId)?.destroy()
    this.#connections.set(place.nodeId, connection)
    // A node that comes back is not asked over the connection that died with it.
    void connection.closed.then(() => {
      if (this.#connections.get(place.nodeId) === connection) this.#connections.delete(place.nodeId)
    })
    return connection
  }

  #forget(place: Place): void {
    this.#connections.get(place.nodeId)?.destroy()
    this.#connections.delete(place.nodeId)
  }
}
