// The replayed state: what was applied can be undone to any committed offset, and what is committed can be looked at
// without that.
import assert from 'node:assert/strict'
import fc from 'fast-check'
import { test } from 'tap'
import type { GroupRecord } from '../../../broker/groups/records.ts'
import { GroupsState, type OffsetsByTopic } from '../../../broker/groups/state.ts'
import { ZERO_UUID } from '../../../protocol/types.ts'

function offset(group: string, topic: string, partition: number, at: number | null): GroupRecord {
  const rest = { leaderEpoch: 0, metadata: '', commitTimestamp: 0, expireTimestamp: -1, topicId: ZERO_UUID }
  return { kind: 'offset', group, topic, partition, value: at === null ? null : { offset: at, ...rest } }
}

test('undo: back to any committed offset', async t => {
  const state = new GroupsState()
  const seen = (): string =>
    [...state.offsetsOf('g')].map(({ topic, partition, value }) => `${topic}:${partition}=${value.offset}`).join(' ')
  state.apply(offset('g', 't', 0, 1), 1)
  state.committed(1)
  state.apply(offset('g', 't', 0, 2), 2)
  state.apply(offset('g', 't', 1, 7), 3)
  state.apply(offset('g', 't', 0, null), 4)
  state.apply(offset('g', 't', 0, 3), 5)
  t.equal(seen(), 't:1=7 t:0=3')
  state.rollback(4)
  t.equal(seen(), 't:1=7')
  state.rollback(2)
  t.equal(seen(), 't:0=2')
  state.committed(2)
  state.rollback(1)
  t.equal(seen(), 't:0=2', 'what is committed stays')
  t.equal(state.offsetCount, 1)
  state.apply({ kind: 'group', group: 'g', value: null }, 6)
  state.apply(offset('g', 't', 0, null), 7)
  state.rollback(2)
  t.equal(seen(), 't:0=2')
})

test('what is committed is shown as a rollback would show it', t => {
  const show = (offsets: OffsetsByTopic | undefined): string[] =>
    [...(offsets ?? [])]
      .flatMap(([topic, partitions]) => [...partitions].map(([index, { offset: at }]) => `${topic}:${index}=${at}`))
      .sort()
  const put = fc.record({
    group: fc.constantFrom('g', 'h'),
    topic: fc.constantFrom('t', 'u'),
    partition: fc.nat(1),
    at: fc.option(fc.nat(9))
  })
  fc.assert(
    fc.property(fc.array(put, { minLength: 1, maxLength: 12 }), fc.nat(12), (puts, upto) => {
      const state = new GroupsState()
      for (const [i, { group, topic, partition, at }] of puts.entries()) {
        state.apply(offset(group, topic, partition, at), i + 1)
      }
      const newest = show(state.offsets.get('g'))
      const committed = show(state.committedOffsets('g', upto))
      assert.deepEqual(show(state.offsets.get('g')), newest, 'it was only looked at')
      state.rollback(upto)
      assert.deepEqual(committed, show(state.offsets.get('g')))
      assert.deepEqual(committed, show(state.committedOffsets('g', upto)))
    }),
    { numRuns: 300 }
  )
  t.pass('300 histories')
  t.end()
})
