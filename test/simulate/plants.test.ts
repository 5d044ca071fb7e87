// The simulator sees bugs: three of those in planted.ts, each in a copy of the program, within the seeds that README.md names.
// All of them: `node build/test/simulate/plants.js`.
import { test } from 'tap'
import { PLANTS } from './planted.ts'
import { BUILD, placeOf, plant, search } from './plants.ts'

const QUICK = [
  'truncate to the high watermark',
  'a follower counts what it has not synced',
  'serve above the high watermark'
]

for (const name of QUICK) {
  test(name, async t => {
    const planted = PLANTS.find(each => each.name === name)
    if (planted === undefined) throw new Error(`no plant has the name ${name}`)
    const tree = t.testdir()
    plant(planted, tree, BUILD)
    const { seeds, invariant } = await search(planted, tree, { firstSeed: 1, seeds: 5, ms: 60_000 })
    t.not(seeds, null, 'a checker sees it')
    t.not(invariant, 'progress')
  })
}

test('each plant has its place', t => {
  t.ok(PLANTS.length >= 20)
  for (const { name, changes } of PLANTS) {
    for (const change of changes) t.doesNotThrow(() => placeOf(name, change))
  }
  t.end()
})

test('a plant whose place is gone is told', t => {
  const gone = { name: 'x', changes: [{ file: 'replication/leader.js', find: 'no such line', replace: '' }] }
  t.throws(() => plant(gone, t.testdir(), BUILD), /found 0 times in replication\/leader\.js/)
  t.end()
})
