// `moldau dev`: a cluster of real brokers on this machine, for people to use, to break, and to see heal. Ctrl-C stops all
// in order, a second one at once; a broker that cannot start ends the whole with its own line.
import { resolve } from 'node:path'
import { createInterface } from 'node:readline'
import { MoldauError } from '../../protocol/failure.ts'
import { LocalCluster } from './cluster.ts'
import { parseCommand } from './commands.ts'
import { nodeName, say, sayPlainly, showLine } from './console.ts'
import { layOut, type NodeLayout } from './layout.ts'
import { holdDirectory } from './lock.ts'
import { Orders } from './orders.ts'

export interface DevOptions {
  readonly brokers: number
  readonly data: string
  readonly port: number | null
  readonly set: readonly string[]
  /** What runs the command line. */
  readonly command: readonly string[]
}

const SIGNALS = { SIGINT: 130, SIGTERM: 143, SIGHUP: 129 } as const

/** Resolves when the cluster has stopped. */
export async function dev(options: DevOptions): Promise<void> {
  const { brokers, data, port, set } = options
  let release = async (): Promise<void> => {}
  const hold = async (directory: string) => {
    release = (await holdDirectory(directory)).release
  }
  try {
    await run(await layOut({ directory: data, brokers, port, set, hold }), options)
  } finally {
    await release()
  }
  say('has stopped')
  process.exit(0)
}

async function run(nodes: readonly NodeLayout[], { data, command }: DevOptions): Promise<void> {
  let isReady = false
  let fail: (reason: string) => void = () => {}
  const failed = new Promise<never>((_, reject) => {
    fail = reason => reject(new MoldauError('ERR_CLOSED', reason))
  })
  const cluster = new LocalCluster({
    nodes,
    command,
    onLine: showLine,
    onFailed: (nodeId, reason) => {
      if (!isReady) return fail(`node ${nodeId}: ${reason}`)
      say(`${nodeName(nodeId)} has failed: ${reason}`)
    }
  })
  const orders = new Orders(cluster)
  const ended = endOnSignals(cluster)
  const startedAt = performance.now()
  try {
    const started = cluster.start()
    if ((await Promise.race([started.then(() => 'ready'), failed, ended.asked])) === 'ready') {
      isReady = true
      greet(cluster, data, performance.now() - startedAt)
      listen(orders, ended.ask)
    }
    await ended.asked
    orders.end()
    say('stopping')
    await Promise.all([cluster.stop(), started.catch(() => {})])
  } catch (error) {
    await cluster.kill()
    throw error
  }
}

function greet(cluster: LocalCluster, data: string, tookMs: number): void {
  const count = cluster.processes.length
  say(
    `is ready: ${count} ${count === 1 ? 'broker' : 'brokers'} on ${cluster.bootstrap} after ${(tookMs / 1000).toFixed(1)} s`
  )
  const servers = cluster.layout.map(each => `'${each.host}:${each.port}'`).join(', ')
  sayPlainly(`  data    ${resolve(data)}`)
  sayPlainly(`  try it  new Kafka({ brokers: [${servers}] }) with kafkajs`)
  sayPlainly('  type    kill 2, start 2, pause 2, resume 2, status, help')
  sayPlainly('  stop    Ctrl-C')
}

interface Ending {
  readonly asked: Promise<'asked'>
  readonly ask: () => void
}

function endOnSignals(cluster: LocalCluster): Ending {
  let wasAsked = false
  let ask: () => void = () => {}
  const asked = new Promise<'asked'>(resolve => {
    ask = () => {
      wasAsked = true
      resolve('asked')
    }
  })
  for (const [name, code] of Object.entries(SIGNALS)) {
    process.on(name, () => {
      if (!wasAsked) return ask()
      say('ends at once')
      void cluster.kill().then(() => process.exit(code))
    })
  }
  return { asked, ask: () => ask() }
}

/** Commands, one a line. Without anybody at the keyboard the cluster just runs. */
function listen(orders: Orders, quit: () => void): void {
  process.stdin.on('error', () => {})
  createInterface({ input: process.stdin }).on('line', line => {
    const command = parseCommand(line)
    if (command.verb === 'quit') return quit()
    orders.take(command)
  })
}
