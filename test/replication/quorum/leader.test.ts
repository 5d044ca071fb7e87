// What a leader of the quorum remembers of those who fetch has an end, whoever they say that they are.
import { test } from 'tap'
import { Node } from './driver.ts'

test('observers: no more are remembered than there can be, and none for ever', t => {
  const node = new Node(3, {}, 10, 4)
  node.tick()
  for (const phase of ['prospective', 'candidate']) {
    t.equal(node.role, phase)
    node.answered(2, true)
  }
  const known = () => (node.quorum.role.kind === 'leader' ? node.quorum.role.replicas.size : 0)
  t.equal(known(), 2, 'both other voters')
  for (let id = 100; id < 5000; id++) node.fetched(id, 0)
  t.equal(known(), 3 + 1000, 'anybody may say any number')
  node.nowMs += 300_001
  node.fetched(9, 0)
  t.equal(known(), 3, 'both voters, and the one that was there lately')
  t.end()
})
