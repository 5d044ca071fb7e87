// Goal: the metadata logs of three nodes are one: whatever dies, is cut off or comes back, nothing committed is lost or
// differs, nobody sees what is not committed, and a new leader is there soon after the old one's process is gone.
import { test } from 'tap'
import { deltaBetween } from '../../../replication/metadata/difference.ts'
import type { MetadataImage } from '../../../replication/metadata/image.ts'
import { formed, leaderOf, METADATA, PORT, type QuorumNode, QuorumWorld, SMALL } from './quorum-world.ts'

test('three empty nodes become a cluster of one id, and are it again after a power failure', async t => {
  const world = new QuorumWorld({ seed: 1 })
  for (const node of world.nodes.slice(0, 2)) await world.until(node.start())
  await world.run(10_000)
  t.equal(world.leader, null, 'two of three could have forgotten what the third has')
  t.equal(world.node(1).log?.clusterId, null)
  const facts = (id: number) => world.node(id).log?.quorumFacts
  const troubles = [[3, 'connection refused']]
  t.match(facts(1), { isFresh: true, leaderId: -1, voters: [{ nodeId: 1 }, { nodeId: 2 }, { nodeId: 3 }] })
  t.same([...(facts(1)?.troubles ?? [])], troubles, 'who is missed is known, and why')
  await world.until(world.node(3).start())
  t.ok(await world.waitFor(() => world.isInStep() && world.nodes.every(node => node.log?.isCaughtUp), 1500), 'in step')
  const clusterId = world.node(1).catalog?.clusterId ?? ''
  t.match(clusterId, /^[\w-]{22}$/)
  t.match(facts(1), { isFresh: false, leaderId: leaderOf(world).id })
  t.equal(facts(leaderOf(world).id)?.troubles.size, 0, 'all have answered')
  leaderOf(world).append('orders')
  t.ok(await world.waitFor(() => world.nodes.every(node => node.topics.includes('orders')), 1000))
  const epoch = leaderOf(world).epoch
  for (const node of world.nodes) node.crash()
  await world.until(world.node(1).start())
  world.network.cut('node-1', 'node-2')
  await world.run(6000)
  t.match(facts(1), { isFresh: false, leaderId: -1 })
  t.same([...(facts(1)?.troubles ?? [])], [[2, 'no answer to Vote within 2000 ms'], ...troubles], 'nor a firewall')
  world.node(1).crash()
  world.network.healAll()
  await world.startAll()
  t.ok(await world.waitFor(() => world.isInStep(), 2500), 'again')
  for (const node of world.nodes) {
    t.same([node.catalog?.clusterId, node.topics], [clusterId, ['orders']])
    t.ok(node.epoch > epoch, 'nobody leads in an epoch of an earlier life')
  }
  world.end()
})

test('a leader that is killed is followed by another within 200 ms, and nothing committed is missing', async t => {
  for (let seed = 1; seed <= 8; seed++) {
    const world = await formed({ seed })
    const old = leaderOf(world)
    old.append('committed')
    await world.waitFor(() => old.topics.includes('committed'))
    const began = world.agenda.nowUs
    old.kill()
    t.ok(await world.waitFor(() => world.leader !== null, 3000))
    const ms = (world.agenda.nowUs - began) / 1000
    t.ok(ms < 200, `seed ${seed}: ${ms} ms`)
    t.same(leaderOf(world).topics, ['committed'], 'before its controller is told that it leads')
    leaderOf(world).append('after')
    await world.until(old.start())
    t.ok(await world.waitFor(() => world.isInStep(), 3000))
    t.same(old.topics, ['after', 'committed'])
    world.end()
  }
})

test('a leader that is cut off commits nothing, gives up, and drops what nobody else has', async t => {
  const world = await formed({ seed: 3 })
  const old = leaderOf(world)
  const { epoch } = old
  old.append('committed')
  await world.waitFor(() => world.isInStep())
  world.network.isolate(`node-${old.id}`)
  old.append('lost-1')
  old.append('lost-2', 40)
  const end = old.log?.logEndOffset ?? 0
  t.ok(await world.waitFor(() => world.running.some(node => node !== old && node.log?.isLeader), 10_000))
  const next = world.running.find(node => node !== old && node.log?.isLeader) as QuorumNode
  next.append('kept')
  await world.waitFor(() => next.topics.includes('kept'))
  await world.run(5000)
  t.same(old.told, [...old.told.slice(0, -1), 'resign'], 'it knows that it leads no more')
  t.throws(() => old.append('more'), { code: 'ERR_NOT_LEADER' })
  t.equal(old.log?.logEndOffset, end)
  t.same(old.topics, ['committed'], 'nobody has seen what was not committed')
  world.network.healAll()
  t.ok(await world.waitFor(() => world.isInStep(), 5000), 'in step')
  t.same(old.topics, ['committed', 'kept'])
  t.ok(old.epoch > epoch)
  t.match(old.lines.join(''), /metadata-log-truncated/)
  old.crash()
  await world.until(old.start())
  t.ok(await world.waitFor(() => world.isInStep(), 5000))
  t.same(old.topics, ['committed', 'kept'], 'and the disk has not either')
  world.end()
})

test('silence is no sign of death: whoever is slow or stands still for a second leads on', async t => {
  for (const seed of [31, 32, 33]) {
    const world = await formed({ seed })
    const leader = leaderOf(world)
    const { epoch } = leader
    world.network.isolate(`node-${leader.id}`)
    await world.run(1200)
    world.network.healAll()
    await world.run(1000)
    for (const { id } of world.followers) world.network.reset(`node-${leader.id}`, `node-${id}`)
    await world.run(300)
    t.ok(world.isInStep(), 'a middlebox that resets connections is no sign either')
    leader.process?.pause()
    await world.run(1200)
    leader.process?.resume()
    await world.run(1000)
    const [one] = world.followers as [QuorumNode]
    one.process?.pause()
    await world.run(4000)
    one.process?.resume()
    t.ok(await world.waitFor(() => world.isInStep(), 2000))
    t.same([world.leader, leader.epoch], [leader, epoch], `seed ${seed}: one election`)
    world.end()
  }
})

test('a leader that hands over is followed at once, though its process lives on', async t => {
  const world = await formed({ seed: 6 })
  const old = leaderOf(world)
  const began = world.agenda.nowUs
  const over = old.log?.handOver()
  t.ok(await world.waitFor(() => world.leader !== null && world.leader !== old, 5000))
  t.ok(world.agenda.nowUs - began < 100_000, `${(world.agenda.nowUs - began) / 1000} ms`)
  await world.until(over ?? Promise.reject())
  world.end()
})

test('a leader that hands over is followed at once; the whole cluster stops in order', async t => {
  const world = await formed({ seed: 5 })
  const old = leaderOf(world)
  const began = world.agenda.nowUs
  const stopped = old.stop()
  t.ok(await world.waitFor(() => world.leader !== null && world.leader !== old, 1000))
  t.ok(world.agenda.nowUs - began < 100_000, `${(world.agenda.nowUs - began) / 1000} ms`)
  await world.until(stopped)
  t.equal(old.told.at(-1), 'resign')
  for (const node of world.running) await world.until(node.stop(), 3000)
  await world.startAll()
  t.ok(await world.waitFor(() => world.isInStep(), 3000))
  world.end()
})

/** One topic after the other, each committed, with time for snapshots between. */
async function fill(world: QuorumWorld, prefix: string, count: number): Promise<void> {
  for (let i = 0; i < count; i++) {
    const leader = leaderOf(world)
    leader.append(`${prefix}-${i}`, 2)
    await world.waitFor(() => leader.topics.includes(`${prefix}-${i}`))
    if (i % 10 === 9) await world.run(600)
  }
}

test('who was away too long takes the leader’s snapshot, and its listeners hear what changed', async t => {
  const world = await formed({ seed: 7, set: SMALL })
  await fill(world, 'before', 10)
  await world.waitFor(() => world.isInStep())
  const away = world.followers[0] as QuorumNode
  world.network.isolate(`node-${away.id}`)
  const seen = away.log?.cache.image.copy() as MetadataImage
  await fill(world, 'during', 60)
  t.ok((leaderOf(world).log?.logStartOffset ?? 0) > (away.log?.logEndOffset ?? 0), 'the log begins later now')
  const changed: string[] = []
  away.log?.cache.onChange((image, delta) => {
    for (const id of delta.createdTopics) changed.push(image.topicsById.get(id)?.name ?? '?')
    t.ok([...delta.partitions.keys()].every(id => image.topicsById.has(id)))
  })
  world.network.healAll()
  t.ok(await world.waitFor(() => world.isInStep(), 10_000), 'in step')
  t.match(away.lines.join(''), /metadata-snapshot-fetched/)
  t.same(
    changed.sort(),
    away.topics.filter(name => name.startsWith('during')),
    'each new topic is told once'
  )
  const { created, deleted } = told(seen, away.log?.cache.image as MetadataImage)
  t.same([created.length, deleted.length], [60, 0])
  for (const node of world.nodes) node.crash()
  await world.startAll()
  t.ok(await world.waitFor(() => world.isInStep(), 5000))
  for (const node of world.nodes) t.equal(node.topics.length, 70)
  t.ok(
    world.nodes.every(node => (node.log?.logStartOffset ?? 0) > 0),
    'every node snapshots and cuts its own log'
  )
  world.end()
})

function told(before: MetadataImage, after: MetadataImage) {
  const delta = deltaBetween(before, after)
  return { created: [...delta.createdTopics], deleted: [...delta.deletedTopics.values()].map(({ name }) => name) }
}

test('a power failure at any moment of taking a snapshot leaves a node that takes it again', async t => {
  let during = 0
  for (let seed = 1; seed <= 8; seed++) {
    const world = await formed({ seed, set: SMALL })
    const away = world.followers[0] as QuorumNode
    away.kill()
    await fill(world, 'topic', 40)
    await world.until(away.start())
    await world.run(2 + seed * 1.5)
    if (away.topics.length < 40) during++
    away.crash(seed % 2 === 0 ? 'drop' : 'mixed')
    await world.until(away.start())
    t.ok(await world.waitFor(() => world.isInStep(), 10_000), `seed ${seed}: ${away.failure?.message ?? 'in step'}`)
    t.equal(away.topics.length, 40)
    world.end()
  }
  t.ok(during > 3, `${during} times in the middle of it`)
})

test('a log that begins anew has its snapshot already, whenever the power fails', async t => {
  for (let afterUs = 0; afterUs < 16_000; afterUs += 1250) {
    const world = await formed({ seed: 41, set: SMALL })
    const away = world.followers[0] as QuorumNode
    away.kill()
    await fill(world, 'topic', 40)
    await world.until(away.start())
    t.ok(await world.waitFor(() => (away.log?.logStartOffset ?? 0) > 0, 5000))
    await world.run(afterUs / 1000)
    away.crash()
    await world.until(away.start())
    t.ok(await world.waitFor(() => world.isInStep(), 10_000), `${afterUs} us: in step`)
    t.equal(away.failure ?? away.topics.length, 40)
    world.end()
  }
})

test('a node that lost its disk follows, and neither votes nor leads before it has everything', async t => {
  const world = await formed({ seed: 11, set: ['controller.quorum.fetch.max.bytes=300'] })
  const leader = leaderOf(world)
  await fill(world, 'topic', 10)
  const [lacking, wiped] = world.followers as [QuorumNode, QuorumNode]
  world.network.isolate(`node-${lacking.id}`)
  leader.append('precious')
  await world.waitFor(() => leader.topics.includes('precious'))
  wiped.wipe()
  leader.kill()
  world.network.healAll()
  await world.until(wiped.start())
  world.check = () => {
    const { catalog, files } = wiped
    if (catalog?.clusterId && files?.sizeOf(`${METADATA}/quorum-state`) === null) t.fail('called an old voter too soon')
  }
  await world.run(30_000)
  t.equal(world.leader, null, 'together both would have forgotten')
  await world.until(leader.start())
  t.ok(await world.waitFor(() => world.isInStep(), 10_000), 'in step')
  for (const node of world.nodes) t.ok(node.topics.includes('precious'))
  const { clusterId } = leader.catalog ?? {}
  t.ok(await world.waitFor(() => wiped.catalog?.clusterId === clusterId, 1000), 'it is of the cluster again')
  lacking.kill()
  leaderOf(world).append('after')
  t.ok(await world.waitFor(() => world.running.every(node => node.topics.includes('after')), 5000), 'and counts again')
  world.end()
})

test('a directory of another cluster ends its node in one line; the others go on', async t => {
  const world = await formed({ seed: 13 })
  const foreign = world.followers[1] as QuorumNode
  foreign.wipe()
  await foreign.format('AAAAAAAAAAAAAAAAAAfoRQ')
  await world.until(foreign.start())
  t.ok(await world.waitFor(() => foreign.failure !== null, 10_000))
  t.match(foreign.failure, { code: 'ERR_WRONG_DIRECTORY', message: /belongs to cluster AAAAAAAAAAAAAAAAAAfoRQ/ })
  t.notMatch(foreign.failure?.message, /\n/)
  leaderOf(world).append('still')
  t.ok(await world.waitFor(() => world.running.every(node => node.topics.includes('still')), 3000))
  world.end()
})

test('a voter whose directory was put right counts no more as one of another cluster', async t => {
  const world = await formed({ seed: 14 })
  const one = leaderOf(world)
  const others = world.followers as [QuorumNode, QuorumNode]
  for (const [times, stranger] of others.entries()) {
    // While the third one is away, neither of the two knows which of them is the stranger.
    const away = others[1 - times] as QuorumNode
    away.kill()
    stranger.wipe()
    await stranger.format('AAAAAAAAAAAAAAAAAAfoRQ')
    await world.until(stranger.start())
    const notes = () => one.lines.filter(line => line.includes('voter-of-another-cluster')).length
    t.ok(await world.waitFor(() => notes() === times + 1, 20_000))
    t.equal(one.failure, null, `one says so; before, ${times} did`)
    stranger.wipe()
    await world.until(Promise.all([stranger.start(), away.start()]))
    t.ok(await world.waitFor(() => world.isInStep() && world.running.length === 3), 'put right')
  }
  world.end()
})

test('a node with another list of voters harms nobody, and is told of once', async t => {
  const two = `controller.quorum.voters=1@node-1:${PORT},2@node-2:${PORT}`
  const world = new QuorumWorld({ seed: 31, setOf: id => (id === 3 ? [] : [two]) })
  const [one, other, stranger] = world.nodes as [QuorumNode, QuorumNode, QuorumNode]
  await world.until(Promise.all([one, other, stranger].map(node => node.start())))
  t.ok(await world.waitFor(() => leads(one) || leads(other), 5000))
  const { epoch } = leaderOf(world)
  await world.run(20_000)
  t.equal(leaderOf(world).epoch, epoch)
  t.notOk(leads(stranger))
  const refusals = stranger.lines.filter(line => line.includes('quorum-request-refused'))
  t.ok(refusals.length > 0 && refusals.length <= 4, `${refusals.length} lines in twenty seconds`)
  world.end()
})

const leads = (node: QuorumNode): boolean => node.log?.isLeader === true

test('directories that an operator formatted make a cluster of that id', async t => {
  const world = new QuorumWorld({ seed: 17 })
  for (const node of world.nodes) await node.format('AAAAAAAAAAAAAAAAAAfoRQ')
  await world.until(Promise.all([world.node(1).start(), world.node(2).start()]))
  t.ok(await world.waitFor(() => world.isInStep(), 5000), 'two of three are enough: somebody vouches for them')
  t.equal(world.node(1).log?.cache.image.configs(4, '').get('moldau.cluster.id'), 'AAAAAAAAAAAAAAAAAAfoRQ')
  world.end()
})

const NAMED = 'AAAAAAAAAAAAAAAAAAfoRQ'
const OTHER = 'BBBBBBBBBBBBBBBBBBfoRQ'

test('one node that knows the id of the new cluster is enough, whoever leads first', async t => {
  const leaders = new Set<number>()
  for (let seed = 1; seed <= 12; seed++) {
    const isFormatted = seed % 2 === 0
    const setOf = (id: number) => (id === 1 && !isFormatted ? [`moldau.cluster.id=${NAMED}`] : [])
    const world = new QuorumWorld({ seed, setOf })
    if (isFormatted) await world.node(1).format(NAMED)
    await world.startAll()
    const isFormed = () => world.isInStep() && world.nodes.every(node => node.log?.isCaughtUp)
    t.ok(await world.waitFor(isFormed, 5000), `seed ${seed}: ${world.nodes.map(node => node.failure)}`)
    t.same(
      world.nodes.map(node => node.catalog?.clusterId),
      [NAMED, NAMED, NAMED]
    )
    leaders.add(world.leader?.id ?? 0)
    world.end()
  }
  t.ok(leaders.size > 1, `led first: ${[...leaders]}`)
})

test('voters with different ids make no cluster, and say so in one line', async t => {
  for (const isFormatted of [true, false]) {
    const ids = new Map([
      [1, NAMED],
      [3, OTHER]
    ])
    const setOf = (id: number) => (ids.has(id) && !isFormatted ? [`moldau.cluster.id=${ids.get(id)}`] : [])
    const world = new QuorumWorld({ seed: 43, setOf })
    if (isFormatted) for (const [id, clusterId] of ids) await world.node(id).format(clusterId)
    await world.startAll()
    await world.run(20_000)
    t.equal(world.leader, null)
    const lines = world.node(2).lines.filter(line => line.includes('voters-of-different-clusters'))
    t.equal(lines.length, 1)
    t.match(lines[0], new RegExp(`voter 1: ${NAMED}`))
    t.match(lines[0], new RegExp(`voter 3: ${OTHER}`))
    t.equal(world.node(2).failure, null, 'it waits until the operator has decided')
    // He has: node 3 begins anew.
    if (isFormatted) {
      world.node(3).wipe()
      await world.node(3).format(NAMED)
      await world.until(world.node(3).start())
      t.ok(await world.waitFor(() => world.isInStep() && world.node(2).catalog?.clusterId === NAMED, 20_000))
    }
    world.end()
  }
})

test('a leader with another history below the high watermark ends the node; nothing committed is cut', async t => {
  const world = await formed({ seed: 19 })
  await fill(world, 'topic', 5)
  await world.waitFor(() => world.isInStep())
  const [keeper, ...others] = [...world.followers, leaderOf(world)] as [QuorumNode, QuorumNode, QuorumNode]
  const clusterId = keeper.catalog?.clusterId ?? ''
  world.network.isolate(`node-${keeper.id}`)
  for (const node of others) {
    node.wipe()
    await node.format(clusterId)
  }
  // Until their epoch is the later one, and their history wins.
  while (others.every(node => node.epoch <= keeper.epoch)) {
    for (const node of others) node.kill()
    await world.until(Promise.all(others.map(node => node.start())))
    await world.waitFor(() => others.some(node => node.log?.isLeader))
  }
  world.network.healAll()
  t.ok(await world.waitFor(() => keeper.failure !== null, 20_000))
  t.match(keeper.failure, { code: 'ERR_LOG_CORRUPT', message: /committed: one of both logs has lost records/ })
  const bytes = await keeper.read(`${METADATA}/00000000000000000000.log`)
  t.ok(bytes?.includes('topic-4'), 'its records are where they were')
  world.end()
})
