// One node of the simulated cluster: a host, a disk, and the real broker as its process. It can be killed (what was written
// stays), lose its power (what was not synced is lost, and nobody is told), stopped (SIGSTOP), and started again.
import { tmpdir } from 'node:os'
import path from 'node:path'
import { type Broker, startBroker } from '../../broker/broker.ts'
import { loadConfig } from '../../broker/config.ts'
import { createLogger } from '../../broker/log.ts'
import type { Services } from '../../broker/services.ts'
import type { Agenda } from './agenda.ts'
import type { Dice } from './dice.ts'
import { SimDisk } from './disk.ts'
import type { SimNetwork } from './sim-network.ts'
import { SimProcess } from './sim-process.ts'
import type { Trace } from './trace.ts'

/** failed: it ended by itself, and `failure` says why. */
export type NodeStatus = 'down' | 'starting' | 'up' | 'paused' | 'stopping' | 'failed'

export interface LogLine {
  readonly atMs: number
  readonly nodeId: number
  readonly level: string
  readonly msg: string
  readonly fields: Readonly<Record<string, unknown>>
}

export interface NodeParts {
  readonly agenda: Agenda
  readonly trace: Trace
  readonly dice: Dice
  readonly network: SimNetwork
  readonly id: number
  readonly host: string
  readonly settings: Readonly<Record<string, string | number | boolean>>
  readonly skewMs: number
  readonly onLine: (line: LogLine) => void
  /** A process has ended, by itself or not. */
  readonly onEnded: (node: SimNode) => void
}

export const DATA_DIRECTORY = '/disk/data'
/** How long a broker that cannot go on may take to stop. */
const GIVE_UP_MS = 5000

export class SimNode {
  readonly id: number
  readonly host: string
  readonly disk: SimDisk
  readonly #o: NodeParts
  #status: NodeStatus = 'down'
  #process: SimProcess | null = null
  #broker: Broker | null = null
  #services: Services | null = null
  #failure: Error | null = null
  #isPowerOff = false
  #skewMs: number
  /** How many processes it has had. */
  lives = 0

  constructor(parts: NodeParts) {
    this.#o = parts
    this.id = parts.id
    this.host = parts.host
    this.#skewMs = parts.skewMs
    const { agenda, trace, dice } = parts
    const directories = [path.dirname(DATA_DIRECTORY), tmpdir()]
    this.disk = new SimDisk({ agenda, trace, dice: dice.of('disk'), directories })
  }

  get status(): NodeStatus {
    return this.#process?.isPaused === true ? 'paused' : this.#status
  }

  /** The broker of this life, once it is up: for checkers, which look and do not touch. */
  get broker(): Broker | null {
    return this.#broker
  }

  /** Its parts, from before it is up until its process ends: for checkers too. */
  get services(): Services | null {
    return this.#services
  }

  get process(): SimProcess | null {
    return this.#process
  }

  /** Why it ended by itself. */
  get failure(): Error | null {
    return this.#failure
  }

  /** Starts a process; resolves when it is up, or is not any more (it never rejects). */
  start(): Promise<NodeStatus> {
    if (this.#process !== null) throw new Error(`node ${this.id} runs already`)
    const { agenda, trace, dice, network, id } = this.#o
    const skewMs = (): number => this.#skewMs
    const life = ++this.lives
    const process = new SimProcess({ agenda, trace, skewMs, id: id * 4096 + life, dice: dice.of(`life ${life}`) })
    this.#process = process
    this.#status = 'starting'
    this.#failure = null
    if (this.#isPowerOff) network.powerOn(this.host)
    this.#isPowerOff = false
    return new Promise(resolve => {
      process.onEnd(() => resolve(this.#status))
      // In its own turn, so that several nodes start in the order of the calls whoever calls.
      agenda.after(0, () => process.run('io', () => void this.#live(process).then(() => resolve(this.#status))))
    })
  }

  async #live(process: SimProcess): Promise<void> {
    const { network, settings, id } = this.#o
    try {
      const set = Object.entries({ ...settings, 'log.dirs': DATA_DIRECTORY }).map(([key, value]) => `${key}=${value}`)
      const { config } = loadConfig({ set })
      const log = createLogger({ level: 'debug', to: { write: line => this.#tell(id, line) } })
      const disk = await this.disk.attach(process)
      const parts = { clock: process.clock, random: process.random, network: network.attach(this.host, process) }
      const onFatal = (reason: Error): void => void this.#giveUp(process, reason)
      const onAssembled = (services: Services): void => {
        if (this.#process === process) this.#services = services
      }
      const broker = await startBroker({ config, log, ...parts, ...disk, onFatal, onAssembled })
      if (this.#failure !== null) return
      this.#broker = broker
      this.#status = 'up'
    } catch (error) {
      this.#failed(error as Error)
    }
  }

  #tell(nodeId: number, line: string): void {
    const { level, msg, time: _, ...fields } = JSON.parse(line) as Record<string, unknown>
    const atMs = this.#o.agenda.nowUs / 1000
    this.#o.onLine({ atMs, nodeId, level: String(level), msg: String(msg), fields })
  }

  /** As `moldau start` does when the broker says that it cannot go on. */
  async #giveUp(process: SimProcess, reason: Error): Promise<void> {
    this.#failure ??= reason
    const limit = new Promise<void>(resolve => void process.clock.after(GIVE_UP_MS, resolve))
    await Promise.race([this.#broker?.stop().catch(() => {}), limit])
    this.#failed(reason)
  }

  #failed(reason: Error): void {
    this.#failure ??= reason
    this.#end('failed')
    this.disk.processDied()
    this.#o.onEnded(this)
  }

  /** In order, as at SIGTERM. Resolves when the process has ended, however. */
  stop(): Promise<NodeStatus> {
    const process = this.#process
    if (process === null) return Promise.resolve(this.#status)
    const broker = this.#broker
    if (broker === null) {
      this.kill()
      return Promise.resolve(this.#status)
    }
    this.#status = 'stopping'
    return new Promise(resolve => {
      process.onEnd(() => resolve(this.#status))
      process.run('io', () => void this.#stopInOrder(broker))
    })
  }

  async #stopInOrder(broker: Broker): Promise<void> {
    try {
      await broker.stop()
    } catch (error) {
      this.#failed(error as Error)
      return
    }
    this.kill()
  }

  /** kill -9: its connections end (in order or with a reset), its port refuses, what was written stays. */
  kill(): void {
    if (this.#process === null) return
    this.#end('down')
    this.disk.processDied()
    this.#o.onEnded(this)
  }

  /** The machine crashes and is back at once: as `kill`, but what was not synced is lost. */
  crash(kind: 'drop' | 'mixed' = 'mixed'): void {
    if (this.#process !== null) this.#end('down')
    this.disk.powerLost(kind)
    this.#o.onEnded(this)
  }

  /** The machine loses its power: silence, and what was not synced is lost. `start` gives it power again. */
  powerOff(kind: 'drop' | 'mixed' = 'mixed'): void {
    this.#isPowerOff = true
    this.#o.network.powerOff(this.host)
    this.crash(kind)
  }

  /** SIGSTOP: its system goes on, it does not. */
  pause(): void {
    this.#process?.pause()
  }

  resume(): void {
    this.#process?.resume()
  }

  /** Its wall clock is set. */
  jumpClock(ms: number): void {
    this.#skewMs += ms
  }

  /** A new disk; the process must have ended. */
  wipe(): void {
    if (this.#process !== null) throw new Error(`node ${this.id} runs`)
    this.disk.wipe()
  }

  #end(status: NodeStatus): void {
    this.#status = status
    this.#broker = null
    this.#services = null
    const process = this.#process
    this.#process = null
    process?.end()
  }
}
