// The metadata quorum: a sole voter elects itself in a new epoch at each start; with several, the same state counts a
// majority of synced ends and commits nothing of earlier epochs before its own.
import { test } from 'tap'
import { ZERO_UUID } from '../../protocol/types.ts'
import { createQuorum, type Effect, type Quorum, step } from '../../replication/quorum/quorum.ts'

const voters = (...ids: number[]) => ids.map(id => ({ id, directoryId: ZERO_UUID }))
const advance = (to: number): Effect => ({ kind: 'advance-high-watermark', to })

test('a sole voter leads a new epoch at each start, once that is on the disk', async t => {
  const quorum = createQuorum(1, voters(1), { leaderEpoch: 6, leaderId: 1, votedId: -1 })
  t.strictSame(step(quorum, { kind: 'started', logEndOffset: 40 }), [
    { kind: 'store', epoch: 7, leaderId: 1, votedId: -1 }
  ])
  t.not(quorum.role.kind, 'leader', 'not before the epoch is stored')
  t.strictSame(step(quorum, { kind: 'stored', epoch: 6, logEndOffset: 40 }), [], 'of another epoch')
  t.strictSame(step(quorum, { kind: 'stored', epoch: 7, logEndOffset: 40 }), [
    { kind: 'lead', epoch: 7, grantingVoters: [1] }
  ])
  t.equal(quorum.highWatermark, -1)
  t.strictSame(
    step(quorum, { kind: 'synced', syncedEndOffset: 40 }),
    [],
    'records of earlier epochs wait for one of this'
  )
  t.strictSame(step(quorum, { kind: 'synced', syncedEndOffset: 41 }), [advance(41)])
  t.strictSame(step(quorum, { kind: 'synced', syncedEndOffset: 41 }), [])
  t.strictSame(step(quorum, { kind: 'synced', syncedEndOffset: 45 }), [advance(45)])
})

test('the first start of all is epoch 1', async t => {
  const quorum = createQuorum(3, voters(3), null)
  t.strictSame(step(quorum, { kind: 'started', logEndOffset: 0 }), [
    { kind: 'store', epoch: 1, leaderId: 3, votedId: -1 }
  ])
})

test('one of three does not elect itself', async t => {
  const quorum = createQuorum(1, voters(1, 2, 3), null)
  t.strictSame(step(quorum, { kind: 'started', logEndOffset: 0 }), [])
  t.equal(quorum.role.kind, 'unattached')
})

function leading(ids: number[], epochStartOffset: number): Quorum {
  const quorum = createQuorum(ids[0] as number, voters(...ids), null)
  quorum.epoch = 4
  const ends = new Map(ids.map(id => [id, -1]))
  quorum.role = { kind: 'leader', grantingVoters: ids, epochStartOffset, ends }
  return quorum
}

test('a majority of synced ends is the high watermark', async t => {
  const quorum = leading([1, 2, 3], 10)
  t.strictSame(step(quorum, { kind: 'synced', syncedEndOffset: 20 }), [], 'the leader alone is none')
  t.strictSame(step(quorum, { kind: 'fetched', by: 2, from: 10 }), [], 'not past the epoch start')
  t.strictSame(step(quorum, { kind: 'fetched', by: 2, from: 15 }), [advance(15)])
  t.strictSame(step(quorum, { kind: 'fetched', by: 9, from: 20 }), [], 'an observer is not counted')
  t.strictSame(step(quorum, { kind: 'fetched', by: 3, from: 30 }), [advance(20)])
  t.strictSame(step(quorum, { kind: 'fetched', by: 3, from: 5 }), [], 'never back')
  t.equal(quorum.highWatermark, 20)
  const four = leading([1, 2, 3, 4], 0)
  step(four, { kind: 'synced', syncedEndOffset: 9 })
  t.strictSame(step(four, { kind: 'fetched', by: 2, from: 9 }), [], 'two of four are no majority')
  t.strictSame(step(four, { kind: 'fetched', by: 3, from: 7 }), [advance(7)])
})

test('who resigned commits nothing more', async t => {
  const quorum = leading([1], 0)
  step(quorum, { kind: 'resigned' })
  t.strictSame(step(quorum, { kind: 'synced', syncedEndOffset: 5 }), [])
  t.equal(quorum.leaderId, -1)
})
