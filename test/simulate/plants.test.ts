// The simulator sees bugs: three of those in planted.ts, each in a copy of the program, within the seeds that README.md names.
// All of them: `node build/test/simulate/plants.js`.
import { test } from 'tap'
import { PLANTS, type Plant } from './planted.ts'
import { BUILD, controlsOf, placeOf, plant, search, verdictOf } from './plants.ts'

const QUICK = [
  'truncate to the high watermark',
  'a follower counts what it has not synced',
  'serve above the high watermark'
]

/** Seeds that the slowest of them took. */
let furthest = 1

for (const name of QUICK) {
  test(name, async t => {
    const planted = PLANTS.find(each => each.name === name)
    if (planted === undefined) throw new Error(`no plant has the name ${name}`)
    const tree = t.testdir()
    plant(planted, tree, BUILD)
    const { seeds, invariant } = await search(planted, tree, { firstSeed: 1, seeds: 5, ms: 60_000 })
    t.not(seeds, null, 'a checker sees it')
    t.ok(invariant !== null && planted.expected.includes(invariant), `as what it is, not as ${invariant}`)
    furthest = Math.max(furthest, seeds ?? 0)
  })
}

test('a control: without a plant the same seeds break nothing', async t => {
  const { seeds, message } = await search(PLANTS[0] as Plant, BUILD, { firstSeed: 1, seeds: furthest, ms: 60_000 })
  t.equal(seeds, null, message)
})

test('what is seen as something else is not caught, nor what is not seen', t => {
  const planted = { name: 'x', expected: ['one-leader', 'complete-leader'], changes: [] } satisfies Plant
  const caught = { plant: 'x', seeds: 1, invariant: 'complete-leader', message: 'told' } as const
  t.same(verdictOf(planted, caught), { holds: true, line: 'x: 1 seeds, told' })
  const start = verdictOf(planted, { ...caught, invariant: 'healthy-broker' })
  t.notOk(start.holds)
  t.match(start.line, /SEEN AS ANOTHER: healthy-broker, not one-leader or complete-leader/)
  t.same(verdictOf(planted, { ...caught, seeds: null, invariant: null }), { holds: false, line: 'x: NOT SEEN' })
  t.end()
})

test('the control has the options of each plant, and goes as far as it took', t => {
  const all = { name: 'all', expected: [], changes: [] }
  const few = { ...all, name: 'few', kinds: ['kill'] } satisfies Plant
  const controls = (...caught: [Plant, number | null][]) =>
    controlsOf(caught, 50).map(([plant, seeds]) => [plant.kinds ?? 'all', seeds])
  t.same(controls([all, 3], [few, 7], [few, 2], [all, null]), [
    ['all', 50],
    [['kill'], 7]
  ])
  t.same(controls([all, 60], [few, null]), [['all', 60]])
  t.end()
})

test('each plant has its place', t => {
  t.ok(PLANTS.length >= 20)
  for (const { name, changes } of PLANTS) {
    for (const change of changes) t.doesNotThrow(() => placeOf(name, change))
  }
  t.end()
})

test('a plant whose place is gone is told', t => {
  const gone = {
    name: 'x',
    expected: [],
    changes: [{ file: 'replication/leader.js', find: 'no such line', replace: '' }]
  }
  t.throws(() => plant(gone, t.testdir(), BUILD), /found 0 times in replication\/leader\.js/)
  t.end()
})
