// Seeds of the simulated quorum. QUORUM_SEEDS=5000 runs that many, QUORUM_SEED=17 one of them.
import { test } from 'tap'
import { step, toldHighWatermark } from '../../../replication/quorum/step.ts'
import { leaderOf, simulate } from './simulation.ts'
import { World } from './world.ts'

const count = Number(process.env.QUORUM_SEEDS ?? 200)
const one = process.env.QUORUM_SEED

test('a quorum under faults', async t => {
  const seeds = one === undefined ? Array.from({ length: count }, (_, seed) => seed) : [Number(one)]
  let events = 0
  for (const seed of seeds) {
    try {
      events += simulate(seed).events
    } catch (error) {
      t.fail(`seed ${seed}: ${(error as Error).message}`)
    }
  }
  t.pass(`${seeds.length} seeds, ${events} events`)
})

test('a killed leader is replaced, and the new one has committed, well within half a second', async t => {
  let worstMs = 0
  for (let seed = 1; seed <= 50; seed++) {
    const world = new World({ seed, voters: seed % 2 === 0 ? 3 : 5, isFormatted: seed % 3 === 0, step, isCalm: true })
    for (const node of world.nodes) node.start()
    world.runUntil(2_000)
    const leader = leaderOf(world)
    if (leader === undefined) throw new Error(`seed ${seed}: nobody leads after two seconds`)
    const { leads } = leader
    const isReplaced = () => world.nodes.some(node => node.leads > leads && toldHighWatermark(node.quorum) > 0)
    world.crash(leader)
    while (!isReplaced() && world.nowMs < 12_000) world.runUntil(world.nowMs + 1)
    worstMs = Math.max(worstMs, world.nowMs - 2_000)
  }
  t.ok(worstMs < 500, `${worstMs} ms`)
})
