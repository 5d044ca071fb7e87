// What clients ask about data beside Produce and Fetch: offsets by time and end, leader epochs, DeleteRecords, sizes,
// producers, and Metadata. The answers are those of Apache Kafka 4.3; where they differ on purpose the table in
// broker/handlers/README.md says why.
import { test } from 'tap'
import type { Connection } from '../../../clients/connection.ts'
import { ErrorCode, errorName } from '../../../protocol/errors.ts'
import { deleteRecords } from '../../../protocol/messages/delete-records.ts'
import { describeLogDirs } from '../../../protocol/messages/describe-log-dirs.ts'
import { describeProducers } from '../../../protocol/messages/describe-producers.ts'
import { listOffsets } from '../../../protocol/messages/list-offsets.ts'
import { metadata } from '../../../protocol/messages/metadata.ts'
import { offsetForLeaderEpoch } from '../../../protocol/messages/offset-for-leader-epoch.ts'
import type { RequestDraft } from '../../../protocol/schema.ts'
import { ZERO_UUID } from '../../../protocol/types.ts'
import { type World, worldOf } from '../broker-fixture.ts'

const NOBODY = 'zzzzzzzzzzzzzzzzzzzzzw'

const epochOf = (world: World, topic: string): number =>
  world.broker.services.metadata.image.topicsByName.get(topic)?.partitions[0]?.leaderEpoch ?? -1

type Asked = { partitionIndex?: number; timestamp: number; currentLeaderEpoch?: number }

async function offsets(client: Connection, version: number, name: string, asked: Asked[], replicaId = -1) {
  const partitions = asked.map(each => ({ partitionIndex: 0, ...each }))
  const reply = await client.send(listOffsets, version, { replicaId, topics: [{ name, partitions }] })
  return reply.topics[0]?.partitions ?? []
}

test('ListOffsets: both ends, times, and special timestamps from the version that brought them', async t => {
  const world = await worldOf(t)
  await world.create('t')
  await world.create('empty')
  const client = await world.client()
  const now = world.clock.nowMs()
  for (const timestamp of [now - 3000, now - 1000, now - 2000]) {
    await world.produce('t', [
      { value: 'a', timestamp },
      { value: 'b', timestamp: timestamp + 1 }
    ])
  }
  const epoch = epochOf(world, 't')
  for (let version = 1; version <= 11; version++) {
    const leaderEpoch = version >= 4 ? epoch : -1
    const ask = async (timestamp: number, topic = 't') => {
      const [found] = await offsets(client, version, topic, [{ timestamp }])
      t.equal(found?.leaderEpoch, found?.offset === -1 ? -1 : leaderEpoch)
      return found?.errorCode ? errorName(found.errorCode) : [found?.offset, found?.timestamp]
    }
    t.same(await ask(-1), [6, -1])
    t.same(await ask(-2), [0, -1])
    t.same(await ask(0), [0, now - 3000])
    t.same(await ask(now - 2999), [1, now - 2999])
    t.same(await ask(now - 2998), [2, now - 1000], 'the first that is as late, not the next in time')
    t.same(await ask(now), [-1, -1], 'nothing is as late')
    t.same(await ask(now, 'empty'), [-1, -1])
    const since = (first: number, answer: unknown) => (version >= first ? answer : 'UNSUPPORTED_VERSION')
    t.same(await ask(-3), since(7, [3, now - 999]))
    t.same(await ask(-3, 'empty'), since(7, [-1, -1]))
    t.same(await ask(-4), since(8, [0, -1]))
    t.same(await ask(-5), since(9, [-1, -1]))
    t.same(await ask(-6), since(11, [-1, -1]))
    t.equal(await ask(-7), 'UNSUPPORTED_VERSION')
  }
})

test('ListOffsets: what cannot be answered is told for each partition', async t => {
  const world = await worldOf(t)
  await world.create('t')
  await world.produce('t', [{ value: 'a' }])
  const client = await world.client()
  const epoch = epochOf(world, 't')
  const codes = async (topic: string, ...asked: Asked[]) =>
    (await offsets(client, 9, topic, asked)).map(each => errorName(each.errorCode))
  t.same(await codes('nowhere', { timestamp: -1 }), ['UNKNOWN_TOPIC_OR_PARTITION'])
  t.same(await codes('t', { timestamp: -1, partitionIndex: 4 }), ['UNKNOWN_TOPIC_OR_PARTITION'])
  t.same(await codes('t', { timestamp: -1, currentLeaderEpoch: epoch + 1 }), ['UNKNOWN_LEADER_EPOCH'])
  t.same(await codes('t', { timestamp: -1, currentLeaderEpoch: -7 }), ['FENCED_LEADER_EPOCH'], 'only -1 is none')
  t.same(await codes('t', { timestamp: -1 }, { timestamp: -2 }), ['INVALID_REQUEST'], 'a partition that stands twice')
  t.match(await offsets(client, 9, 't', [{ timestamp: -1 }], -2), [{ errorCode: 0, offset: 1 }])
})

test('the visible end is what is committed', async t => {
  const world = await worldOf(t)
  await world.create('t')
  await world.produce('t', [{ value: 'a' }])
  const client = await world.connect()
  const release = world.holdSyncs()
  await world.produce('t', [{ value: 'b', timestamp: world.clock.nowMs() + 5000 }], {}, 1)
  t.match(await offsets(client, 9, 't', [{ timestamp: -1 }]), [{ offset: 1 }])
  t.match(await offsets(client, 9, 't', [{ timestamp: world.clock.nowMs() + 5000 }]), [{ offset: -1 }])
  t.match(await offsets(client, 9, 't', [{ timestamp: -3 }]), [{ offset: -1 }], 'the largest time is not committed')
  t.match((await world.fetch('t', 1)).highWatermark, 1)
  release()
})

test('DeleteRecords: up to the high watermark, never back, and not from logs that only compact', async t => {
  const world = await worldOf(t)
  await world.create('t')
  await world.create('compacted', { 'cleanup.policy': 'compact' })
  await world.create('both', { 'cleanup.policy': 'compact,delete' })
  await world.metadata(['__consumer_offsets'])
  for (const topic of ['t', 'compacted', 'both'])
    await world.produce(
      topic,
      ['a', 'b', 'c', 'd'].map(value => ({ key: value, value }))
    )
  const client = await world.client()
  for (let version = 0; version <= 2; version++) {
    const remove = async (offset: number, name = 't', partitionIndex = 0) => {
      const topics = [{ name, partitions: [{ partitionIndex, offset }] }]
      const reply = await client.send(deleteRecords, version, { topics, timeoutMs: 5000 })
      const answer = reply.topics[0]?.partitions[0]
      return [errorName(answer?.errorCode ?? -1), answer?.lowWatermark]
    }
    t.same(await remove(version + 1), ['NONE', version + 1])
    t.same(await remove(0), ['NONE', version + 1], 'never back')
    t.same(await remove(5), ['OFFSET_OUT_OF_RANGE', -1])
    t.same(await remove(-2), ['OFFSET_OUT_OF_RANGE', -1])
    t.same(await remove(1, 'nowhere'), ['UNKNOWN_TOPIC_OR_PARTITION', -1])
    t.same(await remove(1, 't', 9), ['UNKNOWN_TOPIC_OR_PARTITION', -1])
    t.same(await remove(1, 'compacted'), ['POLICY_VIOLATION', -1])
    t.same(await remove(version + 1, 'both'), ['NONE', version + 1])
    t.same(await remove(0, '__consumer_offsets'), ['INVALID_TOPIC_EXCEPTION', -1])
  }
  t.equal((await world.fetch('t', 0)).errorCode, ErrorCode.OFFSET_OUT_OF_RANGE)
  t.equal(await world.offset('t', -2), 3)
  const all = await client.send(deleteRecords, 2, {
    topics: [{ name: 't', partitions: [{ partitionIndex: 0, offset: -1 }] }]
  })
  t.match(all.topics[0]?.partitions, [{ errorCode: 0, lowWatermark: 4 }])
  t.equal(await world.offset('t', -2), 4)
  t.match(await offsets(client, 9, 't', [{ timestamp: -3 }]), [{ offset: -1 }], 'what is deleted is no answer')
})

test('OffsetForLeaderEpoch: where an epoch ends here', async t => {
  const world = await worldOf(t)
  await world.create('t')
  await world.produce('t', [{ value: 'a' }, { value: 'b' }])
  const client = await world.client()
  const epoch = epochOf(world, 't')
  for (let version = 2; version <= 4; version++) {
    const ask = async (leaderEpoch: number, currentLeaderEpoch = -1, topic = 't') => {
      const topics = [{ topic, partitions: [{ partition: 0, leaderEpoch, currentLeaderEpoch }] }]
      const reply = await client.send(offsetForLeaderEpoch, version, { replicaId: -1, topics })
      const { errorCode, leaderEpoch: found, endOffset } = reply.topics[0]!.partitions[0]!
      return errorCode === 0 ? [found, endOffset] : errorName(errorCode)
    }
    t.same(await ask(epoch), [epoch, 2])
    t.same(await ask(epoch, epoch), [epoch, 2])
    t.same(await ask(epoch + 1), [-1, -1])
    t.same(await ask(-1), [-1, -1])
    t.equal(await ask(epoch, epoch + 1), 'UNKNOWN_LEADER_EPOCH')
    t.equal(await ask(epoch, -2), 'FENCED_LEADER_EPOCH')
    t.equal(await ask(epoch, -1, 'nowhere'), 'UNKNOWN_TOPIC_OR_PARTITION')
  }
})

test('DescribeLogDirs: one directory, its volume, and the partitions asked for', async t => {
  const world = await worldOf(t)
  await world.create('t', {}, 2)
  await world.create('other')
  await world.produce('t', [{ value: 'x'.repeat(1000) }])
  const client = await world.client()
  const ask = async (topics: RequestDraft<typeof describeLogDirs>['topics'], version = 4) => {
    const [result] = (await client.send(describeLogDirs, version, { topics })).results
    return {
      ...result,
      replicas: result!.topics.flatMap(({ name, partitions }) => partitions.map(each => ({ name, ...each })))
    }
  }
  const [total, usable] = [(await ask(null)).totalBytes ?? 0, (await ask(null)).usableBytes ?? 0]
  t.ok(usable > 0 && total > usable)
  t.match(await ask(null, 3), { totalBytes: -1, usableBytes: -1, logDir: world.directory, errorCode: 0 })
  for (let version = 1; version <= 5; version++) {
    t.equal((await ask(null, version)).replicas.length, 3)
    t.match((await ask([{ topic: 't', partitions: [0] }], version)).replicas, [
      { name: 't', partitionIndex: 0, offsetLag: 0, isFutureKey: false }
    ])
  }
  t.ok(((await ask([{ topic: 't', partitions: [0] }])).replicas[0]?.partitionSize ?? 0) > 1000)
  t.equal((await ask([])).replicas.length, 0)
  t.equal((await ask([{ topic: 'nowhere', partitions: [0] }])).replicas.length, 0)
  const twice = [0, 1].map(partition => ({ topic: 't', partitions: [partition] }))
  t.equal((await ask(twice)).replicas.length, 2, 'a topic that stands twice')
})

test('DescribeProducers: whom a partition remembers', async t => {
  const world = await worldOf(t)
  await world.create('t')
  await world.produce('t', [{ value: 'a' }, { value: 'b' }], { producerId: 42, producerEpoch: 3, baseSequence: 0 })
  const ask = async (name: string, index: number) => {
    const topics = [{ name, partitionIndexes: [index] }]
    return (await (await world.client()).send(describeProducers, 0, { topics })).topics[0]!.partitions[0]!
  }
  t.match(await ask('t', 0), {
    errorCode: 0,
    errorMessage: null,
    activeProducers: [
      { producerId: 42, producerEpoch: 3, lastSequence: 1, coordinatorEpoch: -1, currentTxnStartOffset: -1 }
    ]
  })
  t.match(await ask('t', 5), { errorCode: ErrorCode.UNKNOWN_TOPIC_OR_PARTITION, activeProducers: [] })
  t.match(await ask('a/b', 0), { errorCode: ErrorCode.INVALID_TOPIC_EXCEPTION })
})

test('Metadata: every version, names and ids, what is made on the way and what is not', async t => {
  const world = await worldOf(t)
  const { topicId } = await world.create('t', {}, 2)
  const client = await world.client()
  const port = world.broker.listeners[0]?.port
  for (let version = 0; version <= 13; version++) {
    const ask = async (topics: RequestDraft<typeof metadata>['topics'], allowAutoTopicCreation = false) =>
      client.send(metadata, version, { topics, allowAutoTopicCreation })
    const codes = async (...asked: Parameters<typeof ask>) =>
      (await ask(...asked)).topics.map(each => errorName(each.errorCode))
    const reply = await ask([{ name: 't' }, { name: 't' }])
    t.match(reply.brokers, [{ nodeId: 1, host: '127.0.0.1', port, rack: null }])
    t.equal(reply.clusterId, version >= 2 ? world.broker.clusterId : null)
    t.equal(reply.controllerId, version >= 1 ? 1 : -1)
    t.equal(reply.topics.length, 1, 'a topic that stands twice')
    t.match(reply.topics[0], {
      errorCode: 0,
      name: 't',
      topicId: version >= 10 ? topicId : ZERO_UUID,
      isInternal: false
    })
    t.match(reply.topics[0]?.partitions, [
      { partitionIndex: 0, leaderId: 1, replicaNodes: [1], isrNodes: [1], offlineReplicas: [] },
      { partitionIndex: 1, leaderEpoch: version >= 7 ? epochOf(world, 't') : -1 }
    ])
    t.match(await codes([{ name: 'a/b' }, { name: '' }], true), ['INVALID_TOPIC_EXCEPTION', 'INVALID_TOPIC_EXCEPTION'])
    if (version >= 4) t.same(await codes([{ name: `no${version}` }]), ['UNKNOWN_TOPIC_OR_PARTITION'])
    t.same(await codes([{ name: `new${version}` }], true), ['NONE'], 'made, and usable at the first answer')
    for (const name of ['__transaction_state', '__share_group_state']) {
      t.same(await codes([{ name }], true), ['UNKNOWN_TOPIC_OR_PARTITION'], 'no plain topic where state will be')
    }
    if (version >= 1) t.same((await ask([])).topics, [])
    t.ok((await ask(version === 0 ? [] : null)).topics.length > version)
    if (version < 10) continue
    const byId = { name: null, topicId }
    if (version < 12) t.same(await codes([byId]), ['INVALID_REQUEST'])
    else {
      t.match((await ask([byId])).topics, [{ errorCode: 0, name: 't', topicId }])
      t.match((await ask([{ name: 'wrong', topicId }], true)).topics, [{ errorCode: 0, name: 't' }])
      t.same(await codes([{ name: null, topicId: NOBODY }]), ['UNKNOWN_TOPIC_ID'])
    }
  }
  t.notOk(world.broker.services.metadata.image.topicsByName.has('wrong'))
})
