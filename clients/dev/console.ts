// What `moldau dev` prints: its own words on standard output, the brokers' log lines on standard error with a coloured
// prefix for each node. No colours where nobody sees them.
import pc from 'picocolors'
import { readableLine } from '../../broker/log.ts'
import type { LocalCluster } from './cluster.ts'
import type { NodeState } from './node-process.ts'
import type { ClusterView } from './watch.ts'

const inColour = pc.createColors(process.stdout.isTTY === true && process.env.NO_COLOR === undefined)
const NODE_COLOURS = [inColour.cyan, inColour.yellow, inColour.magenta, inColour.green, inColour.blue] as const
const STATE_COLOURS: Partial<Record<NodeState, (text: string) => string>> = {
  running: inColour.green,
  paused: inColour.yellow,
  killed: inColour.red,
  failed: inColour.red
}

export function say(text: string): void {
  process.stdout.write(`${inColour.bold('moldau')} ${text}\n`)
}

export function sayPlainly(text: string): void {
  process.stdout.write(`${text}\n`)
}

/** A line of a broker's log, as people read it. */
export function showLine(nodeId: number, line: string): void {
  process.stderr.write(`${inNodeColour(nodeId, `node ${nodeId} |`)} ${readable(line)}\n`)
}

export function nodeName(nodeId: number): string {
  return inNodeColour(nodeId, `node ${nodeId}`)
}

function inNodeColour(nodeId: number, text: string): string {
  return (NODE_COLOURS[(nodeId - 1) % NODE_COLOURS.length] ?? inColour.white)(text)
}

function readable(line: string): string {
  if (!line.startsWith('{')) return line
  try {
    return readableLine(line).trimEnd()
  } catch {
    return line
  }
}

/** Nodes, controller and leaders, a line each. */
export function statusLines(cluster: LocalCluster, view: ClusterView | null, controller: number | null): string[] {
  const lines = cluster.layout.map(({ nodeId, host, port }) => {
    const { state, pid } = cluster.process(nodeId)
    const shown = (STATE_COLOURS[state] ?? inColour.dim)(state.padEnd(8))
    const led = view?.partitions.filter(each => each.leaderId === nodeId).length
    const facts = [
      `${host}:${port}`,
      pid === null ? '' : `pid ${pid}`,
      led === undefined || !view?.brokers.includes(nodeId) ? '' : `leads ${led}`,
      controller === nodeId ? 'controller' : ''
    ]
    return `  ${nodeName(nodeId)}  ${shown} ${facts.filter(each => each !== '').join(', ')}`
  })
  if (view === null) return [...lines, '  no node answers']
  const behind = view.partitions.filter(each => each.isr.length < each.replicas.length).length
  const leaderless = view.partitions.filter(each => each.leaderId < 0).length
  return [
    ...lines,
    `  ${view.partitions.length} partitions, ${behind} with a replica missing or behind, ${leaderless} without a leader`
  ]
}
