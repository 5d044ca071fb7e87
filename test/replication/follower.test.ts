// The follower of one partition, case by case. Beside its leader and others: replicas.test.ts.
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
