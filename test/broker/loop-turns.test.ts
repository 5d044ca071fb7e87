// Goal: a turn counts for the processor time that it took, not for how long it waited for events or for a processor.
import { test } from 'tap'
import { LoopTurns, systemLoop, TURN_BUCKETS_MS } from '../../broker/loop-turns.ts'

/** A loop whose turns are made by hand. */
function handMade() {
  const now = { ms: 0, idleMs: 0, cpuMs: 0 }
  let reads = 0
  let hook: (() => void) | null = null
  const long: number[] = []
  const turns = new LoopTurns(
    {
      monotonicMs: () => now.ms,
      idleMs: () => now.idleMs,
      cpuMs: () => {
        reads++
        return now.cpuMs
      },
      everyTurn: fn => {
        hook = fn
        return { cancel: () => (hook = null) }
      }
    },
    ms => long.push(ms)
  )
  return {
    turns,
    long,
    reads: () => reads,
    isHooked: () => hook !== null,
    turn(o: { idleMs?: number; cpuMs: number; stolenMs?: number; othersMs?: number }) {
      const { idleMs = 0, cpuMs, stolenMs = 0, othersMs = 0 } = o
      now.ms += idleMs + cpuMs + stolenMs
      now.idleMs += idleMs
      now.cpuMs += cpuMs + othersMs
      hook?.()
    }
  }
}

test('what a turn is charged for', async t => {
  const { turns, turn, long, isHooked } = handMade()
  turns.start()
  turn({ idleMs: 5000, cpuMs: 1 })
  t.equal(turns.longestMs, 1, 'waiting for events is none of it')
  turn({ cpuMs: 2, stolenMs: 60 })
  t.ok(turns.longestMs >= 2 && turns.longestMs <= 4, 'nor is waiting for a processor')
  turn({ cpuMs: 3, othersMs: 50 })
  t.ok(turns.longestMs <= 4, 'nor what other threads did meanwhile')
  turn({ idleMs: 100, cpuMs: 12 })
  t.equal(turns.longestMs, 12)
  turn({ cpuMs: 2000, stolenMs: 300 })
  t.equal(turns.longestMs, 2000)
  t.same(long, [12, 2000])
  t.equal(turns.longMs, 2012)
  t.equal(turns.count, 5)
  t.equal(
    turns.counts.reduce((sum, each) => sum + each),
    5
  )
  t.equal(turns.counts[TURN_BUCKETS_MS.length], 1)
  t.equal(turns.counts[TURN_BUCKETS_MS.indexOf(15)], 1)
  turns.stop()
  t.notOk(isHooked())
})

test('the accounting is asked seldom', async t => {
  const { turns, turn, reads } = handMade()
  turns.start()
  for (let i = 0; i < 1000; i++) turn({ idleMs: 1, cpuMs: 0.05 })
  t.ok(reads() < 40, `${reads()} times in 1,000 turns`)
})

test('the loop of this process is watched without being kept busy', async t => {
  let turns = 0
  const hook = systemLoop.everyTurn(() => turns++)
  const [idleMs, cpuMs] = [systemLoop.idleMs(), systemLoop.cpuMs()]
  for (let i = 0; i < 10; i++) await new Promise(resolve => setTimeout(resolve, 5))
  t.ok(turns >= 5, 'every turn')
  t.ok(turns < 1000, 'and no turns of its own')
  t.ok(systemLoop.idleMs() > idleMs, 'the loop has waited')
  t.ok(systemLoop.cpuMs() >= cpuMs)
  hook.cancel()
  const last = turns
  await new Promise(resolve => setTimeout(resolve, 5))
  t.equal(turns, last)
})
