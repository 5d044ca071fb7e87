// A long list in slices: no turn visits more than so many, or for longer than a few milliseconds, and who is gone is not visited.
import { test } from 'tap'
import type { Clock } from '../../broker/clock.ts'
import { inSlices } from '../../broker/slices.ts'

test('a list is visited in order, so many in a turn, fewer where each takes its time', async t => {
  let nowMs = 0
  const due: (() => void)[] = []
  const clock: Clock = {
    nowMs: () => nowMs,
    monotonicMs: () => nowMs,
    after: () => ({ cancel() {} }),
    endOfTurn: fn => void due.push(fn)
  }
  const endTurn = async (): Promise<void> => {
    for (const fn of due.splice(0)) fn()
    await Promise.resolve()
  }
  const visited: number[] = []
  const list = new Set(Array.from({ length: 600 }, (_, index) => index))
  let isOver = false
  const all = inSlices(clock, list, each => {
    visited.push(each)
    if (each >= 512) nowMs += 2
  }).then(() => {
    isOver = true
  })
  t.equal(visited.length, 256, 'the first slice belongs to the turn of the call')
  list.delete(300)
  await endTurn()
  t.equal(visited.length, 512)
  t.notOk(visited.includes(300))
  await endTurn()
  t.same(visited.slice(512), [513, 514, 515], 'more than four milliseconds')
  t.equal(isOver, false)
  while (due.length > 0) await endTurn()
  await all
  t.equal(visited.length, 599)
  t.same(visited, [...list])

  const few: number[] = []
  await inSlices(clock, [1, 2, 3], each => void few.push(each))
  t.same(few, [1, 2, 3])
  t.equal(due.length, 0, 'a short list takes no other turn')
})
