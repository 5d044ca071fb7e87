// Metadata logs of several nodes on a simulated network and simulated disks: real listeners, links and files' logic, one
// seed, no real time. Each node has the least of a controller: it begins a new cluster, and notes what it is told.
import { loadConfig } from '../../../broker/config.ts'
import { bootstrapCheckpoint, hasLived, metadataLogConfig } from '../../../broker/controller-open.ts'
import { onBeginQuorumEpoch } from '../../../broker/handlers/begin-quorum-epoch.ts'
import { onDescribeQuorum } from '../../../broker/handlers/describe-quorum.ts'
import { onEndQuorumEpoch } from '../../../broker/handlers/end-quorum-epoch.ts'
import { onFetch } from '../../../broker/handlers/fetch.ts'
import { onFetchSnapshot } from '../../../broker/handlers/fetch-snapshot.ts'
import type { Handler } from '../../../broker/handlers/handler.ts'
import { onVote } from '../../../broker/handlers/vote.ts'
import { createLogger } from '../../../broker/log.ts'
import { MetadataLog } from '../../../broker/metadata-log.ts'
import { MemoryBudget } from '../../../broker/net/budget.ts'
import { Dispatch } from '../../../broker/net/dispatch.ts'
import { Listeners } from '../../../broker/net/listener.ts'
import type { Services } from '../../../broker/services.ts'
import { Stalls } from '../../../broker/stalls.ts'
import { Agenda } from '../../../clients/simulate/agenda.ts'
import { Dice } from '../../../clients/simulate/dice.ts'
import { SimDisk } from '../../../clients/simulate/disk.ts'
import { SimNetwork } from '../../../clients/simulate/sim-network.ts'
import { SimProcess } from '../../../clients/simulate/sim-process.ts'
import { Trace } from '../../../clients/simulate/trace.ts'
import { METADATA_TOPIC, METADATA_TOPIC_ID } from '../../../replication/controller/topic-names.ts'
import { recordAt } from '../../../replication/metadata/records.ts'
import { Catalog } from '../../../storage/catalog.ts'
import { formatMetaProperties } from '../../../storage/checkpoints.ts'
import type { Files } from '../../../storage/files.ts'
import { settings } from '../../storage/catalog-fixture.ts'

export const DIRECTORY = '/disk/data'
export const METADATA = `${DIRECTORY}/__cluster_metadata-0`
export const PORT = 9093
const HANDLERS = [onFetch, onVote, onBeginQuorumEpoch, onEndQuorumEpoch, onDescribeQuorum, onFetchSnapshot]

export class QuorumWorld {
  readonly agenda = new Agenda()
  readonly trace = new Trace()
  readonly dice: Dice
  readonly network: SimNetwork
  readonly nodes: readonly QuorumNode[]
  /** Asked after every event. */
  check: (() => void) | null = null

  constructor(o: { seed?: number; nodes?: number; set?: readonly string[]; setOf?: (id: number) => string[] } = {}) {
    const { seed = 1, nodes = 3, set = [], setOf = () => [] } = o
    this.dice = new Dice(`quorum ${seed}`)
    const { agenda, trace, dice } = this
    this.network = new SimNetwork({ agenda, trace, dice: dice.of('net'), latency: { leastUs: 50, mostUs: 500 } })
    const ids = Array.from({ length: nodes }, (_, i) => i + 1)
    for (const id of ids) this.network.addHost(`node-${id}`)
    const voters = ids.map(id => `${id}@node-${id}:${PORT}`).join(',')
    this.nodes = ids.map(id => new QuorumNode(this, id, voters, [...set, ...setOf(id)]))
  }

  node(id: number): QuorumNode {
    const node = this.nodes[id - 1]
    if (!node) throw new Error(`no node ${id}`)
    return node
  }

  get running(): QuorumNode[] {
    return this.nodes.filter(node => node.isRunning)
  }

  /** Who leads the latest epoch, as it says itself and as its controller has been told. */
  get leader(): QuorumNode | null {
    const leading = this.running.filter(node => node.log?.isLeader)
    return leading.sort((left, right) => right.epoch - left.epoch)[0] ?? null
  }

  get followers(): QuorumNode[] {
    return this.running.filter(node => node !== this.leader)
  }

  async run(ms: number): Promise<void> {
    await this.agenda.run(this.agenda.nowUs + ms * 1000, () => this.#isDone(() => false))
  }

  waitFor(holds: () => boolean, limitMs = 20_000): Promise<boolean> {
    return this.agenda.run(this.agenda.nowUs + limitMs * 1000, () => this.#isDone(holds))
  }

  async until<T>(promise: Promise<T>, limitMs = 20_000): Promise<T> {
    let isSettled = false
    const settle = () => {
      isSettled = true
    }
    promise.then(settle, settle)
    if (!(await this.waitFor(() => isSettled, limitMs))) throw new Error(`not within ${limitMs} ms`)
    return promise
  }

  #isDone(holds: () => boolean): boolean {
    this.check?.()
    return holds()
  }

  async startAll(): Promise<void> {
    await this.until(Promise.all(this.nodes.map(node => node.start())))
  }

  /** Everybody who runs follows one leader and has what it has. */
  isInStep(): boolean {
    const { leader } = this
    if (!leader?.log) return false
    const { logEndOffset, highWatermark, leaderEpoch } = leader.log
    const isLike = ({ log }: QuorumNode) =>
      log !== null &&
      log.leaderId === leader.id &&
      log.leaderEpoch === leaderEpoch &&
      log.logEndOffset === logEndOffset &&
      log.cache.endOffset === highWatermark
    return highWatermark === logEndOffset && this.running.every(isLike)
  }

  end(): void {
    this.check = null
    for (const node of this.nodes) node.kill()
  }
}

export class QuorumNode {
  readonly id: number
  readonly disk: SimDisk
  readonly told: string[] = []
  readonly lines: string[] = []
  log: MetadataLog | null = null
  catalog: Catalog | null = null
  /** Of this life. */
  files: Files | null = null
  failure: Error | null = null
  readonly #world: QuorumWorld
  readonly #set: readonly string[]
  #process: SimProcess | null = null
  #lives = 0

  constructor(world: QuorumWorld, id: number, voters: string, set: readonly string[]) {
    const { agenda, trace, dice } = world
    this.#world = world
    this.id = id
    this.disk = new SimDisk({ agenda, trace, dice: dice.of(`disk ${id}`), directories: ['/disk', '/tmp'] })
    this.#set = [
      ...[`node.id=${id}`, 'process.roles=broker,controller', `controller.quorum.voters=${voters}`],
      `listeners=PLAINTEXT://node-${id}:9092,CONTROLLER://node-${id}:${PORT}`,
      ...['controller.listener.names=CONTROLLER', `log.dirs=${DIRECTORY}`],
      'listener.security.protocol.map=PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT',
      ...set
    ]
  }

  get isRunning(): boolean {
    return this.#process !== null
  }

  get process(): SimProcess | null {
    return this.#process
  }

  get epoch(): number {
    return this.log?.leaderEpoch ?? -1
  }

  get topics(): string[] {
    return [...(this.log?.cache.image.topicsByName.keys() ?? [])].sort()
  }

  /** Resolves when it takes part, or cannot. */
  start(): Promise<void> {
    const { agenda, trace, dice } = this.#world
    const life = ++this.#lives
    this.failure = null
    const process = new SimProcess({
      ...{ agenda, trace, dice: dice.of(`life ${this.id} ${life}`), skewMs: () => 0, id: this.id * 1000 + life }
    })
    this.#process = process
    return new Promise(resolve => {
      process.onEnd(resolve)
      agenda.after(0, () =>
        process.run('io', () => void this.#live(process).then(resolve, error => this.#fail(process, error)))
      )
    })
  }

  async #live(process: SimProcess): Promise<void> {
    const { clock, random } = process
    const { config } = loadConfig({ set: [...this.#set] })
    const logger = createLogger({ level: 'debug', to: { write: line => this.lines.push(line) } })
    const network = this.#world.network.attach(`node-${this.id}`, process)
    const services = { config, log: logger, clock } as { -readonly [K in keyof Services]: Services[K] }
    const handlers = HANDLERS as unknown as Handler[]
    let dispatch: Dispatch | null = null
    const listeners = new Listeners({
      ...{ network, clock, log: logger },
      budget: new MemoryBudget({ clock, limitBytes: 2 ** 28, cacheBytes: 0, maxFrameBytes: 2 ** 28 }),
      onFrame: (frame, connection) => {
        if (!dispatch) throw new Error('not ready')
        return dispatch.handle(frame, connection)
      },
      limits: {
        ...{ maxFrameBytes: () => 1 << 28, maxConnections: () => 1000, maxConnectionsPerIp: () => 1000 },
        maxIdleMs: () => 600_000
      }
    })
    const disk = await this.disk.attach(process)
    const { files } = disk
    this.files = files
    const onFatal = (reason: Error) => this.#fail(process, reason)
    const catalog = await Catalog.open({
      ...{ ...disk, clock, random, settings, directory: DIRECTORY, nodeId: this.id },
      ...{ policy: 'group-commit' as const, tailCacheBytes: 1 << 20, clusterId: config.get('moldau.cluster.id') },
      bootstrapCheckpoint: () => bootstrapCheckpoint(clock.nowMs()),
      isOneOfSeveral: config.voters.length > 1,
      onEvent: () => {},
      onOffline: onFatal
    })
    const partition = { topic: METADATA_TOPIC, partition: 0 }
    const log = await MetadataLog.open({
      log: await catalog.getOrCreate(partition, METADATA_TOPIC_ID, metadataLogConfig(config)),
      ...{ files, network, clock, random, logger, onFatal, nodeId: this.id, voters: config.voters },
      stalls: startedStalls(clock),
      isFormatted: catalog.clusterId !== null,
      hasLived: () => hasLived(files, DIRECTORY),
      bootstrapCheckpoint: `${DIRECTORY}/bootstrap.checkpoint`,
      timeouts: { electionMs: 1000, fetchMs: 2000, backoffMaxMs: 1000 },
      requestTimeoutMs: () => 2000,
      fetchMaxBytes: () => config.get('controller.quorum.fetch.max.bytes'),
      snapshotMaxBytes: () => config.get('controller.quorum.fetch.snapshot.max.bytes'),
      clusterId: () => catalog.clusterId,
      configuredClusterId: config.get('moldau.cluster.id'),
      adoptClusterId: id => catalog.adoptClusterId(id),
      snapshotBytesMax: () => config.get('metadata.log.max.record.bytes.between.snapshots'),
      snapshotIntervalMs: () => Number.POSITIVE_INFINITY
    })
    services.controller = { metadataLog: log } as unknown as Services['controller']
    services.metadata = log.cache
    dispatch = new Dispatch(services, handlers)
    for (const each of config.listeners) if (each.controller) await listeners.listen(each)
    this.log = log
    this.catalog = catalog
    await log.start({
      lead: () => this.#lead(log),
      resign: () => this.told.push('resign'),
      committed: () => {}
    })
  }

  #lead(log: MetadataLog): void {
    this.told.push(`lead ${log.leaderEpoch}`)
    if (log.cache.image.metadataVersion > 0) return
    const clusterId = log.namedClusterId ?? this.#process?.random.uuid() ?? ''
    const id = { resourceType: 4, resourceName: '', name: 'moldau.cluster.id', value: clusterId }
    log.append([
      recordAt(30, 'FeatureLevelRecord', { name: 'metadata.version', featureLevel: 30 }),
      recordAt(30, 'ConfigRecord', id)
    ])
  }

  /** As the leader: a topic's record, in a batch of its own. */
  append(name: string, partitions = 0): number {
    if (!this.log) throw new Error('not running')
    const topicId = Buffer.from(name.padStart(16, '.').slice(0, 16)).toString('base64url')
    const partition = { topicId, replicas: [1], isr: [1], leader: 1, leaderEpoch: 0, partitionEpoch: 0 }
    const parts = Array.from({ length: partitions }, (_, partitionId) =>
      recordAt(30, 'PartitionRecord', {
        ...{ ...partition, partitionId, removingReplicas: [], addingReplicas: [], directories: [topicId] }
      })
    )
    return this.log.append([recordAt(30, 'TopicRecord', { name, topicId }), ...parts])
  }

  /** As an operator does it: meta.properties says whose the directory is. */
  async format(clusterId: string): Promise<void> {
    const meta = { version: 1, nodeId: this.id, clusterId, directoryId: this.#world.dice.uuid(), others: new Map() }
    const text = formatMetaProperties({ ...meta, version: 1 }, new Date(0))
    await this.withDisk(async files => {
      await files.mkdir(DIRECTORY)
      await files.writeFileAtomically(`${DIRECTORY}/bootstrap.checkpoint`, bootstrapCheckpoint(0))
      await files.writeFileAtomically(`${DIRECTORY}/meta.properties`, Buffer.from(text))
      await files.syncDirectory('/disk')
    })
  }

  names(directory: string): Promise<string[]> {
    return this.withDisk(files => files.readdir(directory))
  }

  read(file: string): Promise<Buffer | null> {
    return this.withDisk(files => files.readFile(file))
  }

  /** While no process of the node runs. */
  async withDisk<T>(work: (files: Files) => Promise<T>): Promise<T> {
    const world = this.#world
    const { agenda, trace, dice } = world
    const process = new SimProcess({ agenda, trace, dice: dice.of('operator'), skewMs: () => 0, id: 9 })
    const { files } = await world.until(this.disk.attach(process))
    const result = await world.until(work(files))
    process.end()
    this.disk.processDied()
    return result
  }

  /** kill -9 */
  kill(): void {
    if (!this.#process) return
    this.#end()
    this.disk.processDied()
  }

  /** The power is cut and comes back at once: what was not synced is lost. */
  crash(kind: 'drop' | 'mixed' = 'drop'): void {
    this.#end()
    this.disk.powerLost(kind)
  }

  wipe(): void {
    this.kill()
    this.disk.wipe()
  }

  async stop(): Promise<void> {
    await this.log?.handOver()
    await this.catalog?.close({ brokerEpoch: -1 })
    this.kill()
  }

  #fail(process: SimProcess, error: Error): void {
    if (this.#process !== process) return
    this.failure = error
    this.kill()
  }

  #end(): void {
    const process = this.#process
    this.#process = null
    this.log = null
    this.catalog = null
    process?.end()
  }
}

function startedStalls(clock: ConstructorParameters<typeof Stalls>[0]): Stalls {
  const stalls = new Stalls(clock)
  stalls.start()
  return stalls
}

/** A cluster that has formed. */
export async function formed(o: ConstructorParameters<typeof QuorumWorld>[0] = {}): Promise<QuorumWorld> {
  const world = new QuorumWorld(o)
  await world.startAll()
  if (!(await world.waitFor(() => world.isInStep() && world.nodes.every(node => node.log?.isCaughtUp)))) {
    throw new Error(`no cluster: ${world.nodes.map(node => node.failure ?? node.told)}`)
  }
  return world
}

export const leaderOf = (world: QuorumWorld): QuorumNode => {
  if (!world.leader) throw new Error('no leader')
  return world.leader
}

/** Settings under which few records are many. */
export const SMALL = [
  'metadata.log.max.record.bytes.between.snapshots=2000',
  'internal.metadata.log.segment.bytes=2000',
  'controller.quorum.fetch.snapshot.max.bytes=700',
  'controller.quorum.fetch.max.bytes=600'
]
