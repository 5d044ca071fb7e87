// This broker's own membership: it registers with the active controller at start (a new incarnation each time), reports
// by heartbeats, asks to be unfenced once it can serve, and stops in order by a controlled shutdown. A broker that was
// forgotten, fenced for its silence or taken for dead comes back by itself. Nothing else that is slow holds a heartbeat.
import { ErrorCode, errorMessage, errorName } from '../protocol/errors.ts'
import { isFailure, MoldauError } from '../protocol/failure.ts'
import type { BrokerId, Offset, Uuid } from '../protocol/types.ts'
import { type Endpoint, OWN_FEATURES } from '../replication/controller/activation.ts'
import type { Clock, Timer } from './clock.ts'
import type { ControllerChannel } from './controller-channel.ts'
import type { Logger } from './log.ts'
import type { MetadataCache } from './metadata-cache.ts'

const RETRY_MS = 20
/** A registration that is refused for the time being is tried again after so long. */
const AGAIN_MS = 100
/** How long a stop waits for a controller. */
const STOP_MS = 5000
/** And for the metadata that says who leads instead. */
const READ_END_MS = 1000

export interface RegistrationOptions {
  readonly channel: Pick<ControllerChannel, 'registerBroker' | 'registerController' | 'heartbeat'>
  readonly nodeId: BrokerId
  /** Null before the cluster has one; not asked before the metadata has caught up. */
  readonly clusterId: () => Uuid | null
  /** New for each life of the process. */
  readonly incarnationId: Uuid
  /** What clients and brokers are told to connect to. */
  readonly endpoints: readonly Endpoint[]
  /** Where controllers reach the one of this node. */
  readonly controllerEndPoints: readonly Endpoint[]
  readonly rack: string | null
  /** directory.id of each log directory that was online at the start. */
  readonly logDirs: readonly Uuid[]
  readonly offlineLogDirs: () => readonly Uuid[]
  /** The end of the metadata that this broker has read. */
  readonly metadataEndOffset: () => Offset
  /** The broker epoch that an earlier life stored, if nothing that it synced is missing; else -1 (KIP-966). */
  readonly previousBrokerEpoch: () => Promise<number>
  readonly heartbeatIntervalMs: () => number
  /** True once no controller can be found any more: the others are gone too. */
  readonly isAlone: () => Promise<boolean>
  readonly clock: Clock
  readonly logger: Logger
  /** Called with the epoch of this registration as soon as it is committed: to be stored durably. */
  readonly onRegistered: (brokerEpoch: number) => Promise<void> | void
}

/** What is wrong with this broker. Whatever else a controller says is its own trouble (its disk, its stop): it gets over
 *  that, or another one is elected. */
const FINAL: ReadonlySet<number> = new Set([
  ErrorCode.INCONSISTENT_CLUSTER_ID,
  ErrorCode.INVALID_REGISTRATION,
  ErrorCode.UNSUPPORTED_VERSION,
  ErrorCode.CLUSTER_AUTHORIZATION_FAILED
])
const FORGOTTEN: ReadonlySet<number> = new Set([ErrorCode.BROKER_ID_NOT_REGISTERED, ErrorCode.STALE_BROKER_EPOCH])

export class Registration {
  readonly #o: RegistrationOptions
  #brokerEpoch = -1
  #heardMs = Number.NEGATIVE_INFINITY
  #previousBrokerEpoch: Promise<number> | null = null
  #timer: Timer | null = null
  #wake: (() => void) | null = null
  #isNews = false
  #isStopping = false
  #metadata: Pick<MetadataCache, 'image' | 'onChange'> | null = null

  constructor(o: RegistrationOptions) {
    this.#o = o
  }

  /** -1 before the registration is committed. */
  get brokerEpoch(): number {
    return this.#brokerEpoch
  }

  /** When a controller last answered a sign of life, by the monotonic clock. */
  get heardMs(): number {
    return this.#heardMs
  }

  /** Registers, fenced: nobody is sent here yet. Goes on until a controller takes it; throws where it refuses. */
  async register(): Promise<void> {
    const { channel, logger, onRegistered } = this.#o
    // What an earlier life stored: this one overwrites it, and then it would say nothing about a crash before.
    this.#previousBrokerEpoch ??= this.#o.previousBrokerEpoch()
    const previousBrokerEpoch = await this.#previousBrokerEpoch
    for (let attempt = 0; ; attempt++) {
      const reply = await channel.registerBroker({ ...this.#self(), previousBrokerEpoch }).catch(passing)
      if (reply?.errorCode === ErrorCode.NONE) {
        this.#brokerEpoch = reply.brokerEpoch
        await onRegistered(reply.brokerEpoch)
        return
      }
      if (reply !== null && FINAL.has(reply.errorCode)) {
        const why = errorMessage(reply.errorCode)
        throw new MoldauError('ERR_WRONG_DIRECTORY', `the controller refuses to register this broker: ${why}`)
      }
      const error = reply === null ? 'no controller' : errorName(reply.errorCode)
      if (attempt % 50 === 0) logger.warn({ error }, 'registration-waits')
      await this.#pause(AGAIN_MS)
      if (this.#isStopping) throw new MoldauError('ERR_CLOSED', 'this broker is stopping')
    }
  }

  /** The controller of this node says where it is (KIP-919). */
  async registerController(): Promise<void> {
    const { channel, nodeId, incarnationId, controllerEndPoints, logger } = this.#o
    const self = { controllerId: nodeId, incarnationId, listeners: [...controllerEndPoints], features: OWN_FEATURES }
    while (!this.#isStopping) {
      const reply = await channel.registerController(self).catch(passing)
      if (reply?.errorCode === ErrorCode.NONE) return
      logger.warn(
        { error: errorName(reply?.errorCode ?? ErrorCode.REQUEST_TIMED_OUT) },
        'controller-registration-failed'
      )
      await this.#pause(AGAIN_MS)
    }
  }

  /** Asks to be unfenced, and gives a sign of life from now on. Resolves when clients may be sent here. */
  async unfence(): Promise<void> {
    while (!(await this.#beat())) {
      if (this.#isStopping) throw new MoldauError('ERR_CLOSED', 'this broker is stopping')
      await this.#pause(RETRY_MS)
    }
    this.#schedule(this.#o.heartbeatIntervalMs())
  }

  /** Something is to be reported that must not wait for the next heartbeat. */
  reportNow(): void {
    this.#isNews = true
    if (this.#timer !== null) this.#schedule(0)
  }

  /** A broker that stops waits until the others are known to have read so: they say it at once. */
  followMetadata(metadata: Pick<MetadataCache, 'image' | 'onChange'>): void {
    const { nodeId } = this.#o
    this.#metadata = metadata
    metadata.onChange(({ brokers }, delta) => {
      const isStopping = (id: BrokerId) => id !== nodeId && brokers.get(id)?.inControlledShutdown === true
      if ([...delta.brokers].some(isStopping)) this.reportNow()
    })
  }

  /** Gives leaderships away, and resolves when nobody counts on this broker any more, itself included. A controller that
   *  cannot be found is no reason to stay. */
  async stop(): Promise<void> {
    this.#isStopping = true
    this.#timer?.cancel()
    this.#wake?.()
    if (this.#brokerEpoch < 0) return
    const { clock, isAlone, logger } = this.#o
    const untilMs = clock.monotonicMs() + STOP_MS
    for (let attempt = 0; ; attempt++) {
      const leftMs = untilMs - clock.monotonicMs()
      if (leftMs <= 0) break
      // A short try: between two it is asked whether there is anybody left to answer.
      const reply = await this.#heartbeat(true, Math.min(leftMs, STOP_MS / 10)).catch(passing)
      if (reply !== null && (reply.shouldShutDown || reply.errorCode !== ErrorCode.NONE)) {
        return reply.shouldShutDown ? await this.#readEnd() : undefined
      }
      if (reply === null && (await isAlone())) {
        logger.info('left-without-a-controller')
        return
      }
      // The first one begins the shutdown, and alone in the cluster the second ends it.
      if (attempt > 0) await this.#pause(RETRY_MS)
    }
    logger.warn('controlled-shutdown-failed')
  }

  /** The others have read who leads instead; so should this broker, before it takes no part in the quorum any more:
   *  whoever waits for an ack here is to be told. */
  #readEnd(): Promise<void> {
    const metadata = this.#metadata
    // A metadata log whose directory failed has ended: it will not tell.
    const isOver = this.#o.offlineLogDirs().length > 0
    if (metadata === null || isOver || !this.#leadsAny(metadata)) return Promise.resolve()
    return new Promise(resolve => {
      const done = (): void => {
        limit.cancel()
        unsubscribe()
        resolve()
      }
      const limit = this.#o.clock.after(READ_END_MS, done)
      const unsubscribe = metadata.onChange(() => {
        if (!this.#leadsAny(metadata)) done()
      })
    })
  }

  #leadsAny({ image }: Pick<MetadataCache, 'image'>): boolean {
    for (const { partitions } of image.topicsById.values()) {
      if (partitions.some(each => each?.leader === this.#o.nodeId)) return true
    }
    return false
  }

  #self() {
    const { nodeId, clusterId, incarnationId, endpoints, rack, logDirs } = this.#o
    const logDirsNow = logDirs.filter(id => !this.#o.offlineLogDirs().includes(id))
    return {
      ...{ brokerId: nodeId, clusterId: clusterId() ?? '', incarnationId, rack, isMigratingZkBroker: false },
      ...{ listeners: [...endpoints], features: OWN_FEATURES, logDirs: logDirsNow }
    }
  }

  #heartbeat(wantShutDown: boolean, limitMs?: number) {
    const { channel, nodeId, metadataEndOffset, offlineLogDirs } = this.#o
    const state = { wantFence: false, wantShutDown, offlineLogDirs: [...offlineLogDirs()], cordonedLogDirs: null }
    const request = { brokerId: nodeId, brokerEpoch: this.#brokerEpoch, currentMetadataOffset: metadataEndOffset() - 1 }
    return channel.heartbeat({ ...request, ...state }, limitMs)
  }

  #schedule(ms: number): void {
    this.#timer?.cancel()
    this.#timer = null
    if (this.#isStopping) return
    this.#timer = this.#o.clock.after(ms, () => {
      this.#timer = null
      void this.#live()
    })
  }

  /** A sign of life, and the next one after it, whatever becomes of it. */
  async #live(): Promise<void> {
    this.#isNews = false
    let isLive = false
    try {
      isLive = await this.#beat()
    } catch (error) {
      if (!this.#isStopping) this.#o.logger.warn({ err: error }, 'heartbeat-failed')
    }
    const ms = isLive ? this.#o.heartbeatIntervalMs() : RETRY_MS
    this.#schedule(this.#isNews ? 0 : ms)
  }

  /** True: this broker is a member, and clients may be sent here. */
  async #beat(): Promise<boolean> {
    const reply = await this.#heartbeat(false).catch(passing)
    if (reply === null || this.#isStopping) return false
    if (reply.errorCode === ErrorCode.NONE) {
      this.#heardMs = this.#o.clock.monotonicMs()
      return !reply.isFenced
    }
    if (!FORGOTTEN.has(reply.errorCode)) {
      this.#o.logger.warn({ error: errorName(reply.errorCode) }, 'heartbeat-refused')
      return false
    }
    await this.register()
    return this.#beat()
  }

  #pause(ms: number): Promise<void> {
    return new Promise(resolve => {
      const timer = this.#o.clock.after(ms, resolve)
      this.#wake = () => {
        timer.cancel()
        resolve()
      }
    })
  }
}

/** No controller in time: the next try may find one. */
function passing(error: unknown): null {
  if (isFailure(error, 'ERR_TIMEOUT')) return null
  throw error
}
