// What /metrics says, in Prometheus' text format (version 0.0.4). Names are the project's own and stay as they are: who
// reads them (the bench too) takes differences between two looks.

import { type LoopTurns, TURN_BUCKETS_MS } from '../loop-turns.ts'
import type { MemoryBudget } from '../net/budget.ts'
import { type Figured, replicaFigures } from './replica-figures.ts'

export interface Measured {
  readonly turns: LoopTurns
  readonly memory: MemoryBudget
  readonly connections: number
  /** Null before the log directory is open. */
  readonly replicas: Figured | null
}

export const METRICS_TYPE = 'text/plain; version=0.0.4; charset=utf-8'

export function metricsText({ turns, memory, connections, replicas }: Measured): string {
  const { rss, heapUsed, external, arrayBuffers } = process.memoryUsage()
  const { user, system } = process.cpuUsage()
  const lines = [
    ...turnLines(turns),
    ...gauge('moldau_connections', 'Connections of clients and brokers that are open.', connections),
    ...(replicas === null ? [] : replicaLines(replicas)),
    ...headOf('moldau_memory_bytes', 'gauge', 'Bytes in flight, by what they are for.'),
    ...memory.accounts.map(each => `moldau_memory_bytes{of="${each.name}"} ${each.usedBytes}`),
    ...headOf('moldau_memory_limit_bytes', 'gauge', 'What of them there may be.'),
    ...memory.accounts.map(each => `moldau_memory_limit_bytes{of="${each.name}"} ${each.limitBytes}`),
    ...gauge('moldau_memory_waiting', 'Requests and answers that wait for room.', memory.waiting),
    ...counter('moldau_memory_abandoned_total', 'Connections that were ended because others waited.', memory.abandoned),
    ...counter('process_cpu_seconds_total', 'User and system time.', (user + system) / 1e6),
    ...gauge('process_resident_memory_bytes', 'As the system counts it.', rss),
    ...gauge('moldau_heap_used_bytes', 'Objects of the JavaScript heap.', heapUsed),
    ...gauge('moldau_external_bytes', 'Memory that objects hold outside of that heap.', external + arrayBuffers)
  ]
  return `${lines.join('\n')}\n`
}

/** Kafka's gauges of these names (ReplicaManager.scala, LogManager.scala, ControllerMetadataMetrics.java). */
function replicaLines(replicas: Figured): string[] {
  const figures = replicaFigures(replicas)
  return [
    ...gauge('moldau_partition_count', 'Replicas that this broker has.', figures.partitions),
    ...gauge('moldau_leader_count', 'Partitions that it leads.', figures.leaders),
    ...gauge('moldau_under_replicated_partitions', 'Of those, with replicas out of sync.', figures.underReplicated),
    ...gauge('moldau_under_min_isr_partition_count', 'Of those, too few for acks=all.', figures.underMinIsr),
    ...gauge('moldau_offline_replica_count', 'Its replicas whose log failed.', figures.offlineReplicas),
    ...gauge('moldau_offline_log_directory_count', 'Its log directories that failed.', figures.offlineDirectories),
    ...gauge('moldau_active_controller_count', '1 where this node is the controller.', figures.activeControllers),
    ...gauge('moldau_offline_partitions_count', 'Without a leader; told by the controller.', figures.leaderless)
  ]
}

function turnLines(turns: LoopTurns): string[] {
  const name = 'moldau_loop_turn_cpu_seconds'
  const lines = headOf(name, 'histogram', 'Processor time of one turn of the event loop.')
  let below = 0
  for (const [index, boundMs] of TURN_BUCKETS_MS.entries()) {
    below += turns.counts[index] as number
    lines.push(`${name}_bucket{le="${boundMs / 1000}"} ${below}`)
  }
  lines.push(`${name}_bucket{le="+Inf"} ${turns.count}`, `${name}_sum ${turns.totalMs / 1000}`)
  lines.push(`${name}_count ${turns.count}`)
  return [
    ...lines,
    ...gauge('moldau_loop_turn_cpu_seconds_max', 'The longest since the start.', turns.longestMs / 1000),
    ...counter('moldau_loop_long_turns_cpu_seconds_total', 'Spent in turns over 10 ms.', turns.longMs / 1000)
  ]
}

function headOf(name: string, type: 'gauge' | 'counter' | 'histogram', help: string): string[] {
  return [`# HELP ${name} ${help}`, `# TYPE ${name} ${type}`]
}

function gauge(name: string, help: string, value: number): string[] {
  return [...headOf(name, 'gauge', help), `${name} ${value}`]
}

function counter(name: string, help: string, value: number): string[] {
  return [...headOf(name, 'counter', help), `${name} ${value}`]
}
