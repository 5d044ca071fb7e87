// When a cluster counts as whole: every broker is in service, every partition has a leader and all its replicas in sync, and
// on every disk lies what is committed, and more is not on the way.
import type { Ledger } from './ledger.ts'
import type { SimNode } from './node.ts'

/** Null: it is whole. Else one reason why not. */
export function lackOf(nodes: readonly SimNode[], ledgers: Iterable<Ledger>): string | null {
  for (const node of nodes) {
    if (node.status !== 'up' || node.broker === null) return `node ${node.id} is ${node.status}`
    // Nobody else may know it yet.
    if (node.failure !== null) return `node ${node.id} gives up: ${node.failure.message}`
  }
  for (const node of nodes) {
    const lack = lackIn(node, nodes.length)
    if (lack !== null) return lack
  }
  for (const ledger of ledgers) {
    // Nothing is missing of it anywhere, and its topic may be gone.
    if (ledger.end === 0) continue
    for (const [id, mirror] of ledger.mirrors) {
      if (mirror.isOld) return `${ledger.name} is not open on node ${id}`
      if (mirror.syncedEnd < ledger.end) {
        return `${ledger.name} is synced up to ${mirror.syncedEnd} on node ${id}, committed up to ${ledger.end}`
      }
    }
  }
  return null
}

function lackIn(node: SimNode, count: number): string | null {
  const image = node.broker?.services.metadata.image
  if (image === undefined) return `node ${node.id} has no metadata`
  if (image.brokers.size < count) return `node ${node.id} knows ${image.brokers.size} brokers`
  for (const broker of image.brokers.values()) {
    if (broker.fenced) return `node ${broker.brokerId} is fenced, says node ${node.id}`
  }
  for (const topic of image.topicsById.values()) {
    for (const [index, { isr, replicas, leader }] of topic.partitions.entries()) {
      if (leader < 0) return `${topic.name}-${index} has no leader, says node ${node.id}`
      if (isr.length < replicas.length) {
        return `${topic.name}-${index} has [${isr}] of [${replicas}] in sync, says node ${node.id}`
      }
    }
  }
  return null
}
