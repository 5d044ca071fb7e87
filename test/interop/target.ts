// The broker under test: a moldau process from the build, an Apache Kafka to prove the suites themselves on, or any
// broker by its address. What is started here has its data in a temporary folder and is ended by its process id.
import type { ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { CONTROLLER_STEP, firstTaken } from '../../clients/dev/layout.ts'
import { freePort, freePorts } from '../../clients/free-ports.ts'
import { end, launch, run } from './process.ts'
import { type Node, until } from './suite.ts'

export interface RunningBroker {
  /** Of all nodes. */
  bootstrap: string
  controllers: string | undefined
  /** Of the first node. */
  dataDirectory: string | undefined
  nodes: Node[]
  stop(): Promise<void>
  /** As a machine that loses power, but for what the system has in its memory. */
  kill(): Promise<void>
}

export type BrokerKind = { kind: 'moldau' } | { kind: 'kafka'; program: string } | { kind: 'given'; bootstrap: string }

/** Starts the broker with these settings; each start has its own folder and ports. */
export async function startBroker(
  which: BrokerKind,
  folder: string,
  settings: Record<string, string>,
  count = 1
): Promise<RunningBroker> {
  switch (which.kind) {
    case 'moldau':
      return await startMoldau(folder, settings, count)
    case 'kafka':
      return await startKafka(which.program, folder, settings, count)
    case 'given':
      return {
        bootstrap: which.bootstrap,
        controllers: undefined,
        dataDirectory: process.env.MOLDAU_INTEROP_DATA,
        nodes: [],
        stop: async () => {},
        kill: async () => {}
      }
  }
}

/** One process of moldau, which can be started again on what it left. */
class MoldauNode implements Node {
  readonly dataDirectory: string
  readonly #file: string
  readonly #output: string
  readonly #sets: string[]
  #process: ChildProcess | null = null
  #ended: Promise<unknown> = Promise.resolve()

  constructor(folder: string, properties: Record<string, string>, settings: Record<string, string>) {
    mkdirSync(folder, { recursive: true })
    this.dataDirectory = join(folder, 'data')
    this.#file = join(folder, 'server.properties')
    this.#output = join(folder, 'broker.out')
    this.#sets = Object.entries(settings).flatMap(([key, value]) => ['--set', `${key}=${value}`])
    const lines = Object.entries({ ...properties, 'log.dirs': this.dataDirectory }).map(
      ([key, value]) => `${key}=${value}\n`
    )
    writeFileSync(this.#file, lines.join(''))
  }

  /** Resolves when it says that it is ready. */
  async start(): Promise<void> {
    // What `npm start` runs.
    const cli = resolve(import.meta.dirname, '../../bin/moldau.cjs')
    // The file may have the output of an earlier life.
    const before = existsSync(this.#output) ? readFileSync(this.#output, 'utf8').length : 0
    const broker = launch(process.execPath, [cli, 'start', this.#file, ...this.#sets], { output: this.#output })
    this.#process = broker
    this.#ended = once(broker, 'exit')
    await until('moldau is ready', 30_000, () => {
      const text = readFileSync(this.#output, 'utf8').slice(before)
      if (text.includes('ready')) return true
      if (broker.exitCode === null && broker.signalCode === null) return undefined
      throw new Error(`moldau ended with status ${broker.exitCode}:\n${text}`)
    })
  }

  async stop(): Promise<void> {
    if (this.#process === null) return
    end(this.#process, 'SIGTERM')
    const timer = setTimeout(() => this.#process && end(this.#process), 20_000)
    await this.#ended
    clearTimeout(timer)
  }

  async kill(): Promise<void> {
    if (this.#process !== null) end(this.#process)
    await this.#ended
  }
}

async function startMoldau(folder: string, settings: Record<string, string>, count: number): Promise<RunningBroker> {
  const ports = await freePorts(2 * count)
  const clientPorts = ports.slice(0, count)
  const voters = ports.slice(count).map((port, index) => `${index + 1}@127.0.0.1:${port}`)
  const nodes = clientPorts.map((port, index) => {
    const properties = {
      'process.roles': 'broker,controller',
      'node.id': String(index + 1),
      'controller.quorum.voters': voters.join(','),
      listeners: `PLAINTEXT://127.0.0.1:${port},CONTROLLER://127.0.0.1:${ports[count + index]}`,
      'advertised.listeners': `PLAINTEXT://127.0.0.1:${port}`,
      'controller.listener.names': 'CONTROLLER',
      'listener.security.protocol.map': 'PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT',
      'offsets.topic.replication.factor': String(count),
      ...(count > 1 ? { 'broker.rack': `RACK${index + 1}`, 'default.replication.factor': String(count) } : {})
    }
    return new MoldauNode(count === 1 ? folder : join(folder, String(index + 1)), properties, settings)
  })
  await Promise.all(nodes.map(node => node.start()))
  return {
    bootstrap: clientPorts.map(port => `127.0.0.1:${port}`).join(','),
    controllers: ports
      .slice(count)
      .map(port => `127.0.0.1:${port}`)
      .join(','),
    dataDirectory: nodes[0]?.dataDirectory,
    nodes,
    stop: async () => {
      for (const node of nodes) await node.stop()
    },
    kill: async () => {
      await Promise.all(nodes.map(node => node.kill()))
    }
  }
}

async function startKafka(
  program: string,
  folder: string,
  settings: Record<string, string>,
  count: number
): Promise<RunningBroker> {
  // The program takes one port, uses those behind it for more brokers, and the ones a hundred above for the controllers.
  const port = await freeRange(count)
  const sets = Object.entries(settings).flatMap(([key, value]) => ['-s', `${key}=${value}`])
  const outcome = await run(program, ['start', folder, '-n', String(count), '-p', String(port), ...sets], {
    env: { KAFKA_HEAP: '1g' },
    limitMs: 120_000
  })
  if (outcome.code !== 0) throw new Error(`Apache Kafka did not start: ${outcome.stdout}${outcome.stderr}`)
  const ids = Array.from({ length: count }, (_, index) => String(index + 1))
  const call = async (...words: string[]): Promise<void> => {
    await run(program, words)
  }
  return {
    bootstrap: ids.map((_, index) => `127.0.0.1:${port + index}`).join(','),
    controllers: ids.map((_, index) => `127.0.0.1:${port + CONTROLLER_STEP + index}`).join(','),
    dataDirectory: join(folder, 'data-1'),
    nodes: ids.map(id => ({
      dataDirectory: join(folder, `data-${id}`),
      start: () => call('restart', folder, id),
      stop: () => call('stop', folder, id),
      kill: () => call('kill', folder, id)
    })),
    stop: () => call('stop', folder),
    kill: async () => {
      for (const id of ids) await call('kill', folder, id)
    }
  }
}

/** A port with so many free ones behind it, and as many at the controllers' distance. */
async function freeRange(count: number): Promise<number> {
  for (;;) {
    const port = await freePort()
    if ((await firstTaken(port, count)) === null) return port
  }
}
