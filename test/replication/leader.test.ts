// The in-sync-replica protocol of one partition: example by example, then against a model in which followers, the
// controller and the network take turns at random. Checked after every step: what is committed is on every broker
// that may be counted as in sync, the high watermark never goes back, and nothing is committed below min ISR.
import assert from 'node:assert/strict'
import fc from 'fast-check'
import { test } from 'tap'
import {
  type Effect,
  effectiveMinIsr,
  type Input,
  isOfEarlierLife,
  isUnderMinIsr,
  type Leader,
  lastStableOffset,
  lead,
  lowWatermark,
  step
} from '../../replication/leader.ts'

const LAG_MS = 100

function leaderOf(replicas: number[], o: { isr?: number[]; min?: number; highWatermark?: number; end?: number } = {}) {
  return lead({
    nodeId: replicas[0] as number,
    leaderEpoch: 3,
    partitionEpoch: 7,
    replicas,
    isr: o.isr ?? replicas,
    eligible: new Map(replicas.map(id => [id, 10 + id])),
    minInsyncReplicas: o.min ?? 1,
    replicaLagTimeMaxMs: LAG_MS,
    logStartOffset: 0,
    logEndOffset: o.end ?? 0,
    syncedEndOffset: o.end ?? 0,
    highWatermark: o.highWatermark ?? 0,
    nowMs: 0
  })
}

const fetched = (by: number, from: number, nowMs = 1): Input => ({
  kind: 'fetched',
  by,
  from,
  logStartOffset: 0,
  brokerEpoch: 10 + by,
  nowMs
})
const advance = (to: number): Effect => ({ kind: 'advance-high-watermark', to })
const propose = (isr: number[], partitionEpoch = 7): Effect => ({
  kind: 'propose-isr',
  isr: isr.map(brokerId => ({ brokerId, brokerEpoch: brokerId === 1 ? -1 : 10 + brokerId })),
  leaderEpoch: 3,
  partitionEpoch
})

test('one replica commits what it has synced, and not before', async t => {
  const leader = leaderOf([1])
  t.strictSame(step(leader, { kind: 'appended', logEndOffset: 5 }), [])
  t.strictSame(step(leader, { kind: 'synced', syncedEndOffset: 3 }), [advance(3)])
  t.strictSame(step(leader, { kind: 'synced', syncedEndOffset: 3 }), [], 'once')
  t.strictSame(step(leader, { kind: 'synced', syncedEndOffset: 5 }), [advance(5)])
  t.strictSame(step(leader, { kind: 'ticked', nowMs: 1e9 }), [], 'the leader never drops itself')
  t.equal(effectiveMinIsr(leader), 1)
})

test('min.insync.replicas asks for no more copies than there are', async t => {
  const leader = leaderOf([1], { min: 3 })
  t.equal(effectiveMinIsr(leader), 1)
  t.notOk(isUnderMinIsr(leader))
  t.strictSame(step(leader, { kind: 'synced', syncedEndOffset: 1 }), [advance(1)])
})

test('a reign begins at the checkpointed high watermark, inside the log', async t => {
  t.equal(leaderOf([1], { highWatermark: 9, end: 4 }).highWatermark, 4)
  t.equal(leaderOf([1], { highWatermark: 2, end: 4 }).highWatermark, 2)
  const leader = leaderOf([1], { highWatermark: 2, end: 4 })
  t.strictSame(step(leader, { kind: 'synced', syncedEndOffset: 4 }), [advance(4)], 'the first step brings the rest')
})

test('a record is committed once every in-sync follower has fetched past it', async t => {
  const leader = leaderOf([1, 2, 3])
  step(leader, { kind: 'appended', logEndOffset: 5 })
  step(leader, { kind: 'synced', syncedEndOffset: 5 })
  t.strictSame(step(leader, fetched(2, 5)), [])
  t.strictSame(step(leader, fetched(3, 4)), [advance(4)])
  t.strictSame(step(leader, fetched(3, 5)), [advance(5)])
})

test("followers ahead of the leader's own sync commit nothing", async t => {
  const leader = leaderOf([1, 2])
  step(leader, { kind: 'appended', logEndOffset: 5 })
  t.strictSame(step(leader, fetched(2, 5)), [])
  t.strictSame(step(leader, { kind: 'synced', syncedEndOffset: 5 }), [advance(5)])
})

test('a silent follower leaves after its lag time, and the mark moves only once that is decided', async t => {
  const leader = leaderOf([1, 2, 3])
  step(leader, { kind: 'synced', syncedEndOffset: 5 })
  step(leader, fetched(2, 5, 50))
  t.strictSame(step(leader, { kind: 'ticked', nowMs: LAG_MS }), [], 'not a millisecond early')
  t.strictSame(step(leader, { kind: 'ticked', nowMs: LAG_MS + 1 }), [propose([1, 2])])
  t.strictSame(step(leader, { kind: 'ticked', nowMs: LAG_MS + 9 }), [], 'one proposal at a time')
  t.strictSame(step(leader, { kind: 'isr-decided', isr: [1, 2], partitionEpoch: 8, nowMs: 200 }), [advance(5)])
})

test('a follower stays while it reaches what the leader had at its last fetch', async t => {
  const leader = leaderOf([1, 2])
  step(leader, { kind: 'synced', syncedEndOffset: 10 })
  step(leader, fetched(2, 0, 10))
  step(leader, { kind: 'synced', syncedEndOffset: 20 })
  step(leader, fetched(2, 10, 105))
  t.strictSame(step(leader, { kind: 'ticked', nowMs: 110 }), [], 'it was caught up as of its fetch at 10')
  t.strictSame(step(leader, { kind: 'ticked', nowMs: 111 }), [propose([1])])
})

test('a follower joins at the high watermark, with the broker epoch of its registration', async t => {
  const leader = leaderOf([1, 2], { isr: [1] })
  step(leader, { kind: 'synced', syncedEndOffset: 5 })
  t.strictSame(step(leader, { ...fetched(2, 5), brokerEpoch: 11 } as Input), [], 'an earlier life of broker 2')
  t.strictSame(step(leader, fetched(2, 4)), [], 'too far behind')
  t.strictSame(step(leader, fetched(2, 5)), [propose([1, 2])])
  step(leader, { kind: 'synced', syncedEndOffset: 6 })
  t.equal(leader.highWatermark, 5, 'an open proposal counts as accepted')
  step(leader, { kind: 'isr-refused', proposedAt: 7, nowMs: 2 })
  t.equal(leader.highWatermark, 5, 'refused, but it is caught up: waited for')
  step(leader, { kind: 'brokers-changed', eligible: new Map([[1, 11]]), nowMs: 2 })
  t.equal(leader.highWatermark, 6, 'fenced: not waited for')
})

test('a follower may not join before it has what this reign began with', async t => {
  const leader = leaderOf([1, 2], { isr: [1], end: 8, highWatermark: 3, min: 2 })
  t.strictSame(step(leader, fetched(2, 5)), [])
  t.strictSame(step(leader, fetched(2, 8)), [propose([1, 2])])
})

test('below min ISR nothing is committed', async t => {
  const leader = leaderOf([1, 2, 3], { isr: [1], min: 2 })
  t.ok(isUnderMinIsr(leader))
  t.strictSame(step(leader, { kind: 'synced', syncedEndOffset: 5 }), [])
  t.strictSame(step(leader, { kind: 'configured', minInsyncReplicas: 1, replicaLagTimeMaxMs: LAG_MS }), [advance(5)])
})

test('an answer that newer metadata has overtaken changes nothing', async t => {
  const leader = leaderOf([1, 2])
  step(leader, { kind: 'isr-decided', isr: [1], partitionEpoch: 9, nowMs: 1 })
  step(leader, { kind: 'isr-decided', isr: [1, 2], partitionEpoch: 8, nowMs: 2 })
  t.strictSame([...leader.isr], [1])
})

test('a reassignment changes who follows', async t => {
  const leader = leaderOf([1, 2])
  step(leader, { kind: 'synced', syncedEndOffset: 5 })
  step(leader, fetched(2, 5))
  t.strictSame(step(leader, { kind: 'isr-decided', isr: [1], replicas: [1, 3], partitionEpoch: 8, nowMs: 2 }), [])
  t.strictSame([...leader.followers.keys()], [3])
  t.strictSame(step(leader, fetched(2, 5)), [], 'a broker that is no replica is not heard')
})

test('what the controller answers to an older proposal leaves a newer one open', async t => {
  const leader = leaderOf([1, 2, 3], { isr: [1], end: 5, highWatermark: 5 })
  t.strictSame(step(leader, fetched(2, 5)), [propose([1, 2])])
  // The metadata says first that it was taken; then another one is proposed.
  step(leader, { kind: 'isr-decided', isr: [1, 2], partitionEpoch: 8, nowMs: 2 })
  t.strictSame(step(leader, fetched(3, 5, 2)), [propose([1, 2, 3], 8)])
  step(leader, {
    ...{ kind: 'isr-answered', proposedAt: 7, isr: [1, 2], partitionEpoch: 8 },
    ...{ isRecovering: false, nowMs: 3 }
  })
  t.ok(leader.proposal, 'still open: whoever is elected may be 3')
  step(leader, { kind: 'isr-refused', proposedAt: 7, nowMs: 3 })
  t.ok(leader.proposal)
  step(leader, { kind: 'isr-refused', proposedAt: 8, nowMs: 3 })
  t.notOk(leader.proposal)
  t.strictSame(step(leader, fetched(3, 5, 50)), [], 'refused a moment ago')
  t.strictSame(step(leader, fetched(3, 5, 200)), [propose([1, 2, 3], 8)])
  // Nothing to change: the same partition epoch, and yet an answer.
  step(leader, {
    ...{ kind: 'isr-answered', proposedAt: 8, isr: [1, 2, 3], partitionEpoch: 8 },
    ...{ isRecovering: false, nowMs: 201 }
  })
  t.notOk(leader.proposal)
})

test('a fetch of an earlier life counts neither before nor after the first of the present one (KIP-903)', async t => {
  const leader = leaderOf([1, 2], { isr: [1] })
  step(leader, { kind: 'synced', syncedEndOffset: 5 })
  t.ok(isOfEarlierLife(leader, 2, 11), 'registered as 12')
  step(leader, { ...fetched(2, 5), brokerEpoch: 11 } as Input)
  t.equal(leader.followers.get(2)?.logEndOffset, -1)
  step(leader, { ...fetched(2, 4), brokerEpoch: 13 } as Input)
  t.ok(isOfEarlierLife(leader, 2, 12), 'newer than what the metadata says so far')
  t.notOk(isOfEarlierLife(leader, 2, 13))
  t.notOk(isOfEarlierLife(leader, 2, -1))
  t.equal(leader.proposal, null, 'and may not join before the metadata says so')
})

test('a leader that was elected uncleanly says at once that it is whole', async t => {
  const leader = leaderOf([1, 2], { isr: [1], end: 3 })
  leader.isRecovering = true
  t.strictSame(step(leader, { kind: 'synced', syncedEndOffset: 3 })[0], propose([1]))
  t.strictSame(step(leader, fetched(2, 3)), [], 'one at a time')
  step(leader, {
    ...{ kind: 'isr-answered', proposedAt: 7, isr: [1], partitionEpoch: 8 },
    ...{ isRecovering: false, nowMs: 3 }
  })
  t.strictSame(step(leader, fetched(2, 3, 4)), [propose([1, 2], 8)])
})

test('a smaller set counts when the metadata has brought it, and the settings by which it was taken', async t => {
  const leader = leaderOf([1, 2], { end: 3 })
  step(leader, { kind: 'synced', syncedEndOffset: 3 })
  t.strictSame(step(leader, { kind: 'ticked', nowMs: 100_000 }), [propose([1])])
  const answer = { isr: [1], partitionEpoch: 8, isRecovering: false, nowMs: 100_001 }
  t.strictSame(step(leader, { kind: 'isr-answered', proposedAt: 7, ...answer }), [], 'the answer alone commits nothing')
  t.strictSame(step(leader, { kind: 'ticked', nowMs: 100_002 }), [], 'nor is it proposed again')
  const decided = { kind: 'isr-decided', isr: [1], partitionEpoch: 8, nowMs: 100_003 } as const
  t.strictSame(step(leader, decided), [{ kind: 'advance-high-watermark', to: 3 }])
})

test('nobody who comes back far behind holds up the mark, though it was caught up a moment ago', async t => {
  for (const isNewReign of [false, true]) {
    const leader = leaderOf([1, 2], { end: 5 })
    step(leader, { kind: 'synced', syncedEndOffset: 5 })
    if (!isNewReign) t.strictSame(step(leader, fetched(2, 5)), [advance(5)])
    const eligible = new Map([
      [1, 11],
      [2, 20]
    ])
    step(leader, { kind: 'isr-decided', isr: [1], partitionEpoch: 8, nowMs: 2 })
    step(leader, { kind: 'brokers-changed', eligible, nowMs: 2 })
    step(leader, { ...fetched(2, 0, 3), brokerEpoch: 20 } as Input)
    t.strictSame(step(leader, { kind: 'synced', syncedEndOffset: 6 }), [advance(6)], 'its disk was damaged')
    step(leader, { ...fetched(2, 6, 4), brokerEpoch: 20 } as Input)
    t.ok(leader.proposal, 'once it has caught up it joins')
  }
})

test('nor one that was out of the set already when it was caught up last', async t => {
  const eligible = new Map([[2, 20]])
  const returns = [
    { from: 3, brokerEpoch: 20 },
    { from: 3, brokerEpoch: 12 },
    { from: 5, brokerEpoch: 20 }
  ]
  for (const back of returns) {
    const leader = leaderOf([1, 2], { isr: [1], end: 5 })
    step(leader, { kind: 'synced', syncedEndOffset: 5 })
    step(leader, { kind: 'isr-refused', proposedAt: 7, nowMs: 1 })
    t.strictSame(step(leader, fetched(2, 5, 2)), [])
    t.strictSame(step(leader, { kind: 'synced', syncedEndOffset: 6 }), [], 'it is waited for')
    if (back.brokerEpoch === 20) step(leader, { kind: 'brokers-changed', eligible, nowMs: 3 })
    step(leader, { ...fetched(2, 0, 3), ...back } as Input)
    t.equal(leader.highWatermark, 6, JSON.stringify(back))
    t.strictSame(step(leader, { kind: 'synced', syncedEndOffset: 7 }), [advance(7)])
    step(leader, { ...fetched(2, 7, 4), ...back, from: 7 } as Input)
    t.strictSame(step(leader, { kind: 'synced', syncedEndOffset: 8 }), [], 'caught up again: waited for')
  }
})

test('last stable offset and low watermark', async t => {
  const leader = leaderOf([1, 2])
  step(leader, { kind: 'synced', syncedEndOffset: 5 })
  step(leader, fetched(2, 5))
  t.equal(lastStableOffset(leader, null), 5)
  t.equal(lastStableOffset(leader, 2), 2)
  t.equal(lastStableOffset(leader, 9), 5)
  step(leader, { kind: 'start-offset', logStartOffset: 4 })
  t.equal(lowWatermark(leader), 0, 'the follower still has the older records')
  step(leader, { ...fetched(2, 5), logStartOffset: 4 } as Input)
  t.equal(lowWatermark(leader), 4)
})

/** A controller that decides proposals late, refuses some, and whose answers may get lost. */
interface World {
  leader: Leader
  nowMs: number
  ends: Map<number, number>
  isr: number[]
  partitionEpoch: number
  open: { isr: number[]; partitionEpoch: number } | null
  /** Of the controller, under way to the leader; the metadata may be faster. */
  answers: { proposedAt: number; isr: number[]; partitionEpoch: number }[]
}

type Move = { what: number; who: number; by: number }

function perform(world: World, { what, who, by }: Move): void {
  const { leader } = world
  const id = 2 + (who % 2)
  const see = (input: Input) => {
    for (const effect of step(leader, input)) {
      if (effect.kind === 'propose-isr') {
        assert.equal(world.open, null, 'two proposals open')
        world.open = { isr: effect.isr.map(one => one.brokerId), partitionEpoch: effect.partitionEpoch }
      }
    }
  }
  switch (what) {
    case 0:
      see({ kind: 'appended', logEndOffset: leader.logEndOffset + 1 + by })
      return
    case 1:
      see({ kind: 'synced', syncedEndOffset: Math.min(leader.logEndOffset, leader.syncedEndOffset + by + 1) })
      return
    case 2: {
      // The fetch reports what is synced; the answer brings up to `by` records more.
      const end = world.ends.get(id) as number
      see(fetched(id, end, world.nowMs))
      world.ends.set(id, Math.min(leader.logEndOffset, end + by))
      return
    }
    case 3:
      world.nowMs += by * 40
      see({ kind: 'ticked', nowMs: world.nowMs })
      return
    case 4: {
      // The controller takes the proposal; the leader may hear of it much later.
      if (world.open && world.open.partitionEpoch === world.partitionEpoch) {
        const proposedAt = world.partitionEpoch
        world.isr = world.open.isr
        world.partitionEpoch++
        world.answers.push({ proposedAt, isr: world.isr, partitionEpoch: world.partitionEpoch })
      }
      return
    }
    case 5:
      if (world.partitionEpoch > leader.partitionEpoch) world.open = null
      see({ kind: 'isr-decided', isr: world.isr, partitionEpoch: world.partitionEpoch, nowMs: world.nowMs })
      return
    case 8: {
      const answer = world.answers.shift()
      if (answer === undefined) return
      if (answer.partitionEpoch > leader.partitionEpoch) world.open = null
      see({ kind: 'isr-answered', ...answer, isRecovering: false, nowMs: world.nowMs })
      return
    }
    case 6:
      if (world.open && world.partitionEpoch === leader.partitionEpoch) {
        world.open = null
        see({ kind: 'isr-refused', proposedAt: world.partitionEpoch, nowMs: world.nowMs })
      }
      return
    default:
      see({ kind: 'configured', minInsyncReplicas: 1 + (by % 3), replicaLagTimeMaxMs: LAG_MS })
      return
  }
}

function simulate(moves: readonly Move[]): void {
  const leader = leaderOf([1, 2, 3], { min: 2 })
  const world: World = {
    leader,
    nowMs: 0,
    ends: new Map([
      [2, 0],
      [3, 0]
    ]),
    isr: [1, 2, 3],
    partitionEpoch: 7,
    open: null,
    answers: []
  }
  for (const move of moves) {
    const before = leader.highWatermark
    const wasUnder = isUnderMinIsr(leader)
    perform(world, move)
    assert.ok(leader.highWatermark >= before, 'the high watermark went back')
    assert.ok(leader.highWatermark <= leader.syncedEndOffset, 'committed before the own sync')
    if (leader.highWatermark > before) assert.ok(!wasUnder || !isUnderMinIsr(leader), 'committed below min ISR')
    // Any member of the controller's in-sync set may be elected next.
    for (const id of world.isr) {
      if (id !== 1)
        assert.ok((world.ends.get(id) as number) >= leader.highWatermark, `broker ${id} lacks what is committed`)
    }
  }
  // Healed: everyone fetches, everything is decided, and all is committed.
  perform(world, { what: 7, who: 0, by: 0 })
  for (let round = 0; round < 6; round++) {
    // After a refusal nothing is proposed for a while.
    world.nowMs += 101
    for (const what of [1, 2, 2, 4, 5, 6]) for (const who of [0, 1]) perform(world, { what, who, by: 1000 })
  }
  assert.equal(leader.highWatermark, leader.logEndOffset, 'no progress after healing')
  assert.equal(leader.isr.size, 3, 'followers did not come back')
}

test('followers, controller and clock in any order', async t => {
  const move = fc.record({ what: fc.nat(8), who: fc.nat(1), by: fc.nat(4) })
  fc.assert(
    fc.property(fc.array(move, { maxLength: 150, size: 'max' }), moves => simulate(moves)),
    { numRuns: 2000 }
  )
  t.pass('2000 runs')
})
