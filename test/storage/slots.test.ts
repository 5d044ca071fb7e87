// Work that never waits must not keep the event loop, and never more pieces run at a time than there are slots.
import { test } from 'tap'
import { Slots } from '../../storage/slots.ts'
import { TestClock } from './log-fixture.ts'

/** Everything that waits for no turn of the clock. */
const settled = (): Promise<void> => new Promise(resolve => setImmediate(resolve))

test('pieces that are done at once leave the loop to others after four milliseconds', async t => {
  const clock = new TestClock()
  const slots = new Slots(16, clock)
  let done = 0
  const piece = async () => {
    clock.ms += 1.25
    done++
  }
  const all = Promise.all(Array.from({ length: 20 }, () => slots.run(piece)))
  await settled()
  t.equal(done, 4, 'the fifth would begin after 5 ms')
  clock.endTurn()
  await settled()
  t.equal(done, 8)
  for (let turn = 0; turn < 5; turn++) {
    clock.endTurn()
    await settled()
  }
  await all
  t.equal(done, 20)
})

test('so many at a time, in the order of their coming, and a failure gives its place back', async t => {
  const slots = new Slots(2, new TestClock())
  const started: number[] = []
  const ends: (() => void)[] = []
  const runs = [0, 1, 2, 3].map(index =>
    slots.run(async () => {
      started.push(index)
      await new Promise<void>(resolve => ends.push(resolve))
      if (index === 0) throw new Error('refused')
    })
  )
  const outcomes = Promise.allSettled(runs)
  await settled()
  t.same(started, [0, 1])
  ends.shift()?.()
  await settled()
  t.same(started, [0, 1, 2])
  for (let turn = 0; turn < 3; turn++) {
    ends.shift()?.()
    await settled()
  }
  t.same(
    (await outcomes).map(each => each.status),
    ['rejected', 'fulfilled', 'fulfilled', 'fulfilled']
  )
})
