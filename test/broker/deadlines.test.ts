// Deadlines against a plain list of what is due when: none is early, none is later than the granularity allows, none is
// forgotten, and what was cancelled never happens, whatever the lengths and whoever adds from within an expiry.
import { test } from 'tap'
import { Deadlines } from '../../broker/deadlines.ts'
import { SimulatedClock } from './groups/world.ts'

const GRANULARITY_MS = 5
const LATEST_MS = GRANULARITY_MS + 1

function numbers(seed: number): (below: number) => number {
  let state = seed
  return below => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0
    return state % below
  }
}

test('a thousand deadlines of many lengths', async t => {
  for (const seed of [1, 2, 3]) {
    const below = numbers(seed)
    const clock = new SimulatedClock()
    const deadlines = new Deadlines(clock, GRANULARITY_MS)
    const waiting = new Map<number, { dueMs: number; cancel: () => void }>()
    let wrong = ''
    let expired = 0
    const add = (name: number, afterMs: number): void => {
      const dueMs = clock.monotonicMs() + afterMs
      const deadline = deadlines.add(afterMs, () => {
        const nowMs = clock.monotonicMs()
        if (!waiting.delete(name)) wrong = `${name} expired twice, or after it was cancelled`
        if (nowMs < dueMs || nowMs > dueMs + LATEST_MS) wrong = `due at ${dueMs}, expired at ${nowMs}`
        expired++
        // Parked anew from within, as a fetch is.
        if (name % 7 === 0) add(name + 100_000 + below(1_000_000) * 7 + 1, below(50))
      })
      waiting.set(name, { dueMs, cancel: () => deadlines.cancel(deadline) })
    }
    for (let step = 0; step < 1000; step++) {
      // A few lengths that come again and again, and many that come once.
      add(step, [500, 30_000, below(3000), below(3000) + 0.3][below(4)] as number)
      const names = [...waiting.keys()]
      if (below(3) === 0) {
        const name = names[below(names.length)] as number
        waiting.get(name)?.cancel()
        waiting.get(name)?.cancel()
        waiting.delete(name)
      }
      if (below(2) === 0) await clock.advance(below(20))
      const late = [...waiting.values()].find(each => each.dueMs + LATEST_MS < clock.monotonicMs())
      if (late) wrong = `due at ${late.dueMs}, and still there at ${clock.monotonicMs()}`
    }
    t.ok(clock.timerCount <= 1, 'one timer for all')
    await clock.advance(31_000)
    t.equal(wrong, '')
    t.equal(waiting.size, 0, 'nobody is forgotten')
    t.ok(expired > 500)
    t.equal(clock.timerCount, 0, 'and no timer where nobody waits')
  }
})

test('of a crowd that is due at once some expire in each turn, and all in the end', async t => {
  const clock = new SimulatedClock()
  const deadlines = new Deadlines(clock, GRANULARITY_MS)
  let isTurn = false
  const perTurn: number[] = []
  const expire = (): void => {
    if (!isTurn) {
      isTurn = true
      perTurn.push(0)
      // Nothing else waits: what is due next is a turn of its own.
      queueMicrotask(() => {
        isTurn = false
      })
    }
    perTurn.push((perTurn.pop() as number) + 1)
  }
  for (let i = 0; i < 1000; i++) deadlines.add(i % 2 === 0 ? 100 : 100.5, expire)
  await clock.advance(120)
  t.equal(
    perTurn.reduce((sum, each) => sum + each, 0),
    1000
  )
  t.ok(perTurn.length > 3 && Math.max(...perTurn) <= 200, `in turns of ${perTurn}`)
  t.equal(clock.timerCount, 0)
})
