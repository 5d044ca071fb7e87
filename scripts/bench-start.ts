// What a broker costs before it does anything, with many partitions too: time from the start of its process to the first
// accepted produce, after an orderly stop and after a kill; memory, and CPU while nobody asks.
//   node build/scripts/bench-start.js --partitions 1000 --rounds 3
//   node build/scripts/bench-start.js --port 19092 --command 'java -cp ... kafka.Kafka server.properties'
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { parseArgs } from 'node:util'
import { type Connection, connect } from '../clients/connection.ts'
import { createTopics } from '../protocol/messages/create-topics.ts'
import { produce } from '../protocol/messages/produce.ts'
import { buildBatch } from '../protocol/records/builder.ts'
import { cpuSecondsOf } from './bench-load.ts'

const PARTITIONS_A_TOPIC = 100
const LIMIT_MS = 120_000

const { values } = parseArgs({
  options: {
    command: { type: 'string' },
    port: { type: 'string' },
    partitions: { type: 'string', default: '0' },
    'with-records': { type: 'string', default: '50' },
    rounds: { type: 'string', default: '3' },
    idle: { type: 'string', default: '5' },
    set: { type: 'string', multiple: true, default: [] },
    help: { type: 'boolean', short: 'h', default: false }
  }
})

if (values.help) {
  console.log(`node build/scripts/bench-start.js [--partitions N] [--with-records PERCENT] [--rounds N] [--idle SECONDS] [--set key=value]...
  [--port N --command 'any other broker, run in the foreground, that keeps its data']`)
  process.exit(0)
}

async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address() as { port: number }
  server.close()
  await once(server, 'close')
  return port
}

const directory = mkdtempSync(join(tmpdir(), 'moldau-bench-'))
const port = values.port ? Number(values.port) : await freePort()

function launch(): ChildProcess {
  const settings = [`listeners=PLAINTEXT://127.0.0.1:${port}`, `log.dirs=${directory}`, 'moldau.http.listener=off']
  const own = ['build/bin/moldau.cjs', 'start', ...[...settings, ...values.set].flatMap(each => ['--set', each])]
  const [program, args] = values.command ? ['/bin/sh', ['-c', `exec ${values.command}`]] : [process.execPath, own]
  return spawn(program as string, args as string[], { stdio: 'ignore' })
}

/** The first connection that the broker takes. */
async function connected(child: ChildProcess): Promise<Connection> {
  for (;;) {
    if (child.exitCode !== null) throw new Error(`the broker ended with code ${child.exitCode}`)
    try {
      return await connect('127.0.0.1', port)
    } catch {
      await sleep(2)
    }
  }
}

async function produceTo(connection: Connection, topic: string, partitions: number): Promise<boolean> {
  const value = Buffer.alloc(100, 'moldau ')
  const records = buildBatch({ records: [{ timestamp: Date.now(), key: null, value }] })
  const { responses } = await connection.send(produce, 9, {
    acks: -1,
    timeoutMs: 30_000,
    topicData: [
      {
        name: topic,
        partitionData: Array.from({ length: partitions }, (_, index) => ({ index, records: Buffer.from(records) }))
      }
    ]
  })
  return responses[0]?.partitionResponses.every(each => each.errorCode === 0) ?? false
}

async function untilAccepted(connection: Connection, topic: string, partitions = 1): Promise<void> {
  const endMs = performance.now() + LIMIT_MS
  while (!(await produceTo(connection, topic, partitions))) {
    if (performance.now() > endMs) throw new Error(`${topic} takes no records`)
    await sleep(2)
  }
}

/** VmRSS of proc(5), in MB. */
function residentMegabytes(pid: number): number {
  const kilobytes = /^VmRSS:\s+(\d+) kB$/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1]
  return Math.round(Number(kilobytes) / 1024)
}

interface Life {
  readonly child: ChildProcess
  readonly pid: number
  readonly startMs: number
  readonly cpuSeconds: number
}

async function live(topic: string): Promise<Life> {
  const began = performance.now()
  const child = launch()
  const connection = await connected(child)
  await untilAccepted(connection, topic)
  const startMs = Math.round(performance.now() - began)
  const pid = child.pid as number
  await connection.close()
  return { child, pid, startMs, cpuSeconds: cpuSecondsOf(pid) }
}

async function end({ child }: { child: ChildProcess }, signal: NodeJS.Signals): Promise<void> {
  const exited = once(child, 'exit')
  child.kill(signal)
  await exited
}

/** The first life makes the topics. */
async function prepare(): Promise<{ child: ChildProcess; topic: string }> {
  const child = launch()
  const connection = await connected(child)
  const count = Math.max(1, Math.ceil(Number(values.partitions) / PARTITIONS_A_TOPIC))
  const run = `start-${process.pid}`
  const topics = Array.from({ length: count }, (_, index) => ({
    name: `${run}-${index}`,
    numPartitions: Number(values.partitions) === 0 ? 1 : PARTITIONS_A_TOPIC,
    replicationFactor: 1
  }))
  for (const topic of topics) {
    const made = await connection.send(createTopics, 5, { topics: [topic], timeoutMs: LIMIT_MS })
    if (made.topics[0]?.errorCode !== 0) throw new Error(`topic not made: ${made.topics[0]?.errorMessage}`)
    const filled = Math.ceil((topic.numPartitions * Number(values['with-records'])) / 100)
    await untilAccepted(connection, topic.name, Math.max(1, filled))
  }
  await connection.close()
  return { child, topic: `${run}-0` }
}

const { child: first, topic } = await prepare()
let running: { child: ChildProcess } = { child: first }
const rows: object[] = []
try {
  for (let round = 0; round < Number(values.rounds); round++) {
    for (const signal of ['SIGTERM', 'SIGKILL'] as const) {
      await end(running, signal)
      const life = await live(topic)
      running = life
      await sleep(1000)
      const before = cpuSecondsOf(life.pid)
      await sleep(Number(values.idle) * 1000)
      rows.push({
        after: signal,
        'first accepted produce, ms': life.startMs,
        'CPU until then, s': life.cpuSeconds,
        'RSS, MB': residentMegabytes(life.pid),
        'CPU while idle, %': Number((((cpuSecondsOf(life.pid) - before) / Number(values.idle)) * 100).toFixed(1))
      })
    }
  }
  console.table(rows)
} finally {
  await end(running, 'SIGTERM')
  rmSync(directory, { recursive: true, force: true })
}
