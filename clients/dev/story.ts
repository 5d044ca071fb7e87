// Tells what follows when a node goes or comes back: how many partitions it led, when all of them had another leader, when
// every copy was in sync again. It watches what clients would see, through the nodes that are left, over connections of
// its own: nobody waits for what it tells, and it may never come to that.
import type { LocalCluster } from './cluster.ts'
import { nodeName, say } from './console.ts'
import type { NodeProcess } from './node-process.ts'
import { type ClusterView, Watch } from './watch.ts'

const POLL_MS = 10
const POLL_LIMIT_MS = 200
const GIVE_UP_MS = 60_000

/** Of one thing that was done to one node. */
export class Story {
  readonly #cluster: LocalCluster
  readonly #node: NodeProcess
  readonly #watch = new Watch()
  #isOver = false

  constructor(cluster: LocalCluster, node: NodeProcess) {
    this.#cluster = cluster
    this.#node = node
  }

  /** Something else is done to the node, or the cluster ends: not a word more. */
  end(): void {
    this.#isOver = true
    this.#watch.close()
  }

  /** Resolves when it is done, and said; says later when nothing is led by the node any more. */
  async goes(what: string, doIt: () => void): Promise<void> {
    const { nodeId } = this.#node
    const before = await this.#view(null)
    const led = before?.partitions.filter(each => each.leaderId === nodeId).length ?? 0
    const startedAt = performance.now()
    doIt()
    this.#say(` ${what}; it led ${led === 0 ? 'no partition' : `${led} of ${before?.partitions.length} partitions`}`)
    if (led === 0) return this.end()
    const isSo = (view: ClusterView) => view.partitions.every(each => each.leaderId >= 0 && each.leaderId !== nodeId)
    void this.#becomes(isSo, startedAt, 'all partitions have a leader again')
  }

  /** Says later when the node is ready, which may take other nodes as well, and when its copies are in sync. */
  starts(): void {
    this.#say(' starts')
    this.#node.start().then(
      () => this.returns('is back'),
      // Whoever ended it has said so.
      () => this.end()
    )
  }

  /** Says later when the node's copies are in sync again; one that was held on its start has to be ready first. */
  returns(what: string): void {
    const { nodeId } = this.#node
    this.#say(` ${what}`)
    const isSo = ({ brokers, partitions }: ClusterView) =>
      brokers.includes(nodeId) && partitions.every(each => !each.replicas.includes(nodeId) || each.isr.includes(nodeId))
    this.#node.ready.then(
      () => this.#becomes(isSo, performance.now(), 'all its copies are in sync'),
      () => this.end()
    )
  }

  /** Asks until it is so, for as long as there is somebody to ask. */
  async #becomes(isSo: (view: ClusterView) => boolean, startedAt: number, what: string): Promise<void> {
    const end = performance.now() + GIVE_UP_MS
    while (!this.#isOver && this.#places().length > 0) {
      const view = await this.#view(POLL_LIMIT_MS)
      if (view !== null && isSo(view)) {
        this.#say(`: ${what} after ${Math.round(performance.now() - startedAt)} ms`)
        break
      }
      if (performance.now() > end) {
        this.#say(`: after ${GIVE_UP_MS / 1000} s it is still not so that ${what}; status shows more`)
        break
      }
      await new Promise(resolve => setTimeout(resolve, POLL_MS))
    }
    this.end()
  }

  #places() {
    return this.#cluster.places()
  }

  #view(limitMs: number | null): Promise<ClusterView | null> {
    return this.#watch.first(this.#places(), place => this.#watch.view(place, limitMs ?? undefined))
  }

  #say(text: string): void {
    if (!this.#isOver) say(`${nodeName(this.#node.nodeId)}${text}`)
  }
}
