// A cluster of real broker processes for one test: ports of its own, a directory of its own, gone when the test is over.
import { fileURLToPath } from 'node:url'
import { Kafka, logLevel } from 'kafkajs'
import type { Test } from 'tap'
import { LocalCluster } from '../../clients/dev/cluster.ts'
import { layOutAnywhere, type NodeLayout } from '../../clients/dev/layout.ts'
import { UNHOOKED } from '../process/broker-process.ts'

const CLI = fileURLToPath(new URL('../../broker/moldau.cjs', import.meta.url))

export interface LocalOptions {
  readonly directory: string
  readonly brokers?: number
  readonly set?: readonly string[]
}

export interface Local {
  readonly cluster: LocalCluster
  /** Log lines of each node, as JSON. */
  readonly lines: Map<number, string[]>
}

/** Laid out and not started. */
export async function local(t: Test, { directory, brokers = 3, set = [] }: LocalOptions): Promise<Local> {
  return over(t, await layOutAnywhere({ directory, brokers, set }))
}

/** A cluster on nodes whose files are there already. */
export function over(t: Test, nodes: readonly NodeLayout[]): Local {
  const lines = new Map<number, string[]>(nodes.map(({ nodeId }) => [nodeId, []]))
  const cluster = new LocalCluster({
    nodes,
    command: [...UNHOOKED, CLI],
    onLine: (nodeId, line) => lines.get(nodeId)?.push(line)
  })
  t.teardown(() => cluster.kill())
  return { cluster, lines }
}

export function kafkaOf(cluster: LocalCluster, clientId = 'test', nodeIds?: readonly number[]): Kafka {
  const brokers = cluster.bootstrap.split(',').filter((_, index) => nodeIds?.includes(index + 1) ?? true)
  return new Kafka({
    clientId,
    brokers,
    logLevel: logLevel.NOTHING,
    connectionTimeout: 1000,
    // What was asked of a process that stands still is asked of another one.
    requestTimeout: 5_000,
    retry: { initialRetryTime: 50, maxRetryTime: 500, retries: 60 }
  })
}

/** Who leads what, as the first node says that answers. */
export async function leaderOf(cluster: LocalCluster, topic: string, partition: number): Promise<number> {
  const view = await cluster.view()
  return view?.partitions.find(each => each.topic === topic && each.partition === partition)?.leaderId ?? -1
}
