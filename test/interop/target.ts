// The broker under test: a moldau process from the build, an Apache Kafka to prove the suites themselves on, or any
// broker by its address. What is started here has its data in a temporary folder and is ended by its process id.
import { once } from 'node:events'
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { end, freePorts, launch, run } from './process.ts'
import { until } from './suite.ts'

export interface RunningBroker {
  bootstrap: string
  dataDirectory: string | undefined
  stop(): Promise<void>
  /** As a machine that loses power, but for what the system has in its memory. */
  kill(): Promise<void>
}

export type BrokerKind = { kind: 'moldau' } | { kind: 'kafka'; program: string } | { kind: 'given'; bootstrap: string }

/** Starts the broker with these settings; each start has its own folder and ports. */
export async function startBroker(
  which: BrokerKind,
  folder: string,
  settings: Record<string, string>
): Promise<RunningBroker> {
  switch (which.kind) {
    case 'moldau':
      return await startMoldau(folder, settings)
    case 'kafka':
      return await startKafka(which.program, folder, settings)
    case 'given':
      return {
        bootstrap: which.bootstrap,
        dataDirectory: process.env.MOLDAU_INTEROP_DATA,
        stop: async () => {},
        kill: async () => {}
      }
  }
}

async function startMoldau(folder: string, settings: Record<string, string>): Promise<RunningBroker> {
  const [port, controllerPort] = await freePorts(2)
  const dataDirectory = join(folder, 'data')
  const output = join(folder, 'broker.out')
  const properties = {
    'process.roles': 'broker,controller',
    'node.id': '1',
    'controller.quorum.voters': `1@127.0.0.1:${controllerPort}`,
    listeners: `PLAINTEXT://127.0.0.1:${port},CONTROLLER://127.0.0.1:${controllerPort}`,
    'advertised.listeners': `PLAINTEXT://127.0.0.1:${port}`,
    'controller.listener.names': 'CONTROLLER',
    'listener.security.protocol.map': 'PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT',
    'log.dirs': dataDirectory,
    'offsets.topic.replication.factor': '1'
  }
  mkdirSync(folder, { recursive: true })
  const file = join(folder, 'server.properties')
  writeFileSync(
    file,
    Object.entries(properties)
      .map(([key, value]) => `${key}=${value}\n`)
      .join('')
  )
  const sets = Object.entries(settings).flatMap(([key, value]) => ['--set', `${key}=${value}`])
  // What `npm start` runs.
  const cli = resolve(import.meta.dirname, '../../bin/moldau.cjs')
  // The file may have the output of an earlier life.
  const before = existsSync(output) ? readFileSync(output, 'utf8').length : 0
  const broker = launch(process.execPath, [cli, 'start', file, ...sets], { output })
  const ended = once(broker, 'exit')
  await until('moldau is ready', 30_000, () => {
    const text = readFileSync(output, 'utf8').slice(before)
    if (text.includes('ready')) return true
    if (broker.exitCode === null && broker.signalCode === null) return undefined
    throw new Error(`moldau ended with status ${broker.exitCode}:\n${text}`)
  })
  const stop = async (): Promise<void> => {
    end(broker, 'SIGTERM')
    const timer = setTimeout(() => end(broker), 20_000)
    await ended
    clearTimeout(timer)
  }
  const kill = async (): Promise<void> => {
    end(broker)
    await ended
  }
  return { bootstrap: `127.0.0.1:${port}`, dataDirectory, stop, kill }
}

async function startKafka(program: string, folder: string, settings: Record<string, string>): Promise<RunningBroker> {
  // The program takes one port and uses the one a hundred above for the controller.
  const [port = 0] = await freePorts(1)
  const sets = Object.entries(settings).flatMap(([key, value]) => ['-s', `${key}=${value}`])
  const outcome = await run(program, ['start', folder, '-n', '1', '-p', String(port), ...sets], {
    env: { KAFKA_HEAP: '1g' },
    limitMs: 120_000
  })
  if (outcome.code !== 0) throw new Error(`Apache Kafka did not start: ${outcome.stdout}${outcome.stderr}`)
  return {
    bootstrap: `127.0.0.1:${port}`,
    dataDirectory: join(folder, 'data-1'),
    stop: async () => {
      await run(program, ['stop', folder])
    },
    kill: async () => {
      await run(program, ['kill', folder, '1'])
    }
  }
}
