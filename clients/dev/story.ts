// Tells what follows when a node goes or comes back: how many partitions it led, when all of them had another leader, when
// every copy was in sync again. It watches what clients would see, through the nodes that are left.
import type { LocalCluster } from './cluster.ts'
import { nodeName, say } from './console.ts'
import type { ClusterView } from './watch.ts'

const POLL_MS = 10
const GIVE_UP_MS = 60_000

/** Does it, and says when nothing is led by the node any more. */
export async function tellFailover(
  cluster: LocalCluster,
  nodeId: number,
  what: string,
  doIt: () => Promise<void>
): Promise<void> {
  const before = await cluster.view()
  const led = before?.partitions.filter(each => each.leaderId === nodeId).length ?? 0
  const startedAt = performance.now()
  const done = doIt()
  say(
    `${nodeName(nodeId)} ${what}${led === 0 ? '; it led no partition' : `; it led ${led} of ${before?.partitions.length} partitions`}`
  )
  const isOver = (view: ClusterView) =>
    view.partitions.every(each => each.leaderId >= 0 && (each.leaderId !== nodeId || led === 0))
  if (led > 0 && (await becomes(cluster, isOver, nodeId))) {
    say(`all partitions have a leader again after ${Math.round(performance.now() - startedAt)} ms`)
  }
  await done
}

/** Says when the node's copies are in sync again. */
export async function tellReturn(cluster: LocalCluster, nodeId: number, what: string): Promise<void> {
  const startedAt = performance.now()
  say(`${nodeName(nodeId)} ${what}`)
  const isWhole = (view: ClusterView) =>
    view.brokers.includes(nodeId) &&
    view.partitions.every(each => !each.replicas.includes(nodeId) || each.isr.includes(nodeId))
  if (await becomes(cluster, isWhole, null)) {
    say(`all copies on ${nodeName(nodeId)} are in sync after ${Math.round(performance.now() - startedAt)} ms`)
  }
}

/** False when it did not come to that in time, or nobody is left to ask. `without`: a node that is not asked. */
async function becomes(
  cluster: LocalCluster,
  isSo: (view: ClusterView) => boolean,
  without: number | null
): Promise<boolean> {
  const end = performance.now() + GIVE_UP_MS
  while (performance.now() < end) {
    const places = cluster.places().filter(each => each.nodeId !== without)
    if (places.length === 0) return false
    const view = await cluster.watch.first(places, place => cluster.watch.view(place, 200))
    if (view !== null && isSo(view)) return true
    await new Promise(resolve => setTimeout(resolve, POLL_MS))
  }
  say(`after ${GIVE_UP_MS / 1000} s it is still not so; status shows more`)
  return false
}
