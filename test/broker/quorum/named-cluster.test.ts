// What is heard of a new cluster's id counts as long as somebody says it, and no longer.
import { test } from 'tap'
import { createLogger } from '../../../broker/log.ts'
import { NamedCluster } from '../../../broker/quorum/named-cluster.ts'
import type { Uuid } from '../../../protocol/types.ts'

function listener(own: Uuid | null = null) {
  const lines: string[] = []
  const logger = createLogger({ level: 'info', to: { write: line => lines.push(line) } })
  return { cluster: new NamedCluster({ own: () => own, voters: [1, 2, 3], logger }), lines }
}

test('the id that one voter has is said on, until that voter says otherwise', t => {
  const { cluster, lines } = listener()
  t.same([cluster.clusterId, cluster.forNewCluster, cluster.isNamed], [null, null, false])
  cluster.hear(1, 'a')
  cluster.hear(9, 'z')
  t.same([cluster.clusterId, cluster.forNewCluster, cluster.isNamed], ['a', 'a', true])
  cluster.hear(3, 'b')
  t.same(
    [cluster.clusterId, cluster.forNewCluster, cluster.isNamed],
    [null, 'a', true],
    'they differ: nobody founds it'
  )
  cluster.hear(3, 'b')
  t.equal(lines.length, 1, 'told once')
  cluster.hear(1, null)
  t.same([cluster.clusterId, cluster.forNewCluster, cluster.isNamed], ['b', 'b', true], 'directory 1 was begun anew')
  cluster.hear(3, null)
  t.same([cluster.clusterId, cluster.forNewCluster, cluster.isNamed], [null, null, false], 'so was the other')
  t.end()
})

test('two that only echo what was said do not keep each other in a dispute', t => {
  const [two, three] = [listener().cluster, listener().cluster]
  // Voter 1 was of a, and is of b now; each of the others still has a from the other one.
  two.hear(3, 'a')
  three.hear(2, 'a')
  for (const each of [two, three]) each.hear(1, 'b')
  for (let round = 0; round < 2; round++) {
    three.hear(2, two.clusterId)
    two.hear(3, three.clusterId)
  }
  t.same([two.clusterId, three.clusterId], ['b', 'b'])
  t.end()
})

test('who has an id of its own listens to nobody', t => {
  const { cluster, lines } = listener('own')
  cluster.hear(1, 'a')
  t.same([cluster.clusterId, cluster.forNewCluster, lines], ['own', 'own', []])
  t.end()
})
