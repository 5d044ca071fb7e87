// Seeds of the simulated quorum. QUORUM_SEEDS=5000 runs that many, QUORUM_SEED=17 one of them.
import { test } from 'tap'
import { simulate } from './simulation.ts'

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
