// A mirror sees what its log's files have: through cuts, rolls, lives and disks.
import { test } from 'tap'
import { checkComplete } from '../../clients/simulate/checkers/leaders.ts'
import { Ledger } from '../../clients/simulate/ledger.ts'
import { type LogView, Mirror } from '../../clients/simulate/mirror.ts'
import { type Row, Rows, rowAt } from '../../clients/simulate/rows.ts'
import { batch } from './batches.ts'

test('a mirror follows its log through cuts and rolls', t => {
  let segments: { baseOffset: number; bytes: Buffer }[] = [{ baseOffset: 0, bytes: Buffer.alloc(0) }]
  const write = (bytes: Buffer): void => {
    const last = segments.at(-1) as (typeof segments)[number]
    last.bytes = Buffer.concat([last.bytes, bytes])
  }
  const readAt = (path: string, buffer: Buffer, position: number): number =>
    (segments.find(each => String(each.baseOffset) === path)?.bytes ?? Buffer.alloc(0)).copy(buffer, 0, position)
  const view = (end: number): LogView => ({
    ...{ logStartOffset: 0, logEndOffset: end, writtenEndOffset: end, durableEndOffset: end, isOffline: false },
    segments: segments.map(({ baseOffset, bytes }) => {
      return { baseOffset, file: { path: String(baseOffset) }, writtenBytes: bytes.length }
    })
  })
  const mirror = new Mirror('x', new Rows('x'))
  const gone: Row[] = []
  const look = (end: number): number[] => {
    mirror.update(view(end), readAt, rows => gone.push(...rows))
    return mirror.rows.map(each => each.base)
  }
  write(batch({ base: 0 }))
  write(batch({ base: 1, count: 2 }))
  t.same(look(3), [0, 1])
  segments.push({ baseOffset: 3, bytes: batch({ base: 3 }) })
  t.same(look(4), [0, 1, 3])
  // Cut to 1 and written again in an earlier segment, between two looks.
  segments = [{ baseOffset: 0, bytes: Buffer.concat([batch({ base: 0 }), batch({ base: 1, epoch: 2, count: 5 })]) }]
  t.same(look(6), [0, 1])
  t.same(
    gone.map(each => each.base),
    [1, 3]
  )
  write(batch({ base: 7, epoch: 2 }))
  t.throws(() => look(8), /^contiguous-log: /, 'a gap')
  t.end()
})

test('what an earlier life had synced stays synced, unless the disk is another or it is cut off', t => {
  let bytes: Buffer = Buffer.alloc(0)
  const readAt = (_: string, into: Buffer, position: number): number => bytes.copy(into, 0, position)
  const mirror = new Mirror('x', new Rows('x'))
  const look = (end: number, durableEndOffset: number): number => {
    const segments = [{ baseOffset: 0, file: { path: '0' }, writtenBytes: bytes.length }]
    const ends = { logStartOffset: 0, logEndOffset: end, writtenEndOffset: end, durableEndOffset, isOffline: false }
    mirror.update({ ...ends, segments }, readAt, () => {})
    return mirror.syncedEnd
  }
  bytes = Buffer.concat([batch({ base: 0 }), batch({ base: 1 }), batch({ base: 2 })])
  t.equal(look(3, 2), 2)
  mirror.reread()
  t.equal(look(3, 0), 2, 'the next life knows less')
  t.equal(look(3, 3), 3)
  mirror.reread()
  bytes = batch({ base: 0 })
  t.equal(look(1, 0), 1, 'no more than is there')
  bytes = Buffer.concat([bytes, batch({ base: 1, epoch: 2 })])
  t.equal(look(2, 0), 1, 'and what comes anew is not synced')
  mirror.damaged(2)
  t.equal(look(2, 0), 0, 'another disk')
  t.end()
})

test('a log that begins at a snapshot, with nothing behind it, ends there', t => {
  const mirror = new Mirror('x', new Rows('x'), true)
  const ends = { logStartOffset: 7, logEndOffset: 7, writtenEndOffset: 7, durableEndOffset: 7, isOffline: false }
  mirror.update(
    { ...ends, segments: [] },
    () => 0,
    () => {}
  )
  t.equal(mirror.end, 7)
  t.equal(mirror.syncedEnd, 7)
  const ledger = new Ledger({ name: 'x', topic: 'x', copies: 2, isOfWriters: false, nodeIds: [1] })
  ledger.rows.push(rowAt(batch({ base: 6 }), 0))
  t.doesNotThrow(() => checkComplete(ledger, mirror, 2), 'what is committed below lies in the snapshot')
  t.end()
})
