// Replicas come and go with the metadata; a new life of a broker leads in no epoch of the one before.
import { test } from 'tap'
import { ErrorCode } from '../../protocol/errors.ts'
import { ZERO_UUID } from '../../protocol/types.ts'
import { decideAlterPartitionReassignments } from '../../replication/controller/reassignments.ts'
import { decideDeleteTopics } from '../../replication/controller/topics.ts'
import { recordAt } from '../../replication/metadata/records.ts'
import { chance, register } from '../replication/controller/cluster.ts'
import { Cluster, type Node } from './replication-fixture.ts'
import { clusterOf, isOne } from './replication-story.ts'

test('replicas are made and removed as the metadata says', async t => {
  const cluster = await Cluster.start([1, 2, 3])
  t.teardown(() => cluster.stop())
  await cluster.create('a', [[1, 2]])
  const [one, two, three] = cluster.nodes as [Node, Node, Node]
  await one.produce('1')
  const topics = [{ name: 'a', partitions: [{ partitionIndex: 0, replicas: [1, 3] }] }]
  const { image, rules } = cluster.on
  cluster.decide(
    decideAlterPartitionReassignments(image, { topics, allowReplicationFactorChange: true } as never, rules)
  )
  await cluster.until(() => cluster.registered().replicas.length === 2, 'the new one joins, the old one goes')
  t.strictSame([...cluster.registered().isr].sort(), [1, 3])
  await cluster.settled()
  t.equal(two.partitions.get(one.partition().topicId, 0), undefined)
  t.equal((await two.disk.readdir('/data')).filter(name => name === 'a-0').length, 0)
  await isOne(t, [one, three], 'the same bytes')
  t.match(await one.produce('2'), { errorCode: 0, baseOffset: 1 })
})

test('no leadership waits until the disk has forgotten a topic', async t => {
  const cluster = await clusterOf(t)
  const [one, two] = cluster.nodes as [Node, Node, Node]
  await cluster.create('b', [[2], [2]])
  for (const index of [0, 1]) t.match(await two.produce('old', { topic: 'b', index }), { errorCode: 0 })
  two.held.path = '/data'
  const { image, rules } = cluster.on
  cluster.decide(decideDeleteTopics(image, [{ name: 'b', topicId: ZERO_UUID }], rules))
  cluster.fence(1)
  await cluster.until(() => two.partition().isLeader, 'broker 2 leads, though its disk is held')
  t.ok(one.isUp)
  let isForgotten = false
  const settled = two.partitions.settled().then(() => {
    isForgotten = true
  })
  // The next of that name has its turn behind the last.
  const created = cluster.create('b', [[2], [2]])
  await cluster.pass(1_000)
  t.notOk(isForgotten)
  two.held.release()
  await Promise.all([settled, created])
  for (const index of [0, 1]) {
    t.match(await two.produce('new', { topic: 'b', index }), { errorCode: 0, baseOffset: 0 })
  }
  const names = await two.disk.readdir('/data')
  t.equal(names.filter(name => name.endsWith('-delete')).length, 2)
  t.equal(names.filter(name => name.endsWith('-stray')).length, 0)
})

test('a broker leads nothing of an earlier life', async t => {
  const cluster = await clusterOf(t)
  const [one, two] = cluster.nodes as [Node, Node]
  await one.produce('1')
  await one.crash()
  // The controller knows nothing of it yet: the metadata still names it.
  await one.open()
  t.equal(cluster.registered().leader, 1)
  t.notOk(one.partition().isLeader)
  t.notOk(one.partition().isFollower)
  one.brokerEpoch = cluster.on.endOffset
  one.partitions.allowLeading()
  await one.partitions.settled()
  t.notOk(one.partition().isLeader, 'not before the metadata holds its registration')
  await one.crash()
  await cluster.restart(1)
  t.notOk(one.partition().isLeader)
  t.equal(cluster.registered().leader, 2)
  await cluster.until(() => cluster.registered().isr.length === 3)
  t.match(await two.produce('2'), { errorCode: 0, baseOffset: 1 })
})

test('nor when a snapshot brings its registration while older news wait', async t => {
  const cluster = await clusterOf(t)
  const [one] = cluster.nodes as [Node]
  await one.produce('1')
  await one.crash()
  await one.open()
  const epoch = cluster.registered().leaderEpoch
  const reigns: number[] = []
  const partition = one.partition()
  partition.becomeLeader = role => void reigns.push(role.leaderEpoch)
  one.isDeaf = true
  await cluster.create('b', [[1, 2, 3]])
  one.isDeaf = false
  one.hear()
  one.isDeaf = true
  register(cluster.on, 1, { incarnationId: chance(99).uuid() })
  one.metadata.replace(cluster.on.image.copy(), cluster.on.endOffset)
  one.brokerEpoch = cluster.on.image.brokers.get(1)?.brokerEpoch ?? -1
  one.partitions.allowLeading()
  await one.partitions.settled()
  t.notOk(reigns.includes(epoch), 'in no epoch of the earlier life, not for a moment')
  t.ok(partition.isFollower)
})

test('settings that change while a log is opened count for it', async t => {
  const cluster = await Cluster.start([1, 2, 3])
  t.teardown(() => cluster.stop())
  const { catalog } = cluster.node(2)
  const open = catalog.getOrCreate.bind(catalog)
  catalog.getOrCreate = (...log) => {
    const setting = { resourceType: 2, resourceName: 'a', name: 'min.insync.replicas', value: '3' }
    cluster.decide({ records: [recordAt(cluster.on.image.metadataVersion, 'ConfigRecord', setting)], reply: null })
    return open(...log)
  }
  await cluster.create('a', [[1, 2, 3]])
  for (const node of cluster.nodes) t.equal(node.partition().log.config.minInsyncReplicas, 3)
})

test('a directory that has failed has failed for each of its logs, whoever else may lead them by now', async t => {
  const cluster = await clusterOf(t)
  await cluster.create('b', [[1, 2, 3]])
  const one = cluster.nodes[0] as Node
  t.match(await one.produce('1', { topic: 'b' }), { errorCode: 0 })
  one.disk.inject({ operation: 'sync', path: '/a-0/', code: 'EIO' })
  t.match(await one.produce('1'), { errorCode: ErrorCode.KAFKA_STORAGE_ERROR })
  t.notOk(one.partition(0, 'b').log.isOffline)
  for (const topic of ['a', 'b']) {
    t.match(await one.produce('2', { topic }), { errorCode: ErrorCode.KAFKA_STORAGE_ERROR }, topic)
  }
})
