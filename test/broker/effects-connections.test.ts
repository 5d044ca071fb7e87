// What the settings of listeners, connections and requests do to a running broker, each seen from a client.
import { test } from 'tap'
import { ErrorCode } from '../../protocol/errors.ts'
import { apiVersions } from '../../protocol/messages/api-versions.ts'
import { createTopics } from '../../protocol/messages/create-topics.ts'
import { deleteTopics } from '../../protocol/messages/delete-topics.ts'
import { describeTopicPartitions } from '../../protocol/messages/describe-topic-partitions.ts'
import { fetch } from '../../protocol/messages/fetch.ts'
import { ZERO_UUID } from '../../protocol/types.ts'
import { until, type World, worldOf } from './broker-fixture.ts'

const BROKER = 4

/** True if the broker serves the connection, false if it hangs up. */
async function isServed(world: World): Promise<boolean> {
  const connection = await world.connect()
  try {
    await connection.send(apiVersions, 3, { clientSoftwareName: 'test', clientSoftwareVersion: '1' })
    return true
  } catch {
    return false
  }
}

test('listeners, advertised.listeners: each client is told the address of its own listener', async t => {
  const world = await worldOf(
    t,
    'listeners=PLAINTEXT://127.0.0.1:0,INSIDE://127.0.0.1:0,OPEN://:0',
    'listener.security.protocol.map=PLAINTEXT:PLAINTEXT,INSIDE:PLAINTEXT,OPEN:PLAINTEXT',
    'advertised.listeners=PLAINTEXT://outside.example.org:1234,INSIDE://127.0.0.1:0,OPEN://:0',
    'broker.rack=shelf'
  )
  const told = async (name: string) => {
    const { brokers } = await world.metadata([], await world.connect(name))
    return brokers.map(each => [each.host, each.port, each.rack])
  }
  const portOf = (name: string) => world.broker.listeners.find(each => each.name === name)?.port
  t.same(await told('PLAINTEXT'), [['outside.example.org', 1234, 'shelf']])
  t.same(await told('INSIDE'), [['127.0.0.1', portOf('INSIDE'), 'shelf']])
  t.same(await told('OPEN'), [['127.0.0.1', portOf('OPEN'), 'shelf']], 'no host: the address that the client used')
})

test('max.connections, also while it runs', async t => {
  const world = await worldOf(t, 'max.connections=3')
  const served = async () => [
    await isServed(world),
    await isServed(world),
    await isServed(world),
    await isServed(world)
  ]
  t.same(await served(), [true, true, true, false])
  t.match(world.lines.at(-1), { msg: 'connection-refused', limit: 'max.connections' })
  const dynamic = await worldOf(t, 'max.connections=9')
  await dynamic.client()
  t.equal(await dynamic.set(BROKER, '', 'max.connections', '2'), 0)
  t.same([await isServed(dynamic), await isServed(dynamic)], [true, false])
})

test('max.connections.per.ip and its overrides', async t => {
  const one = await worldOf(t, 'max.connections.per.ip=1')
  t.same([await isServed(one), await isServed(one)], [true, false])
  const two = await worldOf(
    t,
    'max.connections.per.ip=1',
    'max.connections.per.ip.overrides=10.0.0.1:9,127.0.0.1:2',
    'listeners=PLAINTEXT://:0'
  )
  t.same(
    [await isServed(two), await isServed(two), await isServed(two)],
    [true, true, false],
    'IPv4 on an IPv6 socket, too'
  )
})

test('connections.max.idle.ms: silence ends a connection, traffic does not', async t => {
  const world = await worldOf(t, 'connections.max.idle.ms=1000')
  const [silent, busy] = [await world.connect(), await world.connect()]
  let ended = false
  void silent.closed.then(() => {
    ended = true
  })
  for (let ms = 0; ms < 1500; ms += 250) {
    await busy.send(apiVersions, 3, { clientSoftwareName: 'test', clientSoftwareVersion: '1' })
    world.clock.advance(250)
  }
  await until(() => ended, 'the silent connection is closed')
  await t.resolves(busy.send(apiVersions, 3, { clientSoftwareName: 'test', clientSoftwareVersion: '1' }))
})

test('socket.request.max.bytes: a larger request ends its connection, and no other', async t => {
  const world = await worldOf(t, 'socket.request.max.bytes=10000')
  await world.create('t')
  t.match(await world.produce('t', [{ value: 'x'.repeat(9000) }]), { errorCode: 0 })
  const other = await world.connect()
  await t.rejects(world.produce('t', [{ value: 'x'.repeat(10_000) }]), { code: 'ERR_DISCONNECTED' })
  await t.resolves(other.send(apiVersions, 3, { clientSoftwareName: 'test', clientSoftwareVersion: '1' }))
})

test('fetch.max.bytes: the most that one answer carries, but always a batch', async t => {
  const world = await worldOf(t, 'fetch.max.bytes=3000')
  await world.create('t')
  for (let n = 0; n < 5; n++) await world.produce('t', [{ value: 'x'.repeat(1000) }])
  const { records } = await world.fetch('t', 0)
  t.ok(records && records.length > 2000 && records.length <= 3000, `${records?.length} bytes`)
  await world.produce('t', [{ value: 'x'.repeat(5000) }])
  t.ok(((await world.fetch('t', 5)).records?.length ?? 0) > 5000)
})

test('max.incremental.fetch.session.cache.slots: no slot, no session', async t => {
  const opened = async (slots: number) => {
    const world = await worldOf(t, `max.incremental.fetch.session.cache.slots=${slots}`)
    await world.create('t')
    const request = {
      maxWaitMs: 0,
      sessionId: 0,
      sessionEpoch: 0,
      topics: [{ topic: 't', partitions: [{ partition: 0 }] }]
    }
    return (await (await world.client()).send(fetch, 12, request)).sessionId
  }
  t.not(await opened(1), 0)
  t.equal(await opened(0), 0)
})

test('max.request.partition.size.limit: partitions in one DescribeTopicPartitions answer', async t => {
  const world = await worldOf(t, 'max.request.partition.size.limit=2')
  await world.create('t', {}, 5)
  const request = { topics: [{ name: 't' }], responsePartitionLimit: 100, cursor: null }
  const reply = await (await world.client()).send(describeTopicPartitions, 0, request)
  t.equal(reply.topics[0]?.partitions.length, 2)
  t.match(reply.nextCursor, { topicName: 't', partitionIndex: 2 })
})

test('auto.create.topics.enable, num.partitions, default.replication.factor', async t => {
  const on = await worldOf(t, 'num.partitions=3')
  t.match((await on.metadata(['new'])).topics, [{ errorCode: 0, partitions: [{}, {}, {}] }])
  const off = await worldOf(t, 'auto.create.topics.enable=false')
  t.match((await off.metadata(['new'])).topics, [{ errorCode: ErrorCode.UNKNOWN_TOPIC_OR_PARTITION }])
  const more = await worldOf(t, 'num.partitions=4', 'default.replication.factor=2')
  const topics = [
    { name: 'a', numPartitions: -1, replicationFactor: 1 },
    { name: 'b', numPartitions: 1, replicationFactor: -1 }
  ]
  const reply = await (await more.client()).send(createTopics, 7, { topics, timeoutMs: 10_000 })
  t.match(reply.topics[0], { errorCode: 0, numPartitions: 4 })
  t.match(reply.topics[1], { errorCode: ErrorCode.INVALID_REPLICATION_FACTOR })
})

test('delete.topic.enable', async t => {
  const deleted = async (...set: string[]) => {
    const world = await worldOf(t, ...set)
    await world.create('t')
    const request = { topics: [{ name: 't', topicId: ZERO_UUID }], timeoutMs: 10_000 }
    return (await (await world.client()).send(deleteTopics, 6, request)).responses[0]?.errorCode
  }
  t.equal(await deleted(), 0)
  t.equal(await deleted('delete.topic.enable=false'), ErrorCode.TOPIC_DELETION_DISABLED)
})

test('offsets.topic.num.partitions, .replication.factor, .segment.bytes: the offsets topic when it is made', async t => {
  const world = await worldOf(
    t,
    'offsets.topic.num.partitions=7',
    'offsets.topic.segment.bytes=1048576',
    'offsets.topic.replication.factor=3'
  )
  await world.metadata(['__consumer_offsets'])
  const { topics } = await world.metadata(['__consumer_offsets'])
  t.equal(topics[0]?.partitions.length, 7)
  t.equal(topics[0]?.partitions[0]?.replicaNodes.length, 1, 'no more replicas than brokers')
  const own = world.broker.services.metadata.topicConfigs('__consumer_offsets')
  t.equal(own.get('segment.bytes'), '1048576')
})

test('moldau.cluster.id: the name of a new cluster', async t => {
  const world = await worldOf(t, 'moldau.cluster.id=5L6g3nShT-eMCtK--X86sw')
  t.equal((await world.metadata([])).clusterId, '5L6g3nShT-eMCtK--X86sw')
})

test('broker.heartbeat.interval.ms, broker.session.timeout.ms: silence for a session fences a broker', async t => {
  const within = async (heartbeatMs: number, sessionMs: number, expired: boolean) => {
    const world = await worldOf(
      t,
      `broker.heartbeat.interval.ms=${heartbeatMs}`,
      `broker.session.timeout.ms=${sessionMs}`
    )
    const end = world.clock.nowMs() + 10_000
    const isExpired = () => world.lines.some(each => each.msg === 'broker-session-expired')
    await until(() => {
      world.clock.advance(50)
      return expired ? isExpired() : world.clock.nowMs() >= end
    }, 'ten seconds, or the end of the session')
    t.equal(isExpired(), expired, `heartbeat ${heartbeatMs}, session ${sessionMs}`)
  }
  await within(500, 2000, false)
  await within(60_000, 2000, true)
  await within(60_000, 20_000, false)
})
