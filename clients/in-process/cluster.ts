// Several real brokers inside this JavaScript process, for tests of what a program does when brokers die, stand still or lose
// each other. They speak over real sockets on free ports of this machine, and keep real files; stop() leaves nothing.
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createLogger, type LogLevel } from '../../broker/log.ts'
import { checkBrokers } from '../dev/layout.ts'
import { freePorts } from '../free-ports.ts'
import { Links } from './links.ts'
import { InProcessNode } from './node.ts'

export interface StartClusterOptions {
  /** From 1 to 9; 3 unless asked for. */
  readonly brokers?: number
  /** Kept by stop() when it is given; else a temporary one is made, and removed. */
  readonly dataDirectory?: string
  /** Settings for all brokers, by Kafka's names. */
  readonly settings?: Readonly<Record<string, string | number | boolean>>
  /** 'silent' unless asked for. */
  readonly logLevel?: LogLevel
}

export interface RunningCluster {
  /** `host:port,host:port,...` of all brokers. */
  readonly bootstrap: string
  readonly nodes: readonly InProcessNode[]
  node(nodeId: number): InProcessNode
  /** As kill -9: no word of farewell, sockets reset. Resolves when it could be started again. */
  kill(nodeId: number): Promise<void>
  /** As SIGSTOP, until resume. */
  pause(nodeId: number): void
  resume(nodeId: number): void
  /** Ends it in order if it runs, and starts it on its data. Resolves when it takes part again; rejects where the cluster is
   *  stopped meanwhile. */
  restart(nodeId: number): Promise<void>
  /** Only nodes that stand in a group together reach each other: one that is in no group reaches nobody, one that is in two
   *  reaches both. It replaces an earlier partition, and leaves what was cut by `cut`. */
  partition(...groups: readonly (readonly number[])[]): void
  /** Nothing gets from one node to the other; the way back stays. */
  cut(from: number, to: number): void
  /** Ends the partition and every cut: all links carry again, and what was held back arrives. */
  heal(): void
  stop(): Promise<void>
}

const HOST = '127.0.0.1'

/** Resolves when all brokers are ready. Rejects with a MoldauError where their number, the settings or the directory cannot
 *  be used. */
export async function startCluster(options: StartClusterOptions = {}): Promise<RunningCluster> {
  const brokers = options.brokers ?? 3
  checkBrokers('brokers', brokers)
  const ports = await freePorts(2 * brokers)
  const directory = options.dataDirectory ?? mkdtempSync(join(tmpdir(), 'moldau-'))
  const log = createLogger({ level: options.logLevel ?? 'silent' })
  const links = new Links()
  const nodes = Array.from({ length: brokers }, (_, index) => {
    const nodeId = index + 1
    const dataDirectory = join(directory, `data-${nodeId}`)
    const settings = settingsOf({ nodeId, brokers, ports, dataDirectory, more: options.settings ?? {} })
    const port = ports[index] as number
    return new InProcessNode({
      ...{ nodeId, host: HOST, port, dataDirectory, settings, links },
      log: log.child({ nodeId })
    })
  })
  const stop = async (): Promise<void> => {
    links.heal()
    for (const each of nodes) each.resume()
    await Promise.all(nodes.map(each => each.stop()))
    if (options.dataDirectory === undefined) rmSync(directory, { recursive: true, force: true })
  }
  try {
    await Promise.all(nodes.map(each => each.start()))
  } catch (error) {
    await Promise.all(nodes.map(each => each.kill()))
    if (options.dataDirectory === undefined) rmSync(directory, { recursive: true, force: true })
    throw error
  }
  return runningCluster(nodes, links, stop)
}

function runningCluster(nodes: readonly InProcessNode[], links: Links, stop: () => Promise<void>): RunningCluster {
  const node = (nodeId: number): InProcessNode => {
    const found = nodes.find(each => each.nodeId === nodeId)
    if (found === undefined) throw new RangeError(`there is no node ${nodeId}`)
    return found
  }
  let isOver = false
  return {
    bootstrap: nodes.map(each => each.bootstrap).join(','),
    nodes,
    node,
    kill: nodeId => node(nodeId).kill(),
    pause: nodeId => node(nodeId).pause(),
    resume: nodeId => node(nodeId).resume(),
    async restart(nodeId) {
      await node(nodeId).stop()
      if (isOver) throw new Error(`the cluster was stopped before node ${nodeId} could start again`)
      await node(nodeId).start()
    },
    partition(...groups) {
      for (const nodeId of groups.flat()) node(nodeId)
      links.part(groups)
    },
    cut: (from, to) => links.cut(node(from).nodeId, node(to).nodeId),
    heal: () => links.heal(),
    stop() {
      isOver = true
      return stop()
    }
  }
}

interface NodeFacts {
  readonly nodeId: number
  readonly brokers: number
  readonly ports: readonly number[]
  readonly dataDirectory: string
  readonly more: Readonly<Record<string, string | number | boolean>>
}

function settingsOf({ nodeId, brokers, ports, dataDirectory, more }: NodeFacts): string[] {
  const controllers = ports.slice(brokers)
  const copies = Math.min(3, brokers)
  const settings = {
    'node.id': nodeId,
    'controller.quorum.voters': controllers.map((port, index) => `${index + 1}@${HOST}:${port}`).join(','),
    listeners: `PLAINTEXT://${HOST}:${ports[nodeId - 1]},CONTROLLER://${HOST}:${controllers[nodeId - 1]}`,
    'controller.listener.names': 'CONTROLLER',
    'log.dirs': dataDirectory,
    'default.replication.factor': copies,
    'min.insync.replicas': Math.max(1, copies - 1),
    'offsets.topic.replication.factor': copies,
    'group.initial.rebalance.delay.ms': 0,
    'moldau.http.listener': 'off',
    ...more
  }
  return Object.entries(settings).map(([key, value]) => `${key}=${value}`)
}
