// Which address a client is told: that of the listener it came in on, or, where a single broker names no host, the one
// that it used itself. A controller's listener serves controllers, and says so.
import { test } from 'tap'
import { endpointOf } from '../../broker/endpoints.ts'
import type { Services } from '../../broker/services.ts'
import { connect } from '../../clients/connection.ts'
import { ErrorCode } from '../../protocol/errors.ts'
import { apiVersions } from '../../protocol/messages/api-versions.ts'
import { describeCluster } from '../../protocol/messages/describe-cluster.ts'
import { describeQuorum } from '../../protocol/messages/describe-quorum.ts'
import { findCoordinator } from '../../protocol/messages/find-coordinator.ts'
import { metadata } from '../../protocol/messages/metadata.ts'
import { until, type World, worldOf } from './broker-fixture.ts'

const portOf = (world: World, name: string): number =>
  world.broker.listeners.find(each => each.name === name)?.port ?? 0

/** Every answer that carries an address, to a client that connected to this one. */
async function told(host: string, port: number) {
  const client = await connect(host, port)
  try {
    const { brokers } = await client.send(metadata, 12, { topics: [] })
    const cluster = await client.send(describeCluster, 1, {})
    await client.send(metadata, 12, { topics: [{ name: '__consumer_offsets' }], allowAutoTopicCreation: true })
    const { coordinators } = await client.send(findCoordinator, 4, { keyType: 0, coordinatorKeys: ['g'] })
    return [brokers[0], cluster.brokers[0], coordinators[0]].map(each => `${each?.host} ${each?.port}`)
  } finally {
    await client.close()
  }
}

test('a single broker without a host name: the address that the client used, IPv4 and IPv6 alike', async t => {
  const world = await worldOf(t, 'listeners=PLAINTEXT://:0')
  const port = portOf(world, 'PLAINTEXT')
  for (const host of ['127.0.0.1', '::1', '127.0.0.2']) {
    t.same(await told(host, port), Array(3).fill(`${host} ${port}`))
  }
})

test('in a cluster every node tells the same, also while one broker only is registered', t => {
  const endPoints = [{ name: 'PLAINTEXT', host: 'one.example.org', port: 9092 }]
  const brokers = new Map([[1, { brokerId: 1, fenced: false, rack: null, endPoints }]])
  const here = { listenerName: 'PLAINTEXT', localAddress: '10.0.0.9', localPort: 9999 }
  const told = (nodeId: number, voters: number) => {
    const config = { voters: Array(voters).fill({}), advertisedListeners: [{ name: 'PLAINTEXT', host: null }] }
    return endpointOf(1, here, { nodeId, config, metadata: { image: { brokers } } } as unknown as Services)?.host
  }
  t.equal(told(1, 3), 'one.example.org')
  t.equal(told(2, 3), 'one.example.org', 'by a broker that was just unregistered')
  t.equal(told(1, 1), '10.0.0.9')
  t.equal(told(1, 0), '10.0.0.9')
  t.end()
})

test('localhost is both loopback addresses', async t => {
  const world = await worldOf(t, 'listeners=PLAINTEXT://localhost:0')
  const port = portOf(world, 'PLAINTEXT')
  for (const host of ['127.0.0.1', '::1']) t.same(await told(host, port), Array(3).fill(`localhost ${port}`))
})

test('several listeners, each with its own advertised name', async t => {
  const world = await worldOf(
    t,
    'listeners=INSIDE://127.0.0.1:0,OUTSIDE://127.0.0.1:0',
    'listener.security.protocol.map=INSIDE:PLAINTEXT,OUTSIDE:PLAINTEXT',
    'inter.broker.listener.name=INSIDE',
    'advertised.listeners=INSIDE://10.0.0.1:0,OUTSIDE://broker.example.org:39092'
  )
  const [inside, outside] = [portOf(world, 'INSIDE'), portOf(world, 'OUTSIDE')]
  t.same(await told('127.0.0.1', inside), Array(3).fill(`10.0.0.1 ${inside}`))
  t.same(await told('127.0.0.1', outside), Array(3).fill('broker.example.org 39092'))
})

test("a controller's listener serves controllers", async t => {
  const world = await worldOf(
    t,
    'listeners=PLAINTEXT://127.0.0.1:0,CONTROLLER://127.0.0.1:0',
    'listener.security.protocol.map=PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT',
    'controller.listener.names=CONTROLLER'
  )
  const endPoint = world.broker.services.metadata.image.controllers.get(1)?.endPoints[0]
  const port = endPoint?.port ?? 0
  t.match(endPoint, { name: 'CONTROLLER', host: '127.0.0.1' })
  const client = await connect('127.0.0.1', port)
  const { apiKeys } = await client.send(apiVersions, 3, { clientSoftwareName: 'test', clientSoftwareVersion: '1' })
  const keys = new Set(apiKeys.map(each => each.apiKey))
  t.ok(keys.has(describeQuorum.key) && keys.has(describeCluster.key))
  t.notOk(keys.has(metadata.key) || keys.has(findCoordinator.key))
  t.match(await client.send(describeCluster, 1, { endpointType: 2 }), {
    errorCode: 0,
    endpointType: 2,
    clusterId: world.broker.clusterId,
    controllerId: 1,
    brokers: [{ brokerId: 1, host: '127.0.0.1', port }]
  })
  const wrong = await client.send(describeCluster, 1, { endpointType: 1 })
  t.equal(wrong.errorCode, ErrorCode.MISMATCHED_ENDPOINT_TYPE)
  const other = await (await world.client()).send(describeCluster, 1, { endpointType: 2 })
  t.equal(other.errorCode, ErrorCode.MISMATCHED_ENDPOINT_TYPE, 'nor do brokers answer for controllers')
  await t.rejects(client.send(metadata, 12, { topics: [] }), { code: 'ERR_DISCONNECTED' })
  await until(() => world.lines.at(-1)?.msg === 'connection-ended', 'a line')
  t.match(world.lines.at(-1), { reason: 'API key 3 is not served here' })
})

test("a controller's address is the one that is advertised for it", async t => {
  const world = await worldOf(
    t,
    'listeners=PLAINTEXT://127.0.0.1:0,CONTROLLER://:0',
    'listener.security.protocol.map=PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT',
    'controller.listener.names=CONTROLLER',
    'advertised.listeners=PLAINTEXT://127.0.0.1:0,CONTROLLER://one.example.org:0'
  )
  const port = world.broker.services.metadata.image.controllers.get(1)?.endPoints[0]?.port ?? 0
  const client = await connect('127.0.0.1', port)
  const cluster = await client.send(describeCluster, 1, { endpointType: 2 })
  t.match(cluster.brokers, [{ brokerId: 1, host: 'one.example.org', port }])
  const topics = [{ topicName: '__cluster_metadata', partitions: [{ partitionIndex: 0 }] }]
  const quorum = await client.send(describeQuorum, 2, { topics })
  t.match(quorum.nodes, [{ nodeId: 1, listeners: [{ name: 'CONTROLLER', host: 'one.example.org', port }] }])
  await client.close()
  t.same(await told('127.0.0.1', portOf(world, 'PLAINTEXT')), Array(3).fill(`127.0.0.1 ${portOf(world, 'PLAINTEXT')}`))
})
