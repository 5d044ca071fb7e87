// Who waits for a partition: one who comes alone is woken at once, a crowd in rounds; those woken in one turn look together.
import { test } from 'tap'
import type { Clock } from '../../broker/clock.ts'
import { Consumers, Looks, Readers, readersOf, type Waiting } from '../../broker/readers.ts'

/** Time that is moved by hand, and the end of the turn. */
function handClock() {
  let nowMs = 1000
  let timers: { dueMs: number; fn: () => void }[] = []
  let atEnd: (() => void)[] = []
  const clock: Clock = {
    nowMs: () => nowMs,
    monotonicMs: () => nowMs,
    after(ms, fn) {
      const timer = { dueMs: nowMs + ms, fn }
      timers.push(timer)
      return {
        cancel() {
          timers = timers.filter(each => each !== timer)
        }
      }
    },
    endOfTurn: fn => void atEnd.push(fn)
  }
  return {
    clock,
    timers: () => timers.length,
    advance(ms: number) {
      nowMs += ms
      const due = timers.filter(each => each.dueMs <= nowMs)
      timers = timers.filter(each => each.dueMs > nowMs)
      for (const each of due) each.fn()
    },
    endTurn() {
      const due = atEnd
      atEnd = []
      for (const each of due) each()
      return due.length
    }
  }
}

/** One that leaves its readers when it is woken, and counts. */
class Reader implements Waiting {
  wakes = 0
  looks = 0
  readonly #among: Readers

  constructor(among: Readers) {
    this.#among = among
    among.add(this)
  }

  again(): void {
    this.#among.add(this)
  }

  wake(): void {
    this.#among.delete(this)
    this.wakes++
  }

  look(): void {
    this.looks++
  }
}

const wakesOf = (readers: readonly Reader[]) => readers.map(each => each.wakes)

test('a few consumers are woken by every move', async t => {
  const { clock, timers } = handClock()
  const consumers = new Consumers(clock)
  const few = Array.from({ length: 7 }, () => new Reader(consumers))
  for (let end = 1; end <= 3; end++) {
    consumers.moved(end)
    t.same(wakesOf(few), Array(7).fill(end))
    t.equal(consumers.restMs(end), 0)
    for (const each of few) each.again()
  }
  t.equal(timers(), 0)
})

test('a crowd is woken at once after a rest, and in rounds while much moves', async t => {
  const { clock, timers, advance } = handClock()
  const consumers = new Consumers(clock)
  const crowd = Array.from({ length: 20 }, () => new Reader(consumers))
  consumers.moved(10)
  t.same(wakesOf(crowd), Array(20).fill(1), 'at once')
  t.equal(consumers.restMs(9), 0, 'who is behind the round is served')
  t.ok(consumers.restMs(10) > 0, 'who has what it brought waits')
  for (const each of crowd.slice(0, 15)) each.again()
  for (const each of crowd.slice(15)) consumers.addResting(each)
  for (let end = 11; end < 15; end++) consumers.moved(end)
  t.same(wakesOf(crowd), Array(20).fill(1), 'nobody is woken in the rest')
  t.equal(timers(), 1)
  advance(consumers.restMs(15))
  t.same(wakesOf(crowd), Array(20).fill(2), 'all in one round')
  t.ok(consumers.restMs(14) > 0)
  t.equal(consumers.restMs(13), 0)
  advance(100)
  for (const each of crowd.slice(0, 3)) each.again()
  consumers.moved(20)
  t.same(wakesOf(crowd.slice(0, 3)), [3, 3, 3], 'a crowd that is gone')
  t.equal(consumers.restMs(20), 0)
  t.equal(timers(), 0)
})

test('one who rests is woken though nothing moves, and by what is no move in the rest', async t => {
  const { clock, advance } = handClock()
  const consumers = new Consumers(clock)
  const crowd = Array.from({ length: 50 }, () => new Reader(consumers))
  consumers.moved(1)
  const late = new Reader(new Readers())
  consumers.addResting(late)
  t.equal(consumers.restMs(1), 5, 'the longest rest')
  advance(5)
  t.equal(late.wakes, 1)
  for (const each of crowd) each.again()
  consumers.moved(2)
  for (const each of crowd) each.again()
  consumers.wake()
  t.same(wakesOf(crowd), Array(50).fill(3), 'leadership, the log start')
})

test('those woken in one turn look at its end, in one callback', async t => {
  const { clock, endTurn } = handClock()
  const looks = new Looks(clock)
  const readers = [new Reader(new Readers()), new Reader(new Readers())]
  for (const each of readers) looks.add(each)
  t.equal(endTurn(), 1)
  t.same(
    readers.map(each => each.looks),
    [1, 1]
  )
  t.equal(endTurn(), 0)
  looks.add(readers[0] as Reader)
  t.equal(endTurn(), 1, 'and again in a later turn')
})

test('a signal wakes whoever waits for it, with one listener', async t => {
  const abort = new AbortController()
  const readers = readersOf(abort.signal)
  t.equal(readersOf(abort.signal), readers)
  const [one, gone] = [new Reader(readers), new Reader(readers)]
  readers.delete(gone)
  abort.abort()
  t.same([one.wakes, gone.wakes], [1, 0])
})
