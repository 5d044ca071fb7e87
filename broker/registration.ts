// This broker's own membership: it registers with the controller at start (a new incarnation each time), reports by
// heartbeats, asks to be unfenced once it can serve, and stops in order by a controlled shutdown. In a combined node
// the controller is in the same process: the same requests, handed over in memory.
import { ErrorCode, errorName } from '../protocol/errors.ts'
import { MoldauError } from '../protocol/failure.ts'
import type { BrokerId, Uuid } from '../protocol/types.ts'
import type { Endpoint } from '../replication/controller/activation.ts'
import { FEATURES } from '../replication/controller/features.ts'
import type { Clock, Timer } from './clock.ts'
import type { Controller } from './controller.ts'
import type { Logger } from './log.ts'

const RETRY_MS = 20

export interface RegistrationOptions {
  readonly controller: Controller
  readonly nodeId: BrokerId
  readonly clusterId: Uuid
  /** New for each life of the process. */
  readonly incarnationId: Uuid
  /** What clients and brokers are told to connect to. */
  readonly endpoints: readonly Endpoint[]
  readonly rack: string | null
  /** directory.id of each log directory that is online. */
  readonly logDirs: readonly Uuid[]
  /** The broker epoch that the last life stored, if nothing that it synced is missing; else -1 (KIP-966). */
  readonly previousBrokerEpoch: () => Promise<number>
  readonly heartbeatIntervalMs: () => number
  readonly clock: Clock
  readonly logger: Logger
  /** Called with the epoch of this registration as soon as it is committed: to be stored durably. */
  readonly onRegistered: (brokerEpoch: number) => Promise<void> | void
}

export class Registration {
  readonly #o: RegistrationOptions
  #brokerEpoch = -1
  #timer: Timer | null = null
  #isStopping = false

  constructor(o: RegistrationOptions) {
    this.#o = o
  }

  /** -1 before the registration is committed. */
  get brokerEpoch(): number {
    return this.#brokerEpoch
  }

  /** Registers, fenced: nobody is sent here yet. Throws where the controller refuses. */
  async register(): Promise<void> {
    const { controller, nodeId, clusterId, incarnationId, endpoints, rack, logDirs } = this.#o
    const { errorCode, errorMessage, brokerEpoch } = await controller.registerBroker({
      brokerId: nodeId,
      clusterId,
      incarnationId,
      listeners: [...endpoints],
      features: FEATURES.map(({ name, minVersion, maxVersion }) => ({
        name,
        minSupportedVersion: minVersion,
        maxSupportedVersion: maxVersion
      })),
      rack,
      isMigratingZkBroker: false,
      logDirs: [...logDirs],
      previousBrokerEpoch: await this.#o.previousBrokerEpoch()
    })
    if (errorCode !== ErrorCode.NONE) {
      const why = errorMessage ?? errorName(errorCode)
      throw new MoldauError('ERR_WRONG_DIRECTORY', `the controller refuses to register this broker: ${why}`)
    }
    this.#brokerEpoch = brokerEpoch
    await this.#o.onRegistered(brokerEpoch)
  }

  /** Asks to be unfenced, and gives a sign of life from now on. Resolves when clients may be sent here. */
  async unfence(): Promise<void> {
    for (;;) {
      const { errorCode, isFenced } = await this.#heartbeat(false)
      if (errorCode !== ErrorCode.NONE) {
        throw new MoldauError('ERR_NOT_LEADER', `the controller refuses the heartbeat: ${errorName(errorCode)}`)
      }
      if (!isFenced) break
      await this.#pause()
    }
    this.#schedule()
  }

  /** Gives leaderships away, and resolves when nobody counts on this broker any more. A failing controller is no reason to stay. */
  async stop(): Promise<void> {
    this.#isStopping = true
    this.#timer?.cancel()
    if (this.#brokerEpoch < 0) return
    try {
      for (let attempt = 0; ; attempt++) {
        const { errorCode, shouldShutDown } = await this.#heartbeat(true)
        if (shouldShutDown || errorCode !== ErrorCode.NONE) return
        // The first one begins the shutdown, and alone in the cluster the second ends it.
        if (attempt > 0) await this.#pause()
      }
    } catch (error) {
      this.#o.logger.warn({ err: error }, 'controlled-shutdown-failed')
    }
  }

  #heartbeat(wantShutDown: boolean) {
    const { controller, nodeId } = this.#o
    return controller.heartbeat({
      brokerId: nodeId,
      brokerEpoch: this.#brokerEpoch,
      currentMetadataOffset: controller.metadata.endOffset - 1,
      wantFence: false,
      wantShutDown,
      offlineLogDirs: [],
      cordonedLogDirs: null
    })
  }

  #schedule(): void {
    if (this.#isStopping) return
    this.#timer = this.#o.clock.after(this.#o.heartbeatIntervalMs(), () => {
      this.#beat().catch(error => {
        if (!this.#isStopping) this.#o.logger.warn({ err: error }, 'heartbeat-failed')
      })
    })
  }

  /** A sign of life. A broker that was unregistered while it lives, or fenced for its silence, comes back by itself. */
  async #beat(): Promise<void> {
    const { errorCode, isFenced } = await this.#heartbeat(false)
    if (errorCode === ErrorCode.BROKER_ID_NOT_REGISTERED && !this.#isStopping) await this.register()
    if (isFenced && !this.#isStopping) await this.unfence()
    else this.#schedule()
  }

  #pause(): Promise<void> {
    return new Promise(resolve => {
      this.#o.clock.after(RETRY_MS, resolve)
    })
  }
}
