// One node's controller on a disk in memory, through its lives: what survives a crash is in Node, what does not in Life.
import type { Test } from 'tap'
import { type BrokerConfig, loadConfig } from '../../broker/config.ts'
import type { Controller } from '../../broker/controller.ts'
import type { Channel } from '../../broker/controller-channel.ts'
import { isWithoutQuorum, openChannel } from '../../broker/controller-links.ts'
import { bootstrapCheckpoint, openController } from '../../broker/controller-open.ts'
import type { Caller } from '../../broker/controller-sessions.ts'
import { createLogger } from '../../broker/log.ts'
import { type Network, nodeNetwork } from '../../broker/net/network.ts'
import { Registration } from '../../broker/registration.ts'
import { Stalls } from '../../broker/stalls.ts'
import { errorName } from '../../protocol/errors.ts'
import { ZERO_UUID } from '../../protocol/types.ts'
import { Catalog } from '../../storage/catalog.ts'
import { MemoryFiles } from '../../storage/files-memory.ts'
import { MemoryKeyStores } from '../../storage/snapshot-cache.ts'
import { chance } from '../replication/controller/cluster.ts'
import { CatalogClock, settings } from '../storage/catalog-fixture.ts'

const DIRECTORY = '/data'
export const METADATA = `${DIRECTORY}/__cluster_metadata-0`

/** What survives a life: the disk, the time, and chance. */
export class Node {
  files = new MemoryFiles()
  readonly clock = new CatalogClock()
  readonly random: ReturnType<typeof chance>
  readonly stores = new MemoryKeyStores()
  /** Where its controller looks for brokers. */
  network: Network = nodeNetwork
  readonly lines: string[] = []
  readonly config: BrokerConfig
  readonly #bootstrap: () => Uint8Array

  constructor(o: { seed?: number; set?: string[]; bootstrap?: () => Uint8Array } = {}) {
    this.random = chance(o.seed)
    this.config = loadConfig({ set: o.set ?? [] }).config
    this.#bootstrap = o.bootstrap ?? (() => bootstrapCheckpoint(this.clock.nowMs()))
  }

  async begin(): Promise<Life> {
    const { files, clock, random, config, network } = this
    const incarnationId = random.uuid()
    const logger = createLogger({ level: 'info', to: { write: line => this.lines.push(line) } })
    let controller: Controller | null = null
    const catalog = await Catalog.open({
      ...{
        files,
        clock,
        random,
        settings,
        logger,
        directory: DIRECTORY,
        nodeId: 1,
        clusterId: null,
        policy: 'page-cache'
      },
      ...{ tailCacheBytes: 1 << 20, bootstrapCheckpoint: this.#bootstrap, openKeyStore: this.stores.open },
      onEvent: () => {},
      onOffline: error => controller?.stop(error)
    })
    const stalls = new Stalls(clock)
    stalls.start()
    controller = await openController({
      ...{ catalog, files, clock, random, config, logger, nodeId: 1, incarnationId },
      ...{ controllerEndPoints: [], settled: () => Promise.resolve(), network, stalls },
      onFatal: error => controller?.stop(error)
    })
    return new Life(this, catalog, controller, incarnationId)
  }

  /** Begins a life and lets its broker in. */
  async start(): Promise<Life> {
    const life = await this.begin()
    await life.start()
    return life
  }

  async names(): Promise<string[]> {
    return (await this.files.readdir(METADATA)).sort()
  }
}

export class Life {
  readonly node: Node
  readonly catalog: Catalog
  readonly controller: Controller
  readonly channel: Channel
  readonly registration: Registration

  constructor(node: Node, catalog: Catalog, controller: Controller, incarnationId: string) {
    const { clock, config } = node
    const surroundings = { controller, network: nodeNetwork, clock, config }
    this.node = node
    this.catalog = catalog
    this.controller = controller
    const endpoint = { name: 'PLAINTEXT', host: 'localhost', port: 9092, securityProtocol: 0 }
    this.channel = openChannel({ ...surroundings, settled: () => Promise.resolve() })
    this.registration = new Registration({
      ...{ channel: this.channel, nodeId: 1, clusterId: () => catalog.clusterId, incarnationId },
      ...{ endpoints: [endpoint], controllerEndPoints: [], offlineLogDirs: () => [] },
      metadataEndOffset: () => controller.metadata.endOffset,
      isAlone: () => isWithoutQuorum(surroundings),
      ...{ rack: null, logDirs: [catalog.directoryId], previousBrokerEpoch: () => Promise.resolve(-1), clock },
      heartbeatIntervalMs: () => config.get('broker.heartbeat.interval.ms'),
      logger: createLogger({ level: 'silent' }),
      onRegistered: () => {}
    })
  }

  get image() {
    return this.controller.metadata.image
  }

  async start(): Promise<void> {
    await this.controller.start()
    await this.registration.register()
    await this.registration.unfence()
  }

  async stop(): Promise<void> {
    await this.registration.stop()
    this.channel.close()
    this.controller.stop()
    await this.catalog.close({ brokerEpoch: this.registration.brokerEpoch })
  }

  /** The power is cut. */
  crash(kind: 'keep' | 'drop' | 'mixed' = 'drop'): void {
    const { node } = this
    node.files = node.files.crash({ below: node.random.below }, kind)
    node.clock.forget()
    node.stores.crash(count => count)
  }

  async create(name: string, numPartitions = 1): Promise<string> {
    const topic = { name, numPartitions, replicationFactor: 1, assignments: [], configs: [] }
    const [made] = await this.controller.createTopics({ topics: [topic], validateOnly: false })
    return errorName(made?.errorCode ?? -2)
  }

  async remove(name: string): Promise<string> {
    const [gone] = await this.controller.deleteTopics([{ name, topicId: ZERO_UUID }])
    return errorName(gone?.errorCode ?? -2)
  }
}

/** Lets what is under way in this process go on. */
export const turns = async (count = 5): Promise<void> => {
  for (let turn = 0; turn < count; turn++) await new Promise<void>(resolve => setImmediate(resolve))
}

/** Registers another broker, fenced. */
export async function otherBroker(t: Test, life: Life, brokerId: number): Promise<number> {
  const reply = await life.controller.registerBroker(registrationOf(life, brokerId), connection())
  t.equal(errorName(reply.errorCode), 'NONE')
  return reply.brokerEpoch
}

/** What another broker asks for. */
export function registrationOf(life: Life, brokerId: number, host = 'elsewhere') {
  const self = life.image.brokers.get(1)
  return {
    ...{ brokerId, clusterId: life.catalog.clusterId ?? '', incarnationId: life.node.random.uuid(), rack: null },
    ...{ features: self?.features ?? [], isMigratingZkBroker: false, previousBrokerEpoch: -1 },
    listeners: [{ name: 'PLAINTEXT', host, port: 9092, securityProtocol: 0 }],
    logDirs: [life.node.random.uuid()]
  }
}

/** A connection that stays until the test ends it. */
export function connection(connectionId = 7): Caller & { readonly end: () => void } {
  const abort = new AbortController()
  return { connectionId, signal: abort.signal, end: () => abort.abort() }
}

/** A heartbeat of another broker, which has read all metadata. */
export function signOfLife(
  { controller }: Life,
  wish: { brokerId: number; brokerEpoch: number; wantFence?: boolean; wantShutDown?: boolean },
  caller: Caller | null = null
) {
  const nothing = { wantFence: false, wantShutDown: false, offlineLogDirs: [], cordonedLogDirs: null }
  const currentMetadataOffset = controller.metadata.endOffset - 1
  return controller.heartbeat({ ...nothing, currentMetadataOffset, ...wish }, caller)
}
