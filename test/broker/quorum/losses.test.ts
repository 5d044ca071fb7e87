// Goal: what one node's disk lost or damaged costs that node time, and the cluster nothing: no vote is given that a lost
// log would have denied, and no bad file of one node ends another.
import { test } from 'tap'
import type { MetadataSnapshots } from '../../../broker/metadata-snapshots.ts'
import { QuorumLog } from '../../../broker/quorum/quorum-log.ts'
import type { Log } from '../../../storage/log.ts'
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

test('a leader sends nobody a damaged snapshot: it writes a new one, and who needs it gets that', async t => {
  for (const count of [1, 2]) {
    const world = await formed({ seed: 50 + count, set: SMALL })
    const away = world.followers[0] as QuorumNode
    away.kill()
    for (let i = 0; i < 40; i++) {
      leaderOf(world).append(`topic-${i}`, 2)
      await world.run(100)
    }
    const leader = leaderOf(world)
    const { files } = leader
    if (!files) throw new Error('it is down')
    const names = (await world.until(files.readdir(METADATA))).filter(name => name.endsWith('.checkpoint')).sort()
    t.equal(names.length, 2)
    for (const name of names.slice(-count)) {
      const bytes = await world.until(files.readFile(`${METADATA}/${name}`))
      bytes?.writeUInt8(bytes.readUInt8(300) ^ 1, 300)
      await world.until(files.writeFileAtomically(`${METADATA}/${name}`, bytes ?? Buffer.alloc(0)))
    }
    await world.until(away.start())
    t.ok(await world.waitFor(() => world.isInStep(), 10_000), `${count} damaged`)
    t.equal(leaderOf(world), leader)
    t.same(away.topics.length, 40)
    t.same(
      world.nodes.map(node => node.failure),
      [null, null, null]
    )
    const lines = (what: string, node: QuorumNode) => node.lines.filter(line => line.includes(what)).length
    t.equal(lines('metadata-snapshot-damaged', leader), 1, 'the new one is the newest')
    t.equal(lines('metadata-snapshot-unusable', away), 0, 'none went over the wire')
    world.end()
  }
})

test('who needs a snapshot while none is whole is told nothing, and above all not to cut its log', async t => {
  const epochs = { endOffsetFor: () => ({ leaderEpoch: -1, endOffset: -1 }), latest: { epoch: 4 } }
  const [id, ofLog] = [
    { endOffset: 10, epoch: 3 },
    { logStartOffset: 10, logEndOffset: 20, epochs }
  ]
  const quorumLog = (latest?: typeof id) =>
    new QuorumLog(ofLog as unknown as Log, { latest, earliest: latest } as unknown as MetadataSnapshots)
  for (const [offset, epoch] of [
    [0, 0],
    [7, 2],
    [10, 2]
  ] as const) {
    t.strictSame(quorumLog(id).validate(offset, epoch), { kind: 'snapshot', id })
    t.strictSame(quorumLog().validate(offset, epoch), { kind: 'later' })
  }
})
