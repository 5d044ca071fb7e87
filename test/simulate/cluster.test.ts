// Goal: three real brokers on simulated machines elect, replicate and survive whatever happens to one of them at a time: all
// that was acknowledged is read afterwards, a death that can be noticed costs less than a second, and the story replays.
import { test } from 'tap'
import { World } from '../../clients/simulate/world.ts'
import { FAULTS, tellOfCluster } from './cluster-story.ts'

/** Hints (a reset or a refused connection) make these short; silence must wait for sessions and time-outs (6 s, 2 s). */
const NOTICED = ['kill', 'crash', 'stop', 'reset'] as const
const SILENT = ['power-off', 'pause', 'isolate', 'one-way'] as const

test('three nodes form a cluster, and one seed is one story', async t => {
  const world = new World({ seed: 5, brokers: 3 })
  await world.start()
  t.ok(world.nowMs < 1000, `in ${world.nowMs} ms`)
  await world.run(1000)
  const images = world.nodes.map(({ broker }) => broker!.services.metadata.image)
  for (const { brokers } of images) t.same([...brokers.values()].map(each => each.fenced).sort(), [false, false, false])
  t.equal(new Set(world.nodes.map(({ broker }) => broker!.clusterId)).size, 1)
  world.end()
  const first = await tellOfCluster({ seed: 21, rounds: 2, longestMs: 3000 })
  t.same(await tellOfCluster({ seed: 21, rounds: 2, longestMs: 3000 }), first)
})

test('deaths that can be noticed: nothing is lost, and nobody waits for a second', async t => {
  for (let seed = 1; seed <= 3; seed++) {
    const story = await tellOfCluster({ seed, rounds: 3, faults: NOTICED, longestMs: 3000 })
    t.same(story.lost, [], `seed ${seed}: ${story.faults.join(', ')}`)
    t.ok(story.longestGapMs < 1000, `seed ${seed}: ${story.longestGapMs} ms; ${story.faults.join(', ')}`)
    t.ok(story.acked > 100)
  }
})

test('silence: nothing is lost, and it goes on once sessions have ended', async t => {
  for (let seed = 1; seed <= 3; seed++) {
    const story = await tellOfCluster({ seed, rounds: 3, faults: SILENT })
    t.same(story.lost, [], `seed ${seed}: ${story.faults.join(', ')}`)
    t.ok(story.longestGapMs < 15_000, `seed ${seed}: ${story.longestGapMs} ms; ${story.faults.join(', ')}`)
  }
})

test('any of them, one after the other', async t => {
  for (let seed = 100; seed < 102; seed++) {
    const story = await tellOfCluster({ seed, rounds: 5, faults: FAULTS })
    t.same(story.lost, [], `seed ${seed}: ${story.faults.join(', ')}`)
  }
})
