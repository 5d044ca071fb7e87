// Goal: no crash, at whatever moment, breaks a promise of the log. Method: seeded life stories (crash-run.ts); any seed
// can be told again with `node build/scripts/crash.js --seed N`.
import { test } from 'tap'
import { crashRun, type Story } from './crash-run.ts'

const SEEDS = 1000

test(`${SEEDS} lives and deaths of a log`, async t => {
  const sum: Story = { crashes: 0, recoveries: 0, truncatedTails: 0, rolls: 0, failures: 0, batches: 0 }
  const broken: string[] = []
  for (let seed = 1; seed <= SEEDS; seed++) {
    try {
      const story = await crashRun(seed)
      for (const key of Object.keys(sum) as (keyof Story)[]) sum[key] += story[key]
    } catch (error) {
      broken.push(`seed ${seed}: ${(error as Error).message.split('\n')[0]}`)
    }
  }
  t.same(broken.slice(0, 5), [])
  t.comment(JSON.stringify(sum))
  for (const key of Object.keys(sum) as (keyof Story)[]) t.ok(sum[key] > SEEDS / 20, `enough ${key}`)
})
