// moldau inside a JavaScript process: the real broker on a free port, in a directory of its own. For tests, examples and
// tools that want a Kafka without a second process. Nothing is left behind: stop() ends everything and removes what
// was made.
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type Broker, startBroker as startBrokerWith } from '../broker/broker.ts'
import { loadConfig } from '../broker/config.ts'
import { createLogger, type LogLevel } from '../broker/log.ts'

export { type RunningCluster, type StartClusterOptions, startCluster } from './in-process/cluster.ts'

export interface StartBrokerOptions {
  /** Kept by stop() when it is given; else a temporary one is made, and removed. */
  readonly dataDirectory?: string
  /** Settings by Kafka's names, as in server.properties. */
  readonly settings?: Readonly<Record<string, string | number | boolean>>
  /** 'silent' unless asked for. */
  readonly logLevel?: LogLevel
}

export interface RunningBroker {
  /** `host:port` for a client's list of brokers. */
  readonly bootstrap: string
  readonly port: number
  readonly clusterId: string
  readonly dataDirectory: string
  /** Finishes what was accepted, and stops. */
  stop(): Promise<void>
}

/** What a program wants that starts a broker for itself: no waiting for members that will not come. */
const DEFAULTS = { 'group.initial.rebalance.delay.ms': 0, listeners: 'PLAINTEXT://127.0.0.1:0' }

/** Throws MoldauError where the settings, the directory or the port cannot be used. */
export async function startBroker(options: StartBrokerOptions = {}): Promise<RunningBroker> {
  const directory = options.dataDirectory ?? mkdtempSync(join(tmpdir(), 'moldau-'))
  const leaveNothing = () => {
    if (options.dataDirectory === undefined) rmSync(directory, { recursive: true, force: true })
  }
  const broker = await brokerIn(directory, options).catch(error => {
    leaveNothing()
    throw error
  })
  const { host, port } = broker.listeners[0] as { host: string; port: number }
  return {
    bootstrap: `${host === '' ? 'localhost' : host}:${port}`,
    port,
    clusterId: broker.clusterId,
    dataDirectory: broker.dataDirectory,
    async stop() {
      await broker.stop()
      leaveNothing()
    }
  }
}

async function brokerIn(directory: string, { settings, logLevel }: StartBrokerOptions): Promise<Broker> {
  const all = { ...DEFAULTS, 'log.dirs': directory, ...settings }
  const set = Object.entries(all).map(([key, value]) => `${key}=${value}`)
  const { config } = loadConfig({ set, setOrigin: 'settings' })
  const log = createLogger({ level: logLevel ?? 'silent' })
  return await startBrokerWith({ config, log, onFatal: error => log.fatal({ err: error }, 'broker-failed') })
}
