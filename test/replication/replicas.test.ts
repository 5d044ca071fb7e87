// Goal: whatever three replicas go through, what was committed stays; healed, all logs are one.
import assert from 'node:assert/strict'
import fc from 'fast-check'
import { test } from 'tap'
import { Cluster, perform } from './replicas.ts'

test('crashes, elections and late requests in any order', async t => {
  const move = fc.record({ what: fc.nat(13), who: fc.nat(2), by: fc.nat(4) })
  let commits = 0
  fc.assert(
    fc.property(fc.array(move, { maxLength: 200, size: 'max' }), moves => {
      const cluster = new Cluster()
      for (const each of moves) {
        perform(cluster, each)
        cluster.check()
      }
      commits += cluster.committed.length
      // Healed: everybody hears, fetches and syncs, one fetch at a time.
      for (const node of cluster.nodes) node.inbox = []
      for (let round = 0; round < 60; round++) {
        cluster.nowMs += 30
        for (const what of [8, 2, 4, 6, 9]) for (const who of [0, 1, 2]) perform(cluster, { what, who, by: 9 })
        cluster.check()
      }
      for (const node of cluster.nodes) assert.deepEqual(node.items, cluster.committed, `broker ${node.id} is not one`)
      assert.equal(cluster.isr.length, 3, 'somebody did not come back')
    }),
    { numRuns: 1500 }
  )
  t.ok(commits > 300, `${commits} records were committed`)
})
