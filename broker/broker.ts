// One broker, built from its parts and started in the order in which they lean on each other: listening sockets first
// (requests wait), then the disk, the metadata log, the partitions, the group coordinator, and last the registration
// that lets clients in. It stops in the reverse order, and finishes what it accepted.
import type { MoldauError } from '../protocol/failure.ts'
import { prepareCompression } from '../protocol/records/compression.ts'
import type { Catalog } from '../storage/catalog.ts'
import type { Files } from '../storage/files.ts'
import { NodeFiles } from '../storage/files-node.ts'
import { type OpenKeyStore, openLevelStore } from '../storage/snapshot-cache.ts'
import { forgetIfSuspect, previousBrokerEpoch, storeBrokerEpoch } from './broker-epoch.ts'
import { advertised, advertisedControllers, type BoundListener, connectionsPerIp } from './broker-settings.ts'
import { type Clock, type Random, systemClock, systemRandom } from './clock.ts'
import type { BrokerConfig } from './config.ts'
import type { Controller } from './controller.ts'
import type { Channel } from './controller-channel.ts'
import { isWithoutQuorum, linkTo, openChannel } from './controller-links.ts'
import { openController } from './controller-open.ts'
import { followDynamicConfig, tellMinInsyncReplicas } from './dynamic-config.ts'
import { FetchSessions } from './fetch-sessions.ts'
import type { GroupCoordinator } from './groups/coordinator.ts'
import { coordinateGroups } from './groups-setup.ts'
import { HANDLERS } from './handlers/index.ts'
import type { Logger } from './log.ts'
import { WITHOUT_ACCOUNT } from './net/answers.ts'
import { MemoryBudget } from './net/budget.ts'
import type { OnFrame } from './net/connection.ts'
import { Dispatch } from './net/dispatch.ts'
import { Listeners } from './net/listener.ts'
import { type Network, nodeNetwork } from './net/network.ts'
import { Turn } from './net/slot.ts'
import { Partitions } from './partitions.ts'
import { ProducerIds } from './producer-ids.ts'
import { Progress, type Readiness } from './progress.ts'
import { Looks } from './readers.ts'
import { Registration } from './registration.ts'
import type { Services } from './services.ts'
import { Stalls } from './stalls.ts'
import { openCatalog } from './storage-setup.ts'

export interface BrokerOptions {
  readonly config: BrokerConfig
  readonly log: Logger
  readonly clock?: Clock
  readonly random?: Random
  readonly files?: Files
  readonly network?: Network
  /** The small cache of the log directory, and with it the directory's lock. */
  readonly openKeyStore?: OpenKeyStore
  /** The broker cannot go on (its only log directory failed): one clear reason; the owner of the process ends it. */
  readonly onFatal: (reason: MoldauError) => void
  /** The ports are open; what is behind them may still wait for other nodes. Called once. */
  readonly onListening?: (outside: Outside) => void
  /** The parts are there, and none of them acts yet: for who looks on from the first moment. */
  readonly onAssembled?: (services: Services) => void
}

/** What is seen of a broker from the moment at which its ports are open. */
export interface Outside {
  readonly readiness: Readiness
  /** One line for people; null where it waits for nothing. */
  readonly waitingFor: string | null
  readonly memory: MemoryBudget
  readonly connectionCount: number
  /** Null before its log directory is open. */
  readonly assembled: Services | null
}

export interface Broker {
  readonly clusterId: string
  readonly dataDirectory: string
  readonly listeners: readonly BoundListener[]
  readonly services: Services
  readonly readiness: Readiness
  readonly memory: MemoryBudget
  stop(): Promise<void>
}

export async function startBroker(options: BrokerOptions): Promise<Broker> {
  const system = { clock: systemClock, random: systemRandom, files: new NodeFiles(), network: nodeNetwork }
  const parts = { ...system, openKeyStore: openLevelStore, onAssembled: () => {}, onListening: () => {}, ...options }
  const gates = { broker: new Gate(), controller: new Gate() }
  const memory = memoryBudget(parts)
  const listeners = openListeners(parts, gates, memory)
  const progress = new Progress<Running>()
  try {
    const bound = await listenOn(listeners, parts.config)
    parts.onListening(outsideOf(progress, listeners, memory))
    const [running] = await Promise.all([startBehind(parts, bound, gates.controller, progress), prepareCompression()])
    gates.broker.open(new Dispatch(running.services, HANDLERS))
    return brokerOf(parts, listeners, bound, running, memory, progress)
  } catch (error) {
    await listeners.close()
    throw error
  }
}

type Parts = Required<BrokerOptions>

/** Holds back requests that come in while the broker starts; those of other controllers not as long, since no quorum
 *  comes about without them. */
class Gate {
  #dispatch: Dispatch | null = null
  #opened = (_: Dispatch): void => {}
  readonly #opening = new Promise<Dispatch>(resolve => {
    this.#opened = resolve
  })

  get isOpen(): boolean {
    return this.#dispatch !== null
  }

  open(dispatch: Dispatch): void {
    this.#dispatch = dispatch
    this.#opened(dispatch)
  }

  readonly onFrame: OnFrame = (frame, connection) =>
    this.#dispatch
      ? this.#dispatch.handle(frame, connection)
      : this.#opening.then(async dispatch => {
          const reply = dispatch.handle(frame, connection)
          return await (reply instanceof Turn ? reply.begin(WITHOUT_ACCOUNT) : reply)
        })
}

function memoryBudget({ config, clock }: Parts): MemoryBudget {
  return new MemoryBudget({
    clock,
    limitBytes: config.get('moldau.memory.bytes'),
    cacheBytes: config.get('moldau.tail.cache.bytes'),
    maxFrameBytes: config.get('socket.request.max.bytes')
  })
}

function openListeners(
  { config, clock, log, network }: Parts,
  gates: { broker: Gate; controller: Gate },
  budget: MemoryBudget
): Listeners {
  const controllers = new Set(config.listeners.filter(each => each.controller).map(({ name }) => name))
  return new Listeners({
    network,
    clock,
    log,
    budget,
    onFrame: (frame, connection) =>
      (controllers.has(connection.listenerName) ? gates.controller : gates.broker).onFrame(frame, connection),
    limits: {
      maxFrameBytes: () => config.get('socket.request.max.bytes'),
      maxConnections: () => config.get('max.connections'),
      maxConnectionsPerIp: address => connectionsPerIp(config, address),
      maxIdleMs: () => config.get('connections.max.idle.ms')
    }
  })
}

async function listenOn(listeners: Listeners, config: BrokerConfig): Promise<BoundListener[]> {
  const bound: BoundListener[] = []
  for (const each of config.listeners) {
    bound.push({ name: each.name, host: each.host, port: await listeners.listen(each), isController: each.controller })
  }
  return bound
}

function outsideOf(progress: Progress<Running>, listeners: Listeners, memory: MemoryBudget): Outside {
  return {
    memory,
    get readiness() {
      return progress.readiness
    },
    get waitingFor() {
      return progress.waitingFor
    },
    get connectionCount() {
      return listeners.connections.size
    },
    get assembled() {
      return progress.assembled?.services ?? null
    }
  }
}

/** What runs behind the sockets. */
interface Running {
  readonly services: Services
  readonly catalog: Catalog
  readonly controller: Controller
  readonly partitions: Partitions
  readonly groups: GroupCoordinator
  readonly registration: Registration
  readonly channel: Channel
  readonly stalls: Stalls
}

async function startBehind(
  parts: Parts,
  bound: readonly BoundListener[],
  controllers: Gate,
  progress: Progress<Running>
): Promise<Running> {
  const { log, onFatal } = parts
  let running: Running | null = null
  const catalog = await openCatalog({
    ...parts,
    onOffline: error => {
      running?.partitions.storageFailed()
      running?.groups.storageFailed()
      // Nothing can be committed any more: whoever waits for the controller is told.
      running?.controller.stop(error)
      onFatal(error)
    }
  })
  try {
    running = await assemble(parts, catalog, bound)
    progress.assembled = running
    parts.onAssembled(running.services)
    controllers.open(new Dispatch(running.services, HANDLERS))
    await enter(parts, running, progress)
    return running
  } catch (error) {
    running?.channel.close()
    running?.controller.stop()
    running?.stalls.stop()
    await catalog.close({ brokerEpoch: -1 }).catch(closing => log.error({ err: closing }, 'close-failed'))
    throw error
  }
}

async function assemble(parts: Parts, catalog: Catalog, bound: readonly BoundListener[]): Promise<Running> {
  const { config, clock, random, log, files, network, onFatal } = parts
  const { nodeId } = config
  const isSyncedBeforeAck = config.get('moldau.log.flush.policy') === 'group-commit'
  const incarnationId = random.uuid()
  await forgetIfSuspect(files, catalog)
  const stalls = new Stalls(clock)
  stalls.start()
  const awakeMs = (): number => clock.monotonicMs() - stalls.totalMs
  const settled = (): Promise<void> => partitions.settled()
  const controllerEndPoints = advertisedControllers(config, bound)
  const controller = await openController({
    ...{ catalog, files, network, nodeId, config, clock, stalls, random, logger: log, incarnationId },
    ...{ controllerEndPoints, settled, onFatal }
  })
  const { metadata } = controller
  followDynamicConfig(config, metadata, log)
  const channel = openChannel({ controller, network, clock, config, settled })
  const partitions: Partitions = new Partitions({
    ...{ nodeId, catalog, metadata, config, clock, log },
    replication: {
      brokerEpoch: () => registration.brokerEpoch,
      openLink: brokerId => linkTo(brokerId, { metadata, network, clock, config }),
      alterPartition: request => channel.alterPartition(request),
      lagMs: awakeMs
    }
  })
  const groups = coordinateGroups({
    ...{ config, clock, awakeMs, random, log, metadata, partitions },
    snapshots: catalog.snapshots
  })
  const registration: Registration = new Registration({
    ...{ channel, nodeId, incarnationId, controllerEndPoints, clock, logger: log },
    clusterId: () => catalog.clusterId,
    endpoints: advertised(config, bound),
    rack: config.get('broker.rack'),
    logDirs: [catalog.directoryId],
    offlineLogDirs: () => (catalog.isOffline ? [catalog.directoryId] : []),
    metadataEndOffset: () => metadata.endOffset,
    previousBrokerEpoch: () => previousBrokerEpoch(files, catalog, isSyncedBeforeAck),
    heartbeatIntervalMs: () => config.get('broker.heartbeat.interval.ms'),
    isAlone: () => isWithoutQuorum({ controller, network, clock, config }),
    onRegistered: brokerEpoch => storeBrokerEpoch(files, catalog.directory, brokerEpoch, isSyncedBeforeAck)
  })
  registration.followMetadata(metadata)
  const fetchSessions = new FetchSessions(
    () => config.get('max.incremental.fetch.session.cache.slots'),
    () => 1 + random.below(2 ** 31 - 1)
  )
  const producerIds = new ProducerIds(() =>
    channel.allocateProducerIds({ brokerId: nodeId, brokerEpoch: registration.brokerEpoch })
  )
  const services: Services = {
    ...{ nodeId, config, clock, random, log, metadata, controller, channel, partitions, catalog },
    ...{ fetchSessions, groups, producerIds, looks: new Looks(clock) },
    get clusterId() {
      return catalog.clusterId ?? ''
    }
  }
  return { services, catalog, controller, partitions, groups, registration, channel, stalls }
}

/** From the metadata log to the first client: every log is open before this life is registered, and only then leads. */
async function enter({ config, log }: Parts, running: Running, progress: Progress<Running>): Promise<void> {
  const { catalog, controller, partitions, registration } = running
  progress.stage = 'quorum'
  await controller.start()
  await controller.metadataLog.whenCaughtUp()
  tellMinInsyncReplicas(config, log)
  registration.registerController().catch(error => log.warn({ err: error }, 'controller-registration-failed'))
  progress.stage = 'logs'
  await partitions.settled()
  await catalog.setAsideStrays()
  progress.stage = 'registration'
  await registration.register()
  partitions.allowLeading()
  progress.stage = 'unfencing'
  await registration.unfence()
  await partitions.settled()
  progress.stage = 'entered'
  log.info(
    { nodeId: running.services.nodeId, clusterId: catalog.clusterId, directory: catalog.directory },
    'broker-started'
  )
}

/** Where there are others, leaderships go to them first, while this node still serves and sends clients on. */
async function leave({ config }: Parts, listeners: Listeners, running: Running): Promise<void> {
  const { controller, groups, partitions, registration } = running
  const hasOthers = config.voters.length > 1 || controller.metadata.image.brokers.size > 1
  if (hasOthers) {
    await registration.stop()
    await partitions.settled()
    await controller.metadataLog.handOver()
  }
  // Parked requests are answered while the sockets drain, so nobody waits for a time-out.
  const drained = listeners.close()
  await groups.close()
  await drained
  if (!hasOthers) await registration.stop()
}

function brokerOf(
  parts: Parts,
  listeners: Listeners,
  bound: readonly BoundListener[],
  running: Running,
  memory: MemoryBudget,
  progress: Progress<Running>
): Broker {
  const { catalog, controller, channel, partitions, registration, services, stalls } = running
  let stopping: Promise<void> | null = null
  const stop = async (): Promise<void> => {
    try {
      await leave(parts, listeners, running)
      await partitions.stop()
    } finally {
      // Also of a broker whose disk failed while it left: what is known of that has to be written down.
      channel.close()
      controller.stop()
      stalls.stop()
      await catalog.close({ brokerEpoch: registration.brokerEpoch })
    }
    parts.log.info({ nodeId: services.nodeId }, 'broker-stopped')
  }
  return {
    get clusterId() {
      return services.clusterId
    },
    dataDirectory: catalog.directory,
    listeners: bound.filter(each => !each.isController),
    services,
    memory,
    get readiness() {
      return progress.readiness
    },
    stop: () => {
      progress.stage = 'stopping'
      stopping ??= stop()
      return stopping
    }
  }
}
