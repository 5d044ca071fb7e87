// Goal: a broker that is killed in the middle of a produce run loses nothing that it had acked, and stores nothing twice.
// A few rounds here; scripts/kill.ts runs as many as one likes.
import { test } from 'tap'
import { killRounds } from './kill-rounds.ts'

test('kill -9 in the middle of produce runs', async t => {
  const report = await killRounds({ directory: `${t.testdir()}/data`, rounds: 4, producers: 3, random: Math.random })
  t.same(report.violations, [])
  t.ok(report.acked > 0, `${report.acked} acked, ${report.stored} stored, ${report.commits} commits`)
  t.ok(report.stored >= report.acked)
  t.ok(report.commits > 0)
})
