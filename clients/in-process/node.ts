// One broker of a cluster inside this process, life after life: started on its directory, killed as by the system, held, or
// stopped in order. Each life has a clock, a disk and a network that end with it.
import { type Broker, startBroker } from '../../broker/broker.ts'
import { systemClock, systemRandom } from '../../broker/clock.ts'
import { loadConfig } from '../../broker/config.ts'
import type { Logger } from '../../broker/log.ts'
import { nodeNetwork } from '../../broker/net/network.ts'
import { NodeFiles } from '../../storage/files-node.ts'
import { openLevelStore } from '../../storage/snapshot-cache.ts'
import { Disk } from './files.ts'
import { clockOf, Life } from './life.ts'
import type { Links } from './links.ts'
import { LifeNetwork } from './network.ts'

export interface NodeOptions {
  readonly nodeId: number
  readonly host: string
  readonly port: number
  readonly dataDirectory: string
  /** `key=value` each. */
  readonly settings: readonly string[]
  readonly links: Links
  readonly log: Logger
}

export type InProcessState = 'down' | 'starting' | 'running' | 'paused' | 'stopping'

export class InProcessNode {
  readonly nodeId: number
  readonly port: number
  readonly bootstrap: string
  readonly dataDirectory: string
  readonly #options: NodeOptions
  #life: Life | null = null
  #disk: Disk | null = null
  #broker: Broker | null = null
  #state: InProcessState = 'down'
  #released: Promise<void> = Promise.resolve()
  #stopping: Promise<void> = Promise.resolve()

  constructor(options: NodeOptions) {
    this.#options = options
    this.nodeId = options.nodeId
    this.port = options.port
    this.bootstrap = `${options.host}:${options.port}`
    this.dataDirectory = options.dataDirectory
  }

  get state(): InProcessState {
    return this.#state
  }

  /** The broker itself, while there is one. */
  get broker(): Broker | null {
    return this.#broker
  }

  /** Resolves when it takes part: registered, unfenced, ready for clients. */
  async start(): Promise<void> {
    if (this.#state !== 'down') return
    this.#state = 'starting'
    const { nodeId, links, log, settings } = this.#options
    const life = new Life()
    const before = this.#released
    const disk = new Disk(life, new NodeFiles(), openLevelStore)
    this.#life = life
    this.#disk = disk
    const died = new Promise<never>((_, reject) => {
      life.onEnd(() => reject(new Error(`node ${nodeId} was killed before it was ready`)))
    })
    died.catch(() => {})
    await Promise.race([before, died])
    const starting = startBroker({
      config: loadConfig({ set: settings, setOrigin: 'settings' }).config,
      log,
      clock: clockOf(life, systemClock),
      random: systemRandom,
      files: disk.files,
      network: new LifeNetwork(life, nodeId, links, nodeNetwork),
      openKeyStore: disk.openKeyStore,
      onFatal: error => {
        log.fatal({ err: error, nodeId }, 'broker-failed')
        void this.kill()
      }
    })
    try {
      this.#broker = await Promise.race([starting, died])
    } catch (error) {
      if (!life.isDead) await this.kill()
      throw error
    }
    if (this.#state === 'starting') this.#state = 'running'
  }

  /** As kill -9: its sockets are reset, and nothing of it acts any more. Resolves when its directory is free again. */
  kill(): Promise<void> {
    const disk = this.#disk
    if (this.#state === 'down' || disk === null) return this.#released
    this.#state = 'down'
    this.#broker = null
    this.#life?.end()
    this.#released = Promise.all([this.#released, disk.released()]).then(() => {})
    return this.#released
  }

  /** As SIGSTOP: alive to the system, silent to the others. */
  pause(): void {
    if (this.#state !== 'running') return
    this.#state = 'paused'
    this.#life?.pause()
  }

  resume(): void {
    if (this.#state !== 'paused') return
    this.#state = 'running'
    this.#life?.resume()
  }

  /** In order: hands over what it leads, and finishes what it accepted. Resolves when it is down, whatever ends it. */
  async stop(): Promise<void> {
    this.resume()
    const [broker, life] = [this.#broker, this.#life]
    if (this.#state === 'stopping') return await this.#stopping
    if (broker === null || life === null || this.#state !== 'running') return await this.kill()
    this.#state = 'stopping'
    this.#stopping = this.#endInOrder(broker, life)
    await this.#stopping
  }

  async #endInOrder(broker: Broker, life: Life): Promise<void> {
    // Nobody hears any more of how a life stops that is killed meanwhile.
    const died = new Promise<void>(resolve => {
      life.onEnd(resolve)
    })
    try {
      await Promise.race([broker.stop(), died])
    } finally {
      await (life.isDead ? this.#released : this.kill())
    }
  }
}
