// Goal: what one node's disk lost or damaged costs that node time, and the cluster nothing: no vote is given that a lost
// log would have denied, and no bad file of one node ends another.
import { test } from 'tap'
import { formed, leaderOf, METADATA, type QuorumNode, type QuorumWorld, SMALL } from './quorum-world.ts'

const EPOCH_FILE = '/disk/data/moldau-broker-epoch'

/** Committed by the leader and one other; the third, the stale one, is cut off and has it not. */
async function committedByTwo(seed: number): Promise<{ world: QuorumWorld; leader: QuorumNode; keeper: QuorumNode }> {
  const world = await formed({ seed })
  const leader = leaderOf(world)
  const [keeper, stale] = world.followers as [QuorumNode, QuorumNode]
  stale.kill()
  leader.append('committed')
  if (!(await world.waitFor(() => keeper.topics.includes('committed')))) throw new Error('not committed')
  for (const node of [leader, keeper]) node.kill()
  // Every broker of a cluster has registered.
  await keeper.withDisk(files => files.writeFileAtomically(EPOCH_FILE, Buffer.from('7\n')))
  return { world, leader, keeper }
}

test('who lost its vote or its records helps nobody to be elected who lacks what it had acknowledged', async t => {
  const losses: [string, readonly string[]][] = [
    ['the vote', ['quorum-state']],
    ['the records', ['00000000000000000000.log']],
    ['all of it', ['quorum-state', '00000000000000000000.log', 'partition.metadata']]
  ]
  for (const [what, lost] of losses) {
    const { world, leader, keeper } = await committedByTwo(lost.length + 30)
    await keeper.withDisk(async files => {
      for (const name of lost) await files.unlink(`${METADATA}/${name}`)
    })
    const others = world.nodes.filter(node => node !== leader)
    await world.until(Promise.all(others.map(node => node.start())))
    await world.run(20_000)
    t.equal(world.leader, null, `${what}: the one that may lead is down`)
    t.match(keeper.lines.join(''), /metadata-quorum-past-lost/)
    await world.until(leader.start())
    t.ok(await world.waitFor(() => world.isInStep() && world.nodes.every(node => node.log?.isCaughtUp)), what)
    for (const node of world.nodes) t.same(node.topics, ['committed'], `${what}: node ${node.id}`)
    t.equal(keeper.log?.quorumFacts.isFresh, false, `${what}: and a voter again`)
    world.end()
  }
})

test('who has a part of its lost records again is no voter yet, after another start either', async t => {
  const world = await formed({ seed: 3, set: SMALL.filter(each => each.includes('fetch')) })
  for (let i = 0; i < 30; i++) leaderOf(world).append(`topic-${i}`)
  t.ok(await world.waitFor(() => world.isInStep()))
  const [node, other] = world.followers as [QuorumNode, QuorumNode]
  node.kill()
  await node.withDisk(async files => {
    await files.writeFileAtomically(EPOCH_FILE, Buffer.from('7\n'))
    await files.unlink(`${METADATA}/00000000000000000000.log`)
  })
  await world.until(node.start())
  t.ok(await world.waitFor(() => (node.log?.logEndOffset ?? 0) > 5))
  t.ok(node.log?.quorumFacts.isFresh)
  for (const each of [node, leaderOf(world)]) each.kill()
  await world.until(node.start())
  t.match(node.log?.quorumFacts, { isFresh: true })
  t.ok((node.log?.logEndOffset ?? 0) > 5 && (node.log?.logEndOffset ?? 0) < (other.log?.logEndOffset ?? 0))
  world.end()
})
