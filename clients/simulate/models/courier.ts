// How a model client reaches the cluster: one raw connection to each broker it talks to, opened when needed and thrown away
// after silence, and what Metadata last said of leaders. It hides nothing: an exchange is answered, surely not sent, or
// of unknown end.
import type { Clock, Random } from '../../../broker/clock.ts'
import type { Address, Network } from '../../../broker/net/network.ts'
import { metadata } from '../../../protocol/messages/metadata.ts'
import type { Api, RequestDraft, ResponseOf } from '../../../protocol/schema.ts'
import { type Connection, connect } from '../../connection.ts'

/** Where clients live: their own clock, chance and network. */
export interface Room {
  readonly clock: Clock
  readonly random: Random
  readonly network: Network
  /** By node id: what is known before any Metadata came. */
  readonly bootstrap: ReadonlyMap<number, Address>
}

export type Answer<A extends Api> =
  | { readonly kind: 'answered'; readonly response: ResponseOf<A> }
  /** The request never left. */
  | { readonly kind: 'unsent' }
  /** It left, and nothing came back. */
  | { readonly kind: 'lost' }

export interface Leader {
  readonly nodeId: number
  readonly leaderEpoch: number
}

export function sleep(clock: Clock, ms: number): Promise<void> {
  return new Promise(resolve => clock.after(ms, resolve))
}

const TOO_LATE = Symbol('too late')
const METADATA_VERSION = 12
const METADATA_TIMEOUT_MS = 2000

export class Courier {
  readonly room: Room
  readonly clientId: string
  readonly #connections = new Map<number, Promise<Connection>>()
  readonly #addresses: Map<number, Address>
  readonly #leaders = new Map<string, Leader>()
  /** The newest leader epoch that was heard of: who still leads in an earlier one does not know that he is replaced. */
  readonly #epochs = new Map<string, number>()
  #refreshing: Promise<void> | null = null

  constructor(room: Room, clientId: string) {
    this.room = room
    this.clientId = clientId
    this.#addresses = new Map(room.bootstrap)
  }

  /** Any broker, for what each of them answers. */
  anyNode(): number {
    const ids = [...this.room.bootstrap.keys()]
    return ids[this.room.random.below(ids.length)] as number
  }

  async ask<A extends Api>(
    nodeId: number,
    api: A,
    version: number,
    request: RequestDraft<A>,
    timeoutMs: number
  ): Promise<Answer<A>> {
    const connection = await this.#connection(nodeId, timeoutMs)
    if (connection === null) return { kind: 'unsent' }
    const asked = connection.send(api, version, request).catch(() => null)
    const response = await this.#inTime(asked, timeoutMs)
    if (response !== TOO_LATE && response !== null) return { kind: 'answered', response }
    this.#drop(nodeId, connection)
    return { kind: 'lost' }
  }

  /** What Metadata said last; null while nobody leads, or nobody knows. */
  leaderOf(topic: string, partition: number): Leader | null {
    return this.#leaders.get(`${topic}-${partition}`) ?? null
  }

  /** A partition's leader is said to be another one. */
  forgetLeader(topic: string, partition: number): void {
    this.#leaders.delete(`${topic}-${partition}`)
  }

  /** Asks some broker for all topics. Whoever asks meanwhile gets the same answer. */
  refresh(): Promise<void> {
    this.#refreshing ??= this.#refresh().finally(() => {
      this.#refreshing = null
    })
    return this.#refreshing
  }

  close(): void {
    for (const opening of this.#connections.values()) {
      opening.then(connection => connection.destroy()).catch(() => {})
    }
    this.#connections.clear()
  }

  async #refresh(): Promise<void> {
    const request = { topics: null, allowAutoTopicCreation: false }
    const answer = await this.ask(this.anyNode(), metadata, METADATA_VERSION, request, METADATA_TIMEOUT_MS)
    if (answer.kind !== 'answered') return
    for (const { nodeId, host, port } of answer.response.brokers) this.#addresses.set(nodeId, { host, port })
    for (const topic of answer.response.topics) {
      for (const { partitionIndex, leaderId, leaderEpoch } of topic.partitions) {
        const name = `${topic.name}-${partitionIndex}`
        const newest = this.#epochs.get(name) ?? -1
        // A broker that lags tells old news.
        if (newest > leaderEpoch) continue
        this.#epochs.set(name, leaderEpoch)
        if (leaderId >= 0) this.#leaders.set(name, { nodeId: leaderId, leaderEpoch })
        else this.#leaders.delete(name)
      }
    }
  }

  async #connection(nodeId: number, timeoutMs: number): Promise<Connection | null> {
    const address = this.#addresses.get(nodeId)
    if (address === undefined) return null
    let opening = this.#connections.get(nodeId)
    if (opening === undefined) {
      const { network } = this.room
      opening = connect(address.host, address.port, { network, clientId: this.clientId })
      this.#connections.set(nodeId, opening)
      const mine = opening
      const forget = (): void => {
        if (this.#connections.get(nodeId) === mine) this.#connections.delete(nodeId)
      }
      opening.then(connection => connection.closed.then(forget)).catch(forget)
    }
    const connection = await this.#inTime(
      opening.catch(() => null),
      timeoutMs
    )
    if (connection !== TOO_LATE) return connection
    if (this.#connections.get(nodeId) === opening) this.#connections.delete(nodeId)
    opening.then(late => late.destroy()).catch(() => {})
    return null
  }

  #drop(nodeId: number, connection: Connection): void {
    this.#connections.delete(nodeId)
    connection.destroy()
  }

  async #inTime<T>(work: Promise<T>, ms: number): Promise<T | typeof TOO_LATE> {
    let alarm: { cancel(): void } | null = null
    const late = new Promise<typeof TOO_LATE>(resolve => {
      alarm = this.room.clock.after(ms, () => resolve(TOO_LATE))
    })
    const first = await Promise.race([work, late])
    ;(alarm as { cancel(): void } | null)?.cancel()
    return first
  }
}
