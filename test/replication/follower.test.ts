// The follower of one partition: case by case, then three brokers that crash, elect and fetch in any order, each with
// the real leader and follower beside a log that is an array. Checked after every step: what was committed is on every
// synced copy that may be elected, is never cut, and no epoch gives an offset twice; healed, all logs are one.
import assert from 'node:assert/strict'
import fc from 'fast-check'
import { test } from 'tap'
import { ErrorCode } from '../../protocol/errors.ts'
import {
  askOf,
  type Effect,
  type FetchAsk,
  type Follower,
  follow,
  type Input,
  step
} from '../../replication/follower.ts'
import {
  isOfEarlierLife,
  type Leader,
  type Effect as LeaderEffect,
  type Input as LeaderInput,
  lead,
  step as stepLeader
} from '../../replication/leader.ts'
import { LeaderEpochs } from '../../storage/epochs.ts'

const state = (end: number, o: { synced?: number; start?: number; epoch?: number } = {}) => ({
  logStartOffset: o.start ?? 0,
  logEndOffset: end,
  syncedEndOffset: o.synced ?? end,
  lastEpoch: o.epoch ?? (end > 0 ? 3 : -1)
})
const followerOf = (end: number, o: Parameters<typeof state>[1] & { highWatermark?: number } = {}) =>
  follow({ leaderId: 1, leaderEpoch: 5, log: state(end, o), highWatermark: o.highWatermark ?? 0 })
const answer = (follower: Follower, o: Partial<Input & { kind: 'answered' }> = {}): Input => ({
  kind: 'answered',
  ask: askOf(follower) as FetchAsk,
  errorCode: ErrorCode.NONE,
  highWatermark: 0,
  logStartOffset: 0,
  hasRecords: false,
  divergingEpoch: null,
  ownEnd: null,
  ...o
})

test('what is asked for is the synced end, and nothing before', async t => {
  const follower = followerOf(7, { synced: 4 })
  t.equal(askOf(follower), null, 'not everything is synced')
  step(follower, { kind: 'synced', syncedEndOffset: 6 })
  t.equal(askOf(follower), null)
  step(follower, { kind: 'synced', syncedEndOffset: 7 })
  t.strictSame(askOf(follower), { leaderEpoch: 5, fetchOffset: 7, lastFetchedEpoch: 3, logStartOffset: 0 })
})

test('records are appended, then synced, then asked behind', async t => {
  const follower = followerOf(7)
  t.strictSame(step(follower, answer(follower, { hasRecords: true, highWatermark: 9 })), [{ kind: 'append' }])
  t.equal(askOf(follower), null, 'the log is at work')
  t.strictSame(step(follower, { kind: 'appended', log: state(8, { synced: 7 }) }), [
    { kind: 'advance-high-watermark', to: 8 }
  ])
  t.equal(askOf(follower), null)
  step(follower, { kind: 'synced', syncedEndOffset: 8 })
  t.equal(askOf(follower)?.fetchOffset, 8)
})

test('the high watermark follows the leader up to the own end, and never goes back', async t => {
  const follower = followerOf(7, { highWatermark: 3 })
  t.strictSame(step(follower, answer(follower, { highWatermark: 5 })), [{ kind: 'advance-high-watermark', to: 5 }])
  t.strictSame(step(follower, answer(follower, { highWatermark: 4 })), [])
  t.strictSame(step(follower, answer(follower, { highWatermark: 99 })), [{ kind: 'advance-high-watermark', to: 7 }])
  t.equal(followerOf(7, { highWatermark: 12 }).highWatermark, 7)
})

test('the log start follows the leader, as far as committed', async t => {
  const follower = followerOf(7)
  t.strictSame(step(follower, answer(follower, { highWatermark: 5, logStartOffset: 4 })), [
    { kind: 'advance-high-watermark', to: 5 },
    { kind: 'advance-log-start', to: 4 }
  ])
  t.equal(askOf(follower)?.logStartOffset, 4, 'which is what DeleteRecords waits for')
  t.strictSame(step(follower, answer(follower, { highWatermark: 5, logStartOffset: 6 })), [
    { kind: 'advance-log-start', to: 5 }
  ])
})

test('an answer to a question that no longer stands is of no account', async t => {
  const follower = followerOf(7)
  const late = answer(follower, { hasRecords: true, highWatermark: 9 })
  step(follower, answer(follower, { hasRecords: true }))
  t.strictSame(step(follower, late), [], 'the log is at work')
  step(follower, { kind: 'appended', log: state(8) })
  t.strictSame(step(follower, late), [], 'the log has moved')
  const next = follow({ leaderId: 2, leaderEpoch: 6, log: state(7), highWatermark: 0 })
  t.strictSame(step(next, late), [], 'an earlier reign')
  t.equal(next.highWatermark, 0)
})

test('the log is cut to where both logs agree, whatever the high watermark', async t => {
  const cases = [
    {
      what: 'the leader ends the epoch earlier',
      leader: { epoch: 3, endOffset: 5 },
      own: { leaderEpoch: 3, endOffset: 9 },
      to: 5
    },
    {
      what: 'the own end is earlier',
      leader: { epoch: 2, endOffset: 8 },
      own: { leaderEpoch: 2, endOffset: 6 },
      to: 6
    },
    {
      what: 'the epoch is unknown here',
      leader: { epoch: 2, endOffset: 8 },
      own: { leaderEpoch: 1, endOffset: 4 },
      to: 4
    },
    {
      what: 'no epoch is known here',
      leader: { epoch: 2, endOffset: 8 },
      own: { leaderEpoch: -1, endOffset: -1 },
      to: 8
    },
    { what: 'nor there', leader: { epoch: 2, endOffset: 12 }, own: { leaderEpoch: -1, endOffset: -1 }, to: 9 }
  ]
  for (const { what, leader, own, to } of cases) {
    const follower = followerOf(9, { highWatermark: 2 })
    const effects = step(follower, answer(follower, { divergingEpoch: leader, ownEnd: own, highWatermark: 7 }))
    t.strictSame(effects, [{ kind: 'truncate', to }], what)
    t.equal(follower.highWatermark, 2, 'no watermark counts before the logs agree')
    t.equal(askOf(follower), null)
    step(follower, { kind: 'synced', syncedEndOffset: 9 })
    step(follower, { kind: 'cut', log: state(to, { epoch: own.leaderEpoch }) })
    t.equal(askOf(follower)?.fetchOffset, to)
  }
  const stuck = followerOf(9)
  step(
    stuck,
    answer(stuck, { divergingEpoch: { epoch: 9, endOffset: 99 }, ownEnd: { leaderEpoch: -1, endOffset: -1 } })
  )
  t.strictSame(step(stuck, { kind: 'cut', log: state(9) }), [{ kind: 'back-off', failures: 1 }], 'no endless loop')
})

test('an unclean election may take committed records', async t => {
  const follower = followerOf(9, { highWatermark: 8 })
  const own = { leaderEpoch: 3, endOffset: 9 }
  step(follower, answer(follower, { divergingEpoch: { epoch: 3, endOffset: 5 }, ownEnd: own }))
  step(follower, { kind: 'cut', log: state(5) })
  t.equal(follower.highWatermark, 5)
})

test("outside of the leader's log", async t => {
  const out = (follower: Follower) => {
    t.strictSame(step(follower, answer(follower, { errorCode: ErrorCode.OFFSET_OUT_OF_RANGE })), [{ kind: 'locate' }])
    t.equal(askOf(follower), null)
  }
  const behind = followerOf(9, { highWatermark: 4 })
  out(behind)
  t.strictSame(step(behind, { kind: 'located', startOffset: 20, endOffset: 30 }), [{ kind: 'restart', at: 20 }])
  step(behind, { kind: 'cut', log: state(20, { start: 20, epoch: -1 }) })
  t.strictSame(askOf(behind), { leaderEpoch: 5, fetchOffset: 20, lastFetchedEpoch: -1, logStartOffset: 20 })
  t.equal(behind.highWatermark, 20)
  const ahead = followerOf(9)
  out(ahead)
  t.strictSame(step(ahead, { kind: 'located', startOffset: 2, endOffset: 6 }), [{ kind: 'truncate', to: 6 }])
  const inside = followerOf(9)
  out(inside)
  t.strictSame(step(inside, { kind: 'located', startOffset: 2, endOffset: 12 }), [{ kind: 'back-off', failures: 1 }])
  out(inside)
  t.strictSame(step(inside, { kind: 'not-located' }), [{ kind: 'back-off', failures: 2 }])
})

test('a leader whose log begins inside of a batch', async t => {
  const follower = followerOf(25, { start: 25, epoch: -1 })
  step(follower, answer(follower, { hasRecords: true, highWatermark: 40, logStartOffset: 25 }))
  const effects = step(follower, { kind: 'refused', log: state(25, { start: 25, epoch: -1 }), baseOffset: 20 })
  t.strictSame(effects, [{ kind: 'restart', at: 20 }])
  t.strictSame(step(follower, { kind: 'cut', log: state(20, { start: 20, epoch: -1 }) }), [{ kind: 'append' }])
  t.strictSame(step(follower, { kind: 'appended', log: state(30, { start: 20 }) }), [
    { kind: 'advance-high-watermark', to: 30 },
    { kind: 'advance-log-start', to: 25 }
  ])
})

test('what leads nowhere is tried again, later each time', async t => {
  const follower = followerOf(9)
  const backOff = (failures: number): Effect => ({ kind: 'back-off', failures })
  t.strictSame(step(follower, answer(follower, { errorCode: ErrorCode.UNKNOWN_LEADER_EPOCH })), [backOff(1)])
  t.strictSame(step(follower, answer(follower, { errorCode: ErrorCode.NOT_LEADER_OR_FOLLOWER })), [backOff(2)])
  step(follower, answer(follower, { hasRecords: true }))
  t.strictSame(step(follower, { kind: 'refused', log: state(9), baseOffset: 9 }), [backOff(3)], 'corrupt')
  step(follower, answer(follower, { hasRecords: true }))
  t.strictSame(step(follower, { kind: 'appended', log: state(9) }), [backOff(4)], 'all of a later epoch')
  step(follower, answer(follower, { hasRecords: true }))
  t.strictSame(
    step(follower, { kind: 'refused', log: state(11), baseOffset: 9 }),
    [backOff(5)],
    'the second was corrupt'
  )
  t.equal(askOf(follower)?.fetchOffset, 11, 'the first counts')
  step(follower, answer(follower))
  t.equal(follower.failures, 0)
  step(follower, { kind: 'failed' })
  t.equal(askOf(follower), null)
  t.strictSame(step(follower, { kind: 'cut', log: state(0) }), [])
})

// Three brokers.

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

class Cluster {
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

type Move = { what: number; who: number; by: number }

function perform(cluster: Cluster, { what, who, by }: Move): void {
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

test('crashes, elections and late requests in any order', async t => {
  const move = fc.record({ what: fc.nat(13), who: fc.nat(2), by: fc.nat(4) })
  let commits = 0
  fc.assert(
    fc.property(fc.array(move, { maxLength: 200, size: 'max' }), moves => {
      const cluster = new Cluster()
      for (const each of moves) {
        perform(cluster, each)
        cluster.check()
      }
      commits += cluster.committed.length
      // Healed: everybody hears, fetches and syncs, one fetch at a time.
      for (const node of cluster.nodes) node.inbox = []
      for (let round = 0; round < 60; round++) {
        cluster.nowMs += 30
        for (const what of [8, 2, 4, 6, 9]) for (const who of [0, 1, 2]) perform(cluster, { what, who, by: 9 })
        cluster.check()
      }
      for (const node of cluster.nodes) assert.deepEqual(node.items, cluster.committed, `broker ${node.id} is not one`)
      assert.equal(cluster.isr.length, 3, 'somebody did not come back')
    }),
    { numRuns: 1500 }
  )
  t.ok(commits > 1000, `${commits} records were committed`)
})
