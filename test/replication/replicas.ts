// Three brokers that crash, elect and fetch in any order, each with the real leader and follower beside a log that is an
// array. Checked after every step: what was committed is on every synced copy that may be elected, is never cut, and no
// epoch gives an offset twice.
import assert from 'node:assert/strict'
import { ErrorCode } from '../../protocol/errors.ts'
import { askOf, type FetchAsk, type Follower, follow, type Input, step } from '../../replication/follower.ts'
import {
  isOfEarlierLife,
  type Leader,
  type Effect as LeaderEffect,
  type Input as LeaderInput,
  lead,
  step as stepLeader
} from '../../replication/leader.ts'
import { LeaderEpochs } from '../../storage/epochs.ts'

interface Item {
  readonly epoch: number
  readonly value: number
}

interface Request {
  readonly by: number
  readonly brokerEpoch: number
  readonly ask: FetchAsk
}

interface Node {
  readonly id: number
  items: Item[]
  synced: number
  epochs: LeaderEpochs
  highWatermark: number
  brokerEpoch: number
  /** Of the metadata. */
  leaderEpoch: number
  leader: Leader | null
  follower: Follower | null
  /** Answers under way, by request. */
  inbox: { input: Input & { kind: 'answered' }; items: Item[] }[]
}

interface Proposal {
  readonly by: number
  readonly effect: LeaderEffect & { kind: 'propose-isr' }
}

export class Cluster {
  readonly nodes: Node[]
  nowMs = 0
  #values = 0
  #registrations = 10
  // What the controller has decided.
  leaderId = 1
  leaderEpoch = 1
  partitionEpoch = 1
  isr = [1, 2, 3]
  registered = new Map([
    [1, 1],
    [2, 2],
    [3, 3]
  ])
  proposals: Proposal[] = []
  /** Requests that the network has kept for later. */
  late: Request[] = []
  /** By offset: what any leader ever called committed. */
  readonly committed: Item[] = []
  readonly #given = new Map<string, number>()

  constructor() {
    this.nodes = [1, 2, 3].map(id => ({
      ...{ id, items: [], synced: 0, epochs: new LeaderEpochs(), highWatermark: 0, brokerEpoch: id, leaderEpoch: 0 },
      ...{ leader: null, follower: null, inbox: [] }
    }))
  }

  node(id: number): Node {
    return this.nodes[id - 1] as Node
  }

  append(node: Node): void {
    if (!node.leader) return
    const item = { epoch: node.leader.leaderEpoch, value: this.#values++ }
    this.#give(node.items.length, item)
    node.items.push(item)
    node.epochs.assign(item.epoch, node.items.length - 1)
    this.stepLeader(node, { kind: 'appended', logEndOffset: node.items.length })
  }

  /** Rule 1: an offset is given once in an epoch. */
  #give(offset: number, { epoch, value }: Item): void {
    const key = `${epoch}/${offset}`
    assert.ok(!this.#given.has(key), `offset ${offset} was given twice in epoch ${epoch}`)
    this.#given.set(key, value)
  }

  sync(node: Node, count: number): void {
    node.synced = Math.min(node.items.length, node.synced + count)
    const input = { kind: 'synced', syncedEndOffset: node.synced } as const
    if (node.leader) this.stepLeader(node, input)
    if (node.follower) this.stepFollower(node, input, [])
  }

  stepLeader(node: Node, input: LeaderInput): void {
    if (!node.leader) return
    for (const effect of stepLeader(node.leader, input)) {
      if (effect.kind === 'propose-isr') this.proposals.push({ by: node.id, effect })
      else this.#commit(node, effect.to)
    }
  }

  #commit(node: Node, to: number): void {
    assert.ok(to >= node.highWatermark, 'the high watermark went back')
    node.highWatermark = to
    for (let offset = 0; offset < to; offset++) {
      const item = node.items[offset] as Item
      if (offset === this.committed.length) this.committed.push(item)
      assert.deepEqual(item, this.committed[offset], `what was committed at ${offset} has changed`)
    }
  }

  stepFollower(node: Node, input: Input, items: readonly Item[]): void {
    const follower = node.follower as Follower
    for (const effect of step(follower, input)) {
      if (effect.kind === 'append') {
        for (const item of items) {
          node.epochs.assign(item.epoch, node.items.length)
          node.items.push(item)
        }
        this.stepFollower(node, { kind: 'appended', log: this.logOf(node) }, [])
      } else if (effect.kind === 'truncate') {
        assert.ok(effect.to >= this.committed.length || this.#isForeign(node, effect.to), 'committed records were cut')
        node.items.length = Math.min(node.items.length, effect.to)
        node.synced = Math.min(node.synced, effect.to)
        node.epochs.truncateFromEnd(effect.to)
        this.stepFollower(node, { kind: 'cut', log: this.logOf(node) }, [])
      } else if (effect.kind === 'advance-high-watermark') {
        assert.ok(effect.to <= node.items.length, 'the high watermark is beyond the log')
        this.#commit(node, effect.to)
      } else assert.equal(effect.kind, 'back-off')
    }
  }

  /** What is cut away below the end of what is committed is something else. */
  #isForeign(node: Node, from: number): boolean {
    return node.items
      .slice(from, this.committed.length)
      .every((item, i) => item.value !== this.committed[from + i]?.value)
  }

  logOf({ items, synced, epochs }: Node) {
    const lastEpoch = epochs.latest?.epoch ?? -1
    return { logStartOffset: 0, logEndOffset: items.length, syncedEndOffset: synced, lastEpoch }
  }

  /** As broker/handlers/fetch.ts does. */
  fetch({ by, ask, brokerEpoch }: Request): void {
    const from = this.nodes.find(each => each.leader && each.leader.leaderEpoch === ask.leaderEpoch)
    const node = this.node(by)
    const reply = (o: Partial<Input & { kind: 'answered' }>, items: Item[] = []): void => {
      if (node.brokerEpoch !== brokerEpoch) return
      const none = { highWatermark: -1, logStartOffset: -1, divergingEpoch: null, ownEnd: null, errorCode: 0 }
      node.inbox.push({ input: { kind: 'answered', ask, hasRecords: items.length > 0, ...none, ...o }, items })
    }
    if (!from?.leader || isOfEarlierLife(from.leader, by, brokerEpoch)) {
      reply({ errorCode: ErrorCode.NOT_LEADER_OR_FOLLOWER })
      return
    }
    const highWatermark = from.leader.highWatermark
    if (ask.lastFetchedEpoch >= 0) {
      const { leaderEpoch: epoch, endOffset } = from.epochs.endOffsetFor(ask.lastFetchedEpoch, from.items.length)
      assert.ok(epoch >= 0)
      if (epoch < ask.lastFetchedEpoch || endOffset < ask.fetchOffset) {
        reply({ divergingEpoch: { epoch, endOffset }, highWatermark })
        return
      }
    }
    assert.ok(ask.fetchOffset <= from.items.length)
    this.stepLeader(from, {
      ...{ kind: 'fetched', by, from: ask.fetchOffset, logStartOffset: 0, brokerEpoch, nowMs: this.nowMs }
    })
    const items = from.items.slice(ask.fetchOffset, ask.fetchOffset + 3)
    reply({ highWatermark: from.leader.highWatermark, logStartOffset: 0 }, items)
  }

  take(node: Node): void {
    const next = node.inbox.shift()
    if (!next || !node.follower) return
    const { divergingEpoch } = next.input
    const ownEnd = divergingEpoch && node.epochs.endOffsetFor(divergingEpoch.epoch, node.items.length)
    this.stepFollower(node, { ...next.input, ownEnd }, next.items)
  }

  crash(node: Node): void {
    node.items.length = node.synced
    node.epochs.truncateFromEnd(node.synced)
    node.leader = node.follower = null
    node.highWatermark = Math.min(node.highWatermark, node.synced)
    node.inbox = []
    node.brokerEpoch = ++this.#registrations
    this.registered.set(node.id, node.brokerEpoch)
    // Its registration takes it out of the set, unless it is the last; a leadership ends in any case.
    if (this.isr.length > 1) this.isr = this.isr.filter(id => id !== node.id)
    this.partitionEpoch++
    if (this.leaderId === node.id) this.elect(this.isr[0] as number)
  }

  elect(id: number): void {
    if (!this.isr.includes(id)) return
    this.leaderId = id
    this.leaderEpoch++
    this.partitionEpoch++
  }

  /** The node hears of everything that is decided. */
  hear(node: Node): void {
    const { leaderEpoch, leaderId, partitionEpoch, isr, nowMs } = this
    const eligible = new Map(this.registered)
    if (node.leader) this.stepLeader(node, { kind: 'brokers-changed', eligible, nowMs })
    if (node.leaderEpoch === leaderEpoch && node.leader) {
      this.stepLeader(node, { kind: 'isr-decided', isr, partitionEpoch, nowMs })
      return
    }
    if (node.leaderEpoch === leaderEpoch && node.follower) return
    node.leaderEpoch = leaderEpoch
    node.highWatermark = node.leader?.highWatermark ?? node.follower?.highWatermark ?? node.highWatermark
    node.leader = node.follower = null
    if (leaderId === node.id) {
      node.epochs.assign(leaderEpoch, node.items.length)
      node.leader = lead({
        ...{ nodeId: node.id, leaderEpoch, partitionEpoch, replicas: [1, 2, 3], isr, eligible, minInsyncReplicas: 1 },
        ...{ replicaLagTimeMaxMs: 100, logStartOffset: 0, logEndOffset: node.items.length },
        ...{ syncedEndOffset: node.synced, highWatermark: node.highWatermark, nowMs }
      })
      this.stepLeader(node, { kind: 'synced', syncedEndOffset: node.synced })
      return
    }
    node.epochs.truncateFromEnd(node.items.length)
    const { highWatermark } = node
    node.follower = follow({ leaderId, leaderEpoch, log: this.logOf(node), highWatermark })
    node.highWatermark = node.follower.highWatermark
  }

  /** AlterPartition: epochs, and for who joins the life it was seen in (KIP-903). */
  decide(): void {
    const proposal = this.proposals.shift()
    if (!proposal) return
    const { by, effect } = proposal
    if (effect.leaderEpoch !== this.leaderEpoch || effect.partitionEpoch !== this.partitionEpoch) return
    if (by !== this.leaderId) return
    const stale = effect.isr.some(
      ({ brokerId, brokerEpoch }) => brokerEpoch !== -1 && brokerEpoch !== this.registered.get(brokerId)
    )
    if (stale) {
      const proposedAt = effect.partitionEpoch
      this.stepLeader(this.node(by), { kind: 'isr-refused', proposedAt, nowMs: this.nowMs })
      return
    }
    this.isr = effect.isr.map(each => each.brokerId)
    this.partitionEpoch++
  }

  check(): void {
    for (const id of this.isr) {
      const { items, synced } = this.node(id)
      for (const [offset, item] of this.committed.entries()) {
        assert.ok(offset < synced, `broker ${id} may be elected and lacks ${offset} of ${this.committed.length}`)
        assert.deepEqual(items[offset], item, `broker ${id} may be elected and differs at ${offset}`)
      }
    }
  }
}

export type Move = { what: number; who: number; by: number }

export function perform(cluster: Cluster, { what, who, by }: Move): void {
  const node = cluster.node(1 + (who % 3))
  const ask = node.follower && askOf(node.follower)
  const request = ask && { by: node.id, brokerEpoch: node.brokerEpoch, ask }
  switch (what) {
    case 0:
    case 1:
      cluster.append(node)
      return
    case 2:
    case 3:
      cluster.sync(node, 1 + by)
      return
    case 4:
    case 5:
      if (request) cluster.fetch(request)
      return
    case 6:
    case 7:
      cluster.take(node)
      return
    case 8:
      cluster.hear(node)
      return
    case 9:
      cluster.decide()
      return
    case 10:
      if (by === 0) cluster.crash(node)
      else if (by === 1) cluster.elect(node.id)
      return
    case 11:
      cluster.nowMs += by * 30
      cluster.stepLeader(node, { kind: 'ticked', nowMs: cluster.nowMs })
      return
    case 12:
      if (request) cluster.late.push(request)
      return
    default: {
      const request = cluster.late.shift()
      if (request) cluster.fetch(request)
      return
    }
  }
}
