// What a broker answers of the replica that it has where another broker leads, and to clients that may not know an error.
import { test } from 'tap'
import { onDescribeProducers } from '../../broker/handlers/describe-producers.ts'
import { onFetch } from '../../broker/handlers/fetch.ts'
import type { RequestContext } from '../../broker/handlers/handler.ts'
import { onListOffsets } from '../../broker/handlers/list-offsets.ts'
import { onProduce } from '../../broker/handlers/produce.ts'
import { errorName } from '../../protocol/errors.ts'
import { baseOffset, batchesOf } from '../../protocol/records/batch.ts'
import { buildBatch } from '../../protocol/records/builder.ts'
import type { Node } from './replication-fixture.ts'
import { clusterOf } from './replication-story.ts'

const DEBUGGING = -2
const CONSUMER = -1

/** The error, and the offsets of the batches. */
async function read(node: Node, version: number, replicaId: number, fetchOffset: number, more: object = {}) {
  const { maxWaitMs = 0, currentLeaderEpoch = -1 } = more as { maxWaitMs?: number; currentLeaderEpoch?: number }
  const partitions = [{ partition: 0, fetchOffset, partitionMaxBytes: 10_000, currentLeaderEpoch }]
  const { responses } = await node.ask(onFetch.api, version, {
    ...(version >= 15 ? { replicaState: { replicaId, replicaEpoch: -1 } } : { replicaId }),
    ...{ maxWaitMs, minBytes: 1, maxBytes: 10_000 },
    topics: [version >= 13 ? { topicId: node.partition().topicId, partitions } : { topic: 'a', partitions }]
  })
  const { errorCode = -1, records = null } = responses[0]?.partitions[0] ?? {}
  const bytes = records ?? Buffer.alloc(0)
  return [errorName(errorCode), ...[...batchesOf(bytes)].map(at => baseOffset(bytes, at))]
}

async function offsetAt(node: Node, version: number, replicaId: number, timestamp: number, currentLeaderEpoch = -1) {
  const partitions = [{ partitionIndex: 0, timestamp, currentLeaderEpoch }]
  const reply = await node.ask(onListOffsets.api, version, { replicaId, topics: [{ name: 'a', partitions }] })
  const { errorCode = -1, offset } = reply.topics[0]?.partitions[0] ?? {}
  return errorCode === 0 ? offset : errorName(errorCode)
}

test('a debugging consumer reads the replica that it asks, up to what is committed; others ask the leader', async t => {
  const cluster = await clusterOf(t)
  const [one, two, three] = cluster.nodes as [Node, Node, Node]
  await one.produce('x')
  await cluster.until(() => two.partition().highWatermark === 1)
  three.held.path = '/a-0/'
  const waiting = one.produce('y')
  await cluster.until(() => two.partition().log.durableEndOffset === 2)
  t.equal(two.partition().highWatermark, 1, 'broker 3 has not synced it')
  for (let version = 4; version <= 18; version++) {
    const moved = ['NOT_LEADER_OR_FOLLOWER']
    t.same(await read(two, version, DEBUGGING, 0), version >= 11 ? ['NONE', 0] : moved, `version ${version}`)
    t.same(await read(two, version, CONSUMER, 0), moved)
    t.same(await read(two, version, 3, 0), moved, 'nobody follows a follower')
    for (const replicaId of [DEBUGGING, CONSUMER]) t.same(await read(one, version, replicaId, 0), ['NONE', 0])
  }
  const { leaderEpoch } = cluster.registered()
  const asking = (currentLeaderEpoch: number) => read(two, 18, DEBUGGING, 0, { currentLeaderEpoch })
  t.same(await asking(leaderEpoch), ['NONE', 0])
  t.same(await asking(leaderEpoch + 1), ['UNKNOWN_LEADER_EPOCH'])
  t.same(await read(two, 18, DEBUGGING, 3), ['OFFSET_OUT_OF_RANGE'])
  t.same(await read(two, 18, DEBUGGING, 1), ['NONE'], 'not committed')
  let answered = false
  const next = read(two, 18, DEBUGGING, 1, { maxWaitMs: 60_000 }).finally(() => {
    answered = true
  })
  await cluster.pass(1_000)
  t.notOk(answered, 'it waits')
  three.held.release()
  await cluster.until(() => answered, 'and is woken', 5_000)
  t.same(await next, ['NONE', 1])
  await waiting
})

test('ListOffsets and DescribeProducers tell a debugging client, and anybody, of the replica here', async t => {
  const cluster = await clusterOf(t)
  const [one, two] = cluster.nodes as [Node, Node]
  await one.produce('x')
  const records = buildBatch({
    ...{ producerId: 42, producerEpoch: 3, baseSequence: 0 },
    records: [{ timestamp: 5_000, key: null, value: Buffer.from('y') }]
  })
  const topicData = [{ name: 'a', partitionData: [{ index: 0, records }] }]
  await one.ask(onProduce.api, 12, { acks: -1, timeoutMs: 30_000, topicData })
  await cluster.until(() => two.partition().highWatermark === 2)
  for (let version = 1; version <= 11; version++) {
    for (const [timestamp, offset] of [[-1, 2] as const, [-2, 0] as const, [5_000, 1] as const]) {
      for (const node of cluster.nodes) t.equal(await offsetAt(node, version, DEBUGGING, timestamp), offset)
      t.equal(await offsetAt(two, version, CONSUMER, timestamp), 'NOT_LEADER_OR_FOLLOWER')
    }
  }
  t.equal(await offsetAt(two, 9, DEBUGGING, -1, cluster.registered().leaderEpoch + 1), 'UNKNOWN_LEADER_EPOCH')
  const describe = async (node: Node, partition: number) => {
    const request = { topics: [{ name: 'a', partitionIndexes: [partition] }] }
    const reply = await onDescribeProducers.handle(request, {} as RequestContext, node.services)
    return (reply as { topics: { partitions: object[] }[] }).topics[0]?.partitions[0]
  }
  for (const node of cluster.nodes) {
    t.match(await describe(node, 0), { errorCode: 0, activeProducers: [{ producerId: 42, producerEpoch: 3 }] })
    t.match(await describe(node, 1), { errorCode: 3 })
  }
})

test('versions that do not know an error get one that they know, and try again by', async t => {
  const cluster = await clusterOf(t)
  const [one, two, three] = cluster.nodes as [Node, Node, Node]
  three.held.path = '/a-0/'
  const refused = one.produce('1')
  await cluster.until(() => two.partition().log.durableEndOffset === 1)
  cluster.fence(1)
  await cluster.settled()
  t.match(await refused, { errorCode: 6 })
  t.ok(two.partition().isLeader)
  t.equal(two.partition().highWatermark, 0, 'its reign began at 1')
  for (let version = 1; version <= 11; version++) {
    const code = version < 5 ? 'LEADER_NOT_AVAILABLE' : 'OFFSET_NOT_AVAILABLE'
    t.equal(await offsetAt(two, version, CONSUMER, -1), code, `ListOffsets ${version}`)
    t.equal(await offsetAt(two, version, DEBUGGING, -1), 1, 'the end of the log')
  }
  two.disk.inject({ operation: 'sync', path: '/a-0/', code: 'EIO' })
  t.equal((await two.produce('2')).errorCode, 56)
  for (let version = 4; version <= 18; version++) {
    const code = version < 6 ? 'NOT_LEADER_OR_FOLLOWER' : 'KAFKA_STORAGE_ERROR'
    t.same(await read(two, version, CONSUMER, 0), [code], `Fetch ${version}`)
  }
})
