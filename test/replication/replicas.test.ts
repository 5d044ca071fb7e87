// Goal: whatever three replicas go through, what was committed stays; healed, all logs are one.
import assert from 'node:assert/strict'
import fc from 'fast-check'
import { test } from 'tap'
import { Cluster, perform } from './replicas.ts'

/** Everybody hears, fetches and syncs, one fetch at a time. */
function heal(cluster: Cluster): void {
  for (const node of cluster.nodes) node.inbox = []
  for (let round = 0; round < 60; round++) {
    cluster.nowMs += 30
    for (const what of [8, 2, 4, 6, 9]) for (const who of [0, 1, 2]) perform(cluster, { what, who, by: 9 })
    cluster.check()
  }
  for (const node of cluster.nodes) assert.deepEqual(node.items, cluster.committed, `broker ${node.id} is not one`)
  assert.equal(cluster.isr.length, 3, 'somebody did not come back')
}

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
      heal(cluster)
    }),
    { numRuns: 1500 }
  )
  t.ok(commits > 300, `${commits} records were committed`)
})

test('an answer from before the log was cut, when it has grown to the same end again', async t => {
  const cluster = new Cluster()
  const moves = [
    ...[
      [8, 0],
      [0, 0],
      [0, 0],
      [2, 0, 1],
      [10, 2, 1],
      [8, 2],
      [8, 0],
      [0, 2],
      [0, 2]
    ],
    ...[
      [4, 0],
      [12, 0],
      [6, 0],
      [4, 0],
      [6, 0],
      [2, 0, 1],
      [13, 0],
      [4, 0],
      [6, 0]
    ]
  ]
  for (const [what = 0, who = 0, by = 0] of moves) perform(cluster, { what, who, by })
  const [follower, , leader] = cluster.nodes
  t.equal(leader?.leader?.followers.get(1)?.logEndOffset, 2, 'the leader counts on it')
  t.same(
    follower?.items.map(item => item.epoch),
    [2, 2]
  )
  heal(cluster)
})
