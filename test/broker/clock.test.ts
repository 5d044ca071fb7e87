// The end of a turn: everything that is due, what that brings with it, and no more of it than leaves the loop its turns.
import { test } from 'tap'
import { systemClock } from '../../broker/clock.ts'

test('the end of a turn', async t => {
  const order: string[] = []
  await new Promise<void>(resolve => {
    systemClock.endOfTurn(() => {
      order.push('write')
      systemClock.endOfTurn(() => {
        order.push('answer')
        systemClock.endOfTurn(() => order.push('send'))
      })
    })
    systemClock.endOfTurn(() => order.push('write another'))
    setImmediate(() => {
      order.push('next')
      resolve()
    })
  })
  t.same(order, ['write', 'write another', 'answer', 'send', 'next'])
})

test('who goes on and on leaves the loop its turns', async t => {
  let isOver = false
  let count = 0
  const again = (): void => {
    count++
    if (!isOver) systemClock.endOfTurn(again)
  }
  again()
  for (let turn = 0; turn < 3; turn++) await new Promise<void>(resolve => setImmediate(resolve))
  isOver = true
  t.ok(count > 1)
  const last = count
  await new Promise<void>(resolve => systemClock.endOfTurn(resolve))
  t.ok(count <= last + 1)
})
