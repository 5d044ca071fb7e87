// Several brokers' partitions in one process: real logs on disks in memory, real followers, leaders and handlers, joined
// by links that can be cut. The controller is its real decisions on a cluster on paper; when each broker hears of them
// is up to the test. Time moves by a millisecond a turn.
import assert from 'node:assert/strict'
import { setImmediate as turn } from 'node:timers/promises'
import { type BrokerConfig, loadConfig } from '../../broker/config.ts'
import { FetchSessions } from '../../broker/fetch-sessions.ts'
import { onDeleteRecords } from '../../broker/handlers/delete-records.ts'
import { onDescribeTopicPartitions } from '../../broker/handlers/describe-topic-partitions.ts'
import { onFetch } from '../../broker/handlers/fetch.ts'
import type { Handler, RequestContext } from '../../broker/handlers/handler.ts'
import { onListOffsets } from '../../broker/handlers/list-offsets.ts'
import { onOffsetForLeaderEpoch } from '../../broker/handlers/offset-for-leader-epoch.ts'
import { onProduce } from '../../broker/handlers/produce.ts'
import { createLogger } from '../../broker/log.ts'
import { MetadataCache } from '../../broker/metadata-cache.ts'
import type { Partition } from '../../broker/partition.ts'
import { Partitions } from '../../broker/partitions.ts'
import { Looks } from '../../broker/readers.ts'
import type { ReplicaLink } from '../../broker/replica-fetchers.ts'
import type { Services } from '../../broker/services.ts'
import { MoldauError } from '../../protocol/failure.ts'
import { completed } from '../../protocol/frame.ts'
import { alterPartition } from '../../protocol/messages/alter-partition.ts'
import { buildBatch } from '../../protocol/records/builder.ts'
import type { Api, RequestDraft, RequestOf, ResponseOf } from '../../protocol/schema.ts'
import { decideAlterPartition } from '../../replication/controller/alter-partition.ts'
import type { Decision } from '../../replication/controller/decision.ts'
import { decideCreateTopics } from '../../replication/controller/topics.ts'
import { MetadataDelta } from '../../replication/metadata/delta.ts'
import { MetadataImage } from '../../replication/metadata/image.ts'
import type { MetadataRecord } from '../../replication/metadata/records.ts'
import { Catalog } from '../../storage/catalog.ts'
import type { Files } from '../../storage/files.ts'
import { MemoryFiles } from '../../storage/files-memory.ts'
import { MemoryKeyStores } from '../../storage/snapshot-cache.ts'
import { chance, cluster, heartbeat, type Cluster as Paper, register, run } from '../replication/controller/cluster.ts'
import { CatalogClock, settings } from '../storage/catalog-fixture.ts'

const HANDLERS = new Map<Api, Handler>(
  [onFetch, onListOffsets, onProduce, onDeleteRecords, onOffsetForLeaderEpoch, onDescribeTopicPartitions].map(each => [
    each.api,
    each as unknown as Handler
  ])
)

/** Syncs of files and directories whose path has this in it wait until it is cleared. */
class Held {
  path: string | null = null
  #waiting: (() => void)[] = []

  release(): void {
    this.path = null
    for (const go of this.#waiting.splice(0)) go()
  }

  over(files: MemoryFiles): Files {
    const paths = new Map<unknown, string>()
    return new Proxy(files, {
      get: (target, key) => {
        const member: unknown = Reflect.get(target, key, target)
        if (typeof member !== 'function') return member
        return (...args: unknown[]) => {
          const work = () => member.apply(target, args) as unknown
          if (key === 'open') {
            const fd = work()
            paths.set(fd, String(args[0]))
            return fd
          }
          const at = key === 'fdatasync' ? paths.get(args[0]) : key === 'syncDirectory' ? String(args[0]) : ''
          const isHeld = this.path !== null && at?.includes(this.path)
          return isHeld ? new Promise<void>(go => this.#waiting.push(go)).then(work) : work()
        }
      }
    })
  }
}

/** Of each disk, which is large unless a test says otherwise. */
export const RESERVE_BYTES = 100_000

export class Node {
  readonly id: number
  readonly cluster: Cluster
  readonly config: BrokerConfig
  readonly held = new Held()
  disk = new MemoryFiles()
  clock = new CatalogClock(1_000)
  brokerEpoch = -1
  /** Hears of no metadata until it is cleared. */
  isDeaf = false
  isUp = false
  lines: { level: string; msg: string }[] = []
  catalog!: Catalog
  metadata!: MetadataCache
  partitions!: Partitions
  services!: Services
  readonly #links = new Set<Link>()
  #stores = new MemoryKeyStores()

  constructor(of: Cluster, id: number, set: readonly string[]) {
    this.cluster = of
    this.id = id
    this.config = loadConfig({ set: [...set] }).config
  }

  /** A new life, up to where its registration would be. */
  async open(): Promise<void> {
    const { clock, config, id } = this
    const random = chance(id)
    const log = createLogger({ level: 'info', to: { write: line => this.lines.push(JSON.parse(line)) } })
    this.catalog = await Catalog.open({
      ...{ files: this.held.over(this.disk), directory: '/data', nodeId: id, clusterId: null, clock, random },
      settings: { ...settings, diskReserveBytes: RESERVE_BYTES },
      ...{ policy: config.get('moldau.log.flush.policy') as 'group-commit', tailCacheBytes: 1 << 22 },
      ...{ bootstrapCheckpoint: () => Buffer.alloc(0), openKeyStore: this.#stores.open, onEvent: () => {} },
      onOffline: () => this.partitions.storageFailed()
    })
    this.metadata = new MetadataCache(new MetadataImage(), 0, new MetadataDelta())
    this.partitions = new Partitions({
      ...{ nodeId: id, catalog: this.catalog, metadata: this.metadata, config, clock, log },
      replication: {
        brokerEpoch: () => this.brokerEpoch,
        openLink: to => this.#open(to),
        alterPartition: request => this.cluster.alterPartition(this, request)
      }
    })
    const fetchSessions = new FetchSessions(
      () => 100,
      () => 1 + random.below(2 ** 30)
    )
    const { metadata, partitions, catalog } = this
    const looks = new Looks(clock)
    const parts = { nodeId: id, config, clock, random, log, metadata, partitions, catalog, fetchSessions, looks }
    this.services = parts as unknown as Services
    this.isUp = true
    this.hear()
    await this.partitions.settled()
  }

  /** This life is known to the controller, and may lead and follow. */
  async enter(): Promise<void> {
    this.brokerEpoch = this.cluster.on.image.brokers.get(this.id)?.brokerEpoch ?? -1
    this.partitions.allowLeading()
    this.hear()
    await this.partitions.settled()
  }

  hear(): void {
    if (this.isDeaf || !this.isUp) return
    const { records, on } = this.cluster
    const { endOffset } = this.metadata
    const news = endOffset === 0 ? [...on.image.records()] : records.slice(endOffset - this.cluster.firstOffset)
    if (news.length > 0) this.metadata.commit(news, on.endOffset)
  }

  partition(index = 0, topic = 'a'): Partition {
    const id = this.cluster.on.image.topicsByName.get(topic)?.topicId ?? ''
    return this.partitions.get(id, index) ?? assert.fail(`${topic}-${index} is not at broker ${this.id}`)
  }

  /** As a client would. */
  async ask<A extends Api>(api: A, version: number, request: RequestDraft<A>): Promise<ResponseOf<A>> {
    const signal = new AbortController().signal
    return await this.serve(api, version, request, signal)
  }

  async serve<A extends Api>(
    api: A,
    version: number,
    request: RequestDraft<A>,
    signal: AbortSignal
  ): Promise<ResponseOf<A>> {
    const context = {
      ...{ apiVersion: version, correlationId: 1, clientId: 'test', principal: '', clientHost: '', signal },
      ...{ listenerName: 'PLAINTEXT', listener: 'broker', localAddress: '', localPort: 1, connectionId: 1 }
    } as RequestContext
    const decoded = completed(api.request, version, request) as RequestOf<Api>
    const reply = await HANDLERS.get(api)?.handle(decoded, context, this.services)
    return completed(api.response, version, (reply ?? {}) as never) as ResponseOf<A>
  }

  produce(value: string, o: { index?: number; acks?: number; timeoutMs?: number; topic?: string } = {}) {
    const { index = 0, acks = -1, timeoutMs = 30_000, topic = 'a' } = o
    const records = batchOf(value)
    const topicData = [{ name: topic, partitionData: [{ index, records }] }]
    return this.ask(onProduce.api, 12, { acks, timeoutMs, topicData }).then(
      ({ responses, nodeEndpoints }) => ({ ...responses[0]?.partitionResponses[0], nodeEndpoints }) as const
    )
  }

  #open(to: number): ReplicaLink {
    const link = new Link(this, to)
    this.#links.add(link)
    return link
  }

  get links(): Iterable<Link> {
    return this.#links
  }

  /** The power is cut: what was not synced is gone. */
  async crash(): Promise<void> {
    this.isUp = false
    for (const link of this.#links) link.close()
    this.#links.clear()
    this.disk = this.disk.crash({ below: chance(this.id).below }, 'drop')
    this.clock.forget()
    this.#stores.crash(count => count)
    const ms = this.clock.ms
    this.clock = new CatalogClock(ms)
    this.brokerEpoch = -1
    await turn()
  }

  async stop(): Promise<void> {
    if (!this.isUp) return
    this.isUp = false
    this.held.release()
    await this.partitions.stop()
    await this.catalog.close({ brokerEpoch: this.brokerEpoch })
  }
}

/** One connection of a follower to a leader. The time-out is not played: nothing is lost silently here. */
export class Link implements ReplicaLink {
  readonly #from: Node
  readonly #to: number
  #gone = new AbortController()
  #isClosed = false
  /** One request at a time is worked on, as on a connection. */
  #busy: Promise<unknown> = Promise.resolve()

  constructor(from: Node, to: number) {
    this.#from = from
    this.#to = to
  }

  async send<A extends Api>(
    api: A,
    version: number,
    request: RequestDraft<A>,
    limitMs = Number.POSITIVE_INFINITY
  ): Promise<ResponseOf<A>> {
    const { cluster, id } = this.#from
    const { signal } = this.#gone
    if (this.#isClosed) throw new MoldauError('ERR_CLOSED', 'closed')
    cluster.requests.push({ from: id, to: this.#to, api: api.name, request, limitMs })
    const isCut = () => cluster.cuts.has(`${id}>${this.#to}`) || !cluster.node(this.#to).isUp
    const answer = this.#busy.then(async () => {
      await turn()
      if (isCut()) throw new MoldauError('ERR_REFUSED', 'refused')
      const reply = await cluster.node(this.#to).serve(api, version, request, signal)
      await turn()
      if (isCut()) throw new MoldauError('ERR_DISCONNECTED', 'cut')
      return cluster.onWire(api, reply)
    })
    this.#busy = answer.catch(() => {})
    const ended = new Promise<never>((_, reject) => {
      const code = () => (this.#isClosed ? 'ERR_CLOSED' : 'ERR_DISCONNECTED')
      signal.addEventListener('abort', () => reject(new MoldauError(code(), 'ended')), { once: true })
    })
    return await Promise.race([answer, ended])
  }

  /** Reset; the next request opens it again. */
  drop(): void {
    const { signal } = this.#gone
    if (!signal.aborted) this.#gone.abort()
    this.#gone = new AbortController()
    this.#busy = Promise.resolve()
  }

  close(): void {
    this.#isClosed = true
    this.#gone.abort()
  }
}

export class Cluster {
  readonly on: Paper
  readonly records: MetadataRecord[] = []
  readonly firstOffset: number
  readonly nodes: Node[]
  /** `from>to`: refused. */
  readonly cuts = new Set<string>()
  /** What followers have sent. */
  readonly requests: { from: number; to: number; api: string; request: object; limitMs: number }[] = []
  /** May change an answer on its way. */
  onWire: <A extends Api>(api: A, reply: ResponseOf<A>) => ResponseOf<A> = (_api, reply) => reply
  /** May throw: then the controller never heard of it. */
  onAlter: () => void = () => {}

  constructor(ids: readonly number[], set: readonly string[] = []) {
    this.on = cluster(ids)
    this.firstOffset = this.on.endOffset
    const { image } = this.on
    const apply = image.apply.bind(image)
    image.apply = (record, delta) => {
      this.records.push(record)
      apply(record, delta)
    }
    this.nodes = ids.map(id => new Node(this, id, set))
  }

  static async start(ids: readonly number[], set: readonly string[] = []): Promise<Cluster> {
    const made = new Cluster(ids, set)
    for (const node of made.nodes) {
      await node.open()
      await node.enter()
    }
    return made
  }

  node(id: number): Node {
    return this.nodes.find(each => each.id === id) ?? assert.fail(`no broker ${id}`)
  }

  /** Decides, and tells everybody who listens. */
  decide<T>(decision: Decision<T>): T {
    const reply = run(this.on, decision)
    for (const node of this.nodes) node.hear()
    return reply
  }

  async create(topic: string, replicas: readonly (readonly number[])[], configs: Record<string, string> = {}) {
    const { on } = this
    const assignments = replicas.map((brokerIds, partitionIndex) => ({ partitionIndex, brokerIds: [...brokerIds] }))
    const wanted = {
      ...{ name: topic, numPartitions: -1, replicationFactor: -1, assignments },
      configs: Object.entries(configs).map(([name, value]) => ({ name, value }))
    }
    this.decide(decideCreateTopics(on.image, { topics: [wanted], validateOnly: false }, on.rules))
    await this.settled()
  }

  async settled(): Promise<void> {
    for (const node of this.nodes) if (node.isUp) await node.partitions.settled()
  }

  async alterPartition(by: Node, request: RequestDraft<typeof alterPartition>) {
    await turn()
    this.onAlter()
    if (!by.isUp) throw new MoldauError('ERR_CLOSED', 'dead')
    const decoded = completed(alterPartition.request, 3, request)
    return completed(
      alterPartition.response,
      3,
      this.decide(decideAlterPartition(this.on.image, decoded, this.on.rules))
    )
  }

  registered(topic = 'a', index = 0) {
    return this.on.image.topicsByName.get(topic)?.partitions[index] ?? assert.fail('no partition')
  }

  /** The broker registers anew; the controller takes it out of everything first. */
  async restart(id: number): Promise<void> {
    const node = this.node(id)
    await node.open()
    register(this.on, id, { incarnationId: chance(this.on.endOffset).uuid() })
    for (const each of this.nodes) each.hear()
    await node.enter()
    this.unfence(id)
    await this.settled()
  }

  unfence(id: number): void {
    heartbeat(this.on, id)
    for (const each of this.nodes) each.hear()
  }

  /** The controller heard nothing of the broker for too long. */
  fence(id: number): void {
    heartbeat(this.on, id, { wantFence: true })
    for (const each of this.nodes) each.hear()
  }

  async until(holds: () => boolean, what = 'it never came to pass', limit = 20_000): Promise<void> {
    for (let i = 0; i < limit; i++) {
      if (holds()) return
      await this.pass(1)
    }
    assert.fail(what)
  }

  async pass(ms: number): Promise<void> {
    await turn()
    for (const { clock } of this.nodes) clock.advance(ms)
    await turn()
  }

  async stop(): Promise<void> {
    for (const node of this.nodes) await node.stop()
  }
}

export function batchOf(...values: string[]): Buffer {
  return buildBatch({ records: values.map(value => ({ timestamp: 1_000, key: null, value: Buffer.from(value) })) })
}
