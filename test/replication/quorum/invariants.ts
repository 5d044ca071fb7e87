// What may never happen in a quorum, looked at from above: it sees all that nodes say, do and have on their disks.
import assert from 'node:assert/strict'
import type { QuorumNode } from './node.ts'

export interface Entry {
  readonly epoch: number
  readonly value: string
}

export class Invariants {
  readonly #leaders = new Map<number, number>()
  readonly #votes = new Map<string, number>()
  /** What anybody has called committed, in order. */
  readonly committed: (Entry & { readonly committedIn: number })[] = []
  readonly #nodes: () => readonly QuorumNode[]

  constructor(nodes: () => readonly QuorumNode[]) {
    this.#nodes = nodes
  }

  /** SingleLeader, and leader completeness: it has what was committed in earlier epochs. (A slow disk may let it learn
   * late that it leads, when a later epoch has committed more.) */
  leads(node: QuorumNode, epoch: number): void {
    const other = this.#leaders.get(epoch)
    assert(other === undefined, `node ${node.id} leads epoch ${epoch}, which node ${other} led`)
    this.#leaders.set(epoch, node.id)
    this.committed.forEach((entry, offset) => {
      const isHeld = node.disk.log[offset]?.value === entry.value
      assert(
        isHeld || entry.committedIn >= epoch,
        `node ${node.id} leads epoch ${epoch} without the committed record ${offset}`
      )
    })
  }

  /** One vote in one epoch, over all lives of a node. */
  votes(voter: number, epoch: number, candidate: number): void {
    const key = `${voter}@${epoch}`
    const before = this.#votes.get(key) ?? candidate
    assert(before === candidate, `node ${voter} voted for ${before} and for ${candidate} in epoch ${epoch}`)
    this.#votes.set(key, candidate)
  }

  /** ConsistentCommittedData, MajorityReachedHighWatermark. */
  commits(node: QuorumNode, to: number, isLeader: boolean): void {
    const { log, syncedEndOffset } = node.disk
    assert(to <= log.length, `node ${node.id} has a high watermark of ${to} with ${log.length} records`)
    if (!isLeader) assert(to <= syncedEndOffset, `node ${node.id} has applied what is not synced`)
    for (let offset = node.checked; offset < to; offset++) {
      const entry = log[offset] as Entry
      const known = this.committed[offset]
      if (known === undefined) this.committed.push({ ...entry, committedIn: node.quorum.epoch })
      else assert(known.value === entry.value, `record ${offset} is ${known.value} and ${entry.value}`)
    }
    node.checked = to
    // What a wiped disk held counts: one such node may be believed for a while.
    const holders = this.#nodes().filter(({ disk, isWiped }) => {
      const isHeld = disk.syncedEndOffset >= to && disk.log[to - 1]?.value === log[to - 1]?.value
      return isHeld || isWiped
    })
    assert(
      holders.length > this.#nodes().length / 2,
      `only ${holders.length} nodes have the committed record ${to - 1}`
    )
  }

  /** MonotonicEpoch and MonotonicHighWatermark: of a life, and of all that was said in earlier ones. */
  steps(node: QuorumNode): void {
    const { quorum, seen } = node
    assert(quorum.epoch >= seen.epoch, `node ${node.id} went back from epoch ${seen.epoch} to ${quorum.epoch}`)
    assert(quorum.highWatermark >= seen.highWatermark, `the high watermark of node ${node.id} went back`)
    seen.epoch = quorum.epoch
    seen.highWatermark = quorum.highWatermark
  }
}
