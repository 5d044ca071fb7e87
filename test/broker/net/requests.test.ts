// The requests of one connection on a running broker: they begin in their order and are answered in it, one that waits
// does not keep the ones behind it from working, and a connection may only have so much in work.
import { connect, type Socket } from 'node:net'
import { test } from 'tap'
import { FrameReader } from '../../../broker/net/frames.ts'
import { type Connection, connect as connectRaw } from '../../../clients/connection.ts'
import { decodeResponse, encodeRequest } from '../../../protocol/frame.ts'
import { brokerHeartbeat } from '../../../protocol/messages/broker-heartbeat.ts'
import { brokerRegistration } from '../../../protocol/messages/broker-registration.ts'
import { createTopics } from '../../../protocol/messages/create-topics.ts'
import { fetch } from '../../../protocol/messages/fetch.ts'
import { joinGroup } from '../../../protocol/messages/join-group.ts'
import { listOffsets } from '../../../protocol/messages/list-offsets.ts'
import { metadata } from '../../../protocol/messages/metadata.ts'
import { produce } from '../../../protocol/messages/produce.ts'
import { buildBatch } from '../../../protocol/records/builder.ts'
import { METADATA_TOPIC_ID } from '../../../replication/controller/topic-names.ts'
import { LATEST, until, type World, worldOf } from '../broker-fixture.ts'

const batchOf = (bytes: number): Buffer =>
  buildBatch({ records: [{ timestamp: 1_700_000_000_000, key: null, value: Buffer.alloc(bytes, 'v') }] })

const append = (bytes = 10, acks = -1) => ({
  acks,
  timeoutMs: 30_000,
  topicData: [{ name: 't', partitionData: [{ index: 0, records: batchOf(bytes) }] }]
})

const wait = (fetchOffset: number) => ({
  maxWaitMs: 60_000,
  minBytes: 1,
  topics: [{ topic: 't', partitions: [{ partition: 0, fetchOffset, partitionMaxBytes: 1 << 25 }] }]
})

const latest = { replicaId: -1, topics: [{ name: 't', partitions: [{ partitionIndex: 0, timestamp: LATEST }] }] }

const endOf = (world: World): number =>
  world.broker.services.partitions.locate('t', null, 0).partition?.logEndOffset ?? -1

/** Notes the order in which the answers arrive. */
function noting(order: string[], name: string, answer: Promise<unknown>): Promise<unknown> {
  return answer.then(() => order.push(name))
}

test('a parked fetch does not stop the produce behind it, which wakes it', async t => {
  const world = await worldOf(t)
  await world.create('t')
  const client = await world.connect()
  const order: string[] = []
  await Promise.all([
    noting(order, 'fetch', client.send(fetch, 12, wait(0))),
    noting(order, 'produce', client.send(produce, 9, append())),
    noting(order, 'offsets', client.send(listOffsets, 7, latest)),
    noting(order, 'metadata', client.send(metadata, 9, { topics: [{ name: 't' }] }))
  ])
  t.same(order, ['fetch', 'produce', 'offsets', 'metadata'])
})

test('a join that waits for others holds the answers behind it, not the work', async t => {
  const world = await worldOf(t, 'group.initial.rebalance.delay.ms=3000', 'offsets.topic.num.partitions=1')
  await world.create('t')
  await world.metadata(['__consumer_offsets'])
  const client = await world.connect()
  const join = {
    groupId: 'g',
    sessionTimeoutMs: 10_000,
    rebalanceTimeoutMs: 10_000,
    memberId: '',
    protocolType: 'consumer',
    protocols: [{ name: 'range', metadata: Buffer.from('00010000000000000000', 'hex') }]
  }
  const order: string[] = []
  const answers = [
    noting(order, 'join', client.send(joinGroup, 3, join)),
    noting(order, 'produce', client.send(produce, 9, append()))
  ]
  await until(() => endOf(world) === 1, 'the batch is in the log')
  t.same(order, [])
  await world.passing(Promise.all(answers), 50)
  t.same(order, ['join', 'produce'])
})

test('many requests on one connection take effect in their order', async t => {
  const world = await worldOf(t)
  await world.create('t')
  const client = await world.connect()
  const answers = Array.from({ length: 200 }, (_, n) =>
    n % 3 === 0
      ? client.sendOneWay(produce, 9, append(10, 0))
      : client.send(produce, 9, append(10, n % 3 === 1 ? 1 : -1))
  )
  for (const [n, answer] of answers.entries()) {
    const reply = await answer
    if (reply) t.equal(reply.responses[0]?.partitionResponses[0]?.baseOffset, n)
  }
})

/** Sends as fast as it can; answers how much was taken once nothing more is. */
async function taken(world: World, client: Connection, count: number, bytes: number) {
  const answers = Array.from({ length: count }, () => client.send(produce, 9, append(bytes)))
  let before = -1
  let quiet = 0
  await until(() => {
    quiet = endOf(world) === before ? quiet + 1 : 0
    before = endOf(world)
    return quiet > 500
  }, 'nothing more is taken')
  return { answers, requests: endOf(world) }
}

test('a connection has so many requests in work, and so many bytes; others are served meanwhile', async t => {
  const world = await worldOf(t)
  await world.create('t', { 'max.message.bytes': '4000000' })
  const [client, other] = [await world.connect(), await world.connect()]
  for (const [count, bytes, most] of [
    [400, 10, 256],
    [30, 3_000_000, 12]
  ] as const) {
    const from = endOf(world)
    const release = world.holdSyncs()
    const { answers, requests } = await taken(world, client, count, bytes)
    t.equal(requests - from, most, `${count} requests of ${bytes} bytes`)
    t.ok((await other.send(metadata, 9, { topics: [] })).brokers.length > 0)
    release()
    for (const [n, answer] of answers.entries()) {
      t.equal((await answer).responses[0]?.partitionResponses[0]?.baseOffset, from + n)
    }
  }
})

test('a client that does not read its fetches harms only itself', async t => {
  const world = await worldOf(t)
  await world.create('t', { 'max.message.bytes': '4000000' })
  await world.produce('t', [{ value: Buffer.alloc(2_000_000) }])
  const { partitions } = world.broker.services
  const locate = partitions.locateTarget.bind(partitions)
  let looks = 0
  partitions.locateTarget = (...asked) => {
    looks++
    return locate(...asked)
  }
  const other = await world.connect()
  const slow = connect({ port: world.broker.listeners[0]?.port ?? 0, host: '127.0.0.1' })
  slow.pause()
  for (let n = 0; n < 100; n++) for (const bytes of encodeRequest(fetch, 12, n, 'slow', wait(0))) slow.write(bytes)
  for (let round = 0; round < 50; round++) await other.send(metadata, 9, { topics: [] })
  t.ok(looks > 0 && looks < 30, `${looks} of 100 were worked on`)
  const reader = new FrameReader({ maxBytes: 1 << 25 })
  const answers: number[] = []
  slow.on('data', chunk => {
    reader.push(chunk as Buffer)
    for (let frame = reader.next(); frame !== null; frame = reader.next()) {
      answers.push(decodeResponse(fetch, 12, frame).correlationId)
    }
  })
  slow.resume()
  await until(() => answers.length === 100, 'once it reads it gets everything')
  t.same(
    answers,
    answers.map((_, n) => n)
  )
  slow.destroy()
})

const NODE_2 = 'AAAAAAAAAAAAAAAAAAAAIg'

/** A broker that is nothing but a registration, as far as this test plays it; and a topic that it follows. */
async function followedBy2(world: World, controller: Connection): Promise<{ brokerEpoch: number; topicId: string }> {
  const { brokerEpoch } = await controller.send(brokerRegistration, 4, {
    ...{ brokerId: 2, clusterId: world.broker.clusterId, incarnationId: NODE_2, logDirs: [NODE_2] },
    listeners: [{ name: 'PLAINTEXT', host: '127.0.0.1', port: 1, securityProtocol: 0 }],
    features: [...world.broker.services.metadata.image.features.keys()].map(name => ({
      ...{ name, minSupportedVersion: 0, maxSupportedVersion: 100 }
    }))
  })
  const currentMetadataOffset = world.broker.services.metadata.endOffset
  await controller.send(brokerHeartbeat, 1, { brokerId: 2, brokerEpoch, currentMetadataOffset, wantFence: false })
  const topic = {
    ...{ name: 't', numPartitions: -1, replicationFactor: -1 },
    assignments: [{ partitionIndex: 0, brokerIds: [1, 2] }],
    configs: [{ name: 'max.message.bytes', value: '4000000' }]
  }
  const { topics } = await (await world.client()).send(createTopics, 7, { topics: [topic], timeoutMs: 10_000 })
  isSure(topics[0]?.errorCode === 0, `the topic: ${topics[0]?.errorMessage}`)
  return { brokerEpoch, topicId: topics[0]?.topicId ?? '' }
}

function isSure(isSo: boolean, what: string): void {
  if (!isSo) throw new Error(what)
}

/** Consumers that do not read, until what they are sent is more than they may have together. */
async function slowReaders(world: World): Promise<Socket[]> {
  const { answers } = world.broker.memory
  const sockets: Socket[] = []
  const port = world.broker.listeners[0]?.port ?? 0
  while (answers.consumer.hasRoom && sockets.length < 100) {
    const slow = connect({ port, host: '127.0.0.1' }).pause()
    sockets.push(slow)
    for (let n = 0; n < 4; n++) for (const bytes of encodeRequest(fetch, 12, n, 'slow', wait(0))) slow.write(bytes)
    for (let turn = 0; turn < 100; turn++) await new Promise(setImmediate)
  }
  return sockets
}

test('consumers that do not read keep each other waiting, and neither followers nor controllers', async t => {
  const world = await worldOf(
    t,
    'listeners=PLAINTEXT://127.0.0.1:0,CONTROLLER://127.0.0.1:0',
    'listener.security.protocol.map=PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT',
    'controller.listener.names=CONTROLLER',
    'moldau.memory.bytes=0',
    'moldau.tail.cache.bytes=16000000'
  )
  const { metadata: cache, controller } = world.broker.services
  const controllers = await connectRaw('127.0.0.1', cache.image.controllers.get(1)?.endPoints[0]?.port ?? 0)
  t.teardown(() => controllers.close())
  const { brokerEpoch, topicId } = await followedBy2(world, controllers)
  t.match(await world.produce('t', [{ value: Buffer.alloc(3_000_000) }], {}, 1), { errorCode: 0 })
  const [consumer, follower, stranger] = [await world.connect(), await world.connect(), await world.connect()]
  const fetchAs = (client: Connection, replicaEpoch: number, replicaId = 2, more = {}) =>
    client.send(fetch, 17, {
      replicaState: { replicaId, replicaEpoch },
      ...{ maxWaitMs: 0, minBytes: 0, maxBytes: 1 << 20 },
      topics: [{ topicId, partitions: [{ partition: 0, fetchOffset: 0, partitionMaxBytes: 1 << 20 }] }],
      ...more
    })
  // The follower has it all, so that consumers may see it.
  const next = [{ topicId, partitions: [{ partition: 0, fetchOffset: 1, partitionMaxBytes: 1 << 20 }] }]
  await fetchAs(follower, brokerEpoch, 2, { topics: next })
  const slow = await slowReaders(world)
  const { answers } = world.broker.memory
  t.notOk(answers.consumer.hasRoom, `${slow.length} of them hold ${answers.consumer.usedBytes} bytes`)
  let isServed = false
  const waiting = Promise.all([
    fetchAs(consumer, -1, -1),
    // Nobody knows such a broker, or not any more.
    fetchAs(stranger, brokerEpoch, 7),
    fetchAs(await world.connect(), brokerEpoch - 1)
  ]).then(replies => {
    isServed = true
    return replies
  })
  const quorumFetch = {
    ...{ replicaState: { replicaId: 9, replicaEpoch: -1 }, maxWaitMs: 0, minBytes: 0, maxBytes: 1 << 20 },
    topics: [{ topicId: METADATA_TOPIC_ID, partitions: [quorumPartition(controller.metadataLog.leaderEpoch)] }]
  }
  for (let round = 0; round < 3; round++) {
    const metadataReply = await soon(controllers.send(fetch, 17, quorumFetch))
    t.match(metadataReply.responses[0]?.partitions[0], { errorCode: 0 })
    t.ok(metadataReply.responses[0]?.partitions[0]?.records?.length)
    const reply = await soon(fetchAs(follower, brokerEpoch))
    t.ok(reply.responses[0]?.partitions[0]?.records?.length, 'a follower is served')
  }
  t.notOk(isServed, 'the others wait')
  t.ok(world.broker.memory.waiting >= 3)
  for (const each of slow) each.destroy()
  t.same(
    (await waiting).map(each => each.responses[0]?.partitions[0]?.errorCode),
    [0, 6, 6]
  )
  await until(() => world.broker.memory.accounts.every(each => each.usedBytes === 0), 'all is given back')
})

/** Without any time passing. */
async function soon<T>(answer: Promise<T>): Promise<T> {
  let isThere = false
  void answer.then(() => {
    isThere = true
  })
  await until(() => isThere, 'an answer while others wait')
  return await answer
}

const quorumPartition = (currentLeaderEpoch: number) => ({
  ...{ partition: 0, currentLeaderEpoch, fetchOffset: 1, lastFetchedEpoch: currentLeaderEpoch },
  partitionMaxBytes: 1 << 20
})
