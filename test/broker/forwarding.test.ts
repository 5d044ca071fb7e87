// Three brokers in this process: whatever only the active controller can answer is answered the same by every broker,
// and a topic that was created can be used on all of them. Envelopes that are wrong are refused as Kafka refuses them.
import { type Test, test } from 'tap'
import { type Connection, connect } from '../../clients/connection.ts'
import { type RunningCluster, startCluster } from '../../clients/index.ts'
import { ErrorCode, errorName } from '../../protocol/errors.ts'
import { encodeRequest } from '../../protocol/frame.ts'
import { allocateProducerIds } from '../../protocol/messages/allocate-producer-ids.ts'
import { alterConfigs } from '../../protocol/messages/alter-configs.ts'
import { alterPartition } from '../../protocol/messages/alter-partition.ts'
import { brokerHeartbeat } from '../../protocol/messages/broker-heartbeat.ts'
import { brokerRegistration } from '../../protocol/messages/broker-registration.ts'
import { createPartitions } from '../../protocol/messages/create-partitions.ts'
import { createTopics } from '../../protocol/messages/create-topics.ts'
import { deleteTopics } from '../../protocol/messages/delete-topics.ts'
import { describeCluster } from '../../protocol/messages/describe-cluster.ts'
import { electLeaders } from '../../protocol/messages/elect-leaders.ts'
import { envelope } from '../../protocol/messages/envelope.ts'
import { incrementalAlterConfigs } from '../../protocol/messages/incremental-alter-configs.ts'
import { initProducerId } from '../../protocol/messages/init-producer-id.ts'
import { metadata } from '../../protocol/messages/metadata.ts'
import { unregisterBroker } from '../../protocol/messages/unregister-broker.ts'
import { ZERO_UUID } from '../../protocol/types.ts'

const TOPIC = 2
const BROKER = 4

interface Three {
  readonly cluster: RunningCluster
  /** By node id. */
  readonly brokers: ReadonlyMap<number, Connection>
  readonly controllerId: number
  /** To the listener of the active controller, and of another one. */
  readonly controller: Connection
  readonly follower: Connection
}

async function three(t: Test, settings: Record<string, string | number> = {}): Promise<Three> {
  const cluster = await startCluster({ settings })
  t.teardown(() => cluster.stop())
  const open = async (address: string) => {
    const at = address.lastIndexOf(':')
    const connection = await connect(address.slice(0, at), Number(address.slice(at + 1)))
    t.teardown(() => connection.close().catch(() => {}))
    return connection
  }
  const brokers = new Map<number, Connection>()
  for (const { nodeId, bootstrap } of cluster.nodes) brokers.set(nodeId, await open(bootstrap))
  const services = cluster.node(1).broker?.services
  const controllerId = services?.controller.activeControllerId ?? -1
  const controllerOf = (nodeId: number) => {
    const address = services?.controller.metadataLog.controllerAddress(nodeId)
    return open(`${address?.host}:${address?.port}`)
  }
  const controller = await controllerOf(controllerId)
  const follower = await controllerOf((controllerId % 3) + 1)
  return { cluster, brokers, controllerId, controller, follower }
}

test('every broker answers what only the controller knows', async t => {
  const { brokers, controllerId, controller, follower } = await three(t)
  t.ok(controllerId > 0)

  await t.test('topics: made, grown, deleted, and known everywhere at once', async t => {
    for (const [nodeId, broker] of brokers) {
      const name = `made-by-${nodeId}`
      const topics = [{ name, numPartitions: 3, replicationFactor: 3 }]
      const made = (await broker.send(createTopics, 7, { topics, timeoutMs: 5000 })).topics[0]
      t.match(made, { name, errorCode: 0, numPartitions: 3, replicationFactor: 3 })
      t.equal((await broker.send(createTopics, 7, { topics, timeoutMs: 5000 })).topics[0]?.errorCode, 36)
      for (const [asked, other] of brokers) {
        const seen = await other.send(metadata, 12, { topics: [{ name }], allowAutoTopicCreation: false })
        t.match(seen.topics[0], { errorCode: 0, topicId: made?.topicId }, `node ${asked} knows what ${nodeId} made`)
        t.ok(seen.topics[0]?.partitions.every(each => each.errorCode === 0 && each.isrNodes.length === 3))
      }
      const grown = await broker.send(createPartitions, 3, { topics: [{ name, count: 4, assignments: null }] })
      t.match(grown.results, [{ name, errorCode: 0 }])
      const elected = await broker.send(electLeaders, 2, { topicPartitions: [{ topic: name, partitions: [0] }] })
      t.equal(errorName(elected.replicaElectionResults[0]?.partitionResult[0]?.errorCode ?? -2), 'ELECTION_NOT_NEEDED')
      const gone = await broker.send(deleteTopics, 6, { topics: [{ name, topicId: ZERO_UUID }], timeoutMs: 5000 })
      t.match(gone.responses, [{ name, errorCode: 0 }])
      for (const other of brokers.values()) {
        const seen = await other.send(metadata, 12, { topics: [{ name }], allowAutoTopicCreation: false })
        t.equal(seen.topics[0]?.errorCode, ErrorCode.UNKNOWN_TOPIC_OR_PARTITION)
      }
      t.equal((await broker.send(unregisterBroker, 0, { brokerId: 9 })).errorCode, ErrorCode.BROKER_ID_NOT_REGISTERED)
    }
  })

  await t.test('topics that are made on the way can be used where they were asked for', async t => {
    for (const [nodeId, broker] of brokers) {
      const topics = [{ name: `auto-${nodeId}` }]
      const seen = await broker.send(metadata, 12, { topics, allowAutoTopicCreation: true })
      t.match(seen.topics[0], { errorCode: 0, partitions: [{ errorCode: 0 }] })
    }
    const all = await Promise.all(
      [...brokers.values()].map(each =>
        each.send(metadata, 12, { topics: [{ name: 'wanted-by-all' }], allowAutoTopicCreation: true })
      )
    )
    t.strictSame(
      all.map(each => each.topics[0]?.errorCode),
      [0, 0, 0]
    )
    t.equal(new Set(all.map(each => each.topics[0]?.topicId)).size, 1)
  })

  await t.test('settings: the part of this broker here, the rest where it is decided', async t => {
    for (const [nodeId, broker] of brokers) {
      const change = (name: string, value: string) => [{ name, configOperation: 0, value }]
      const resources = [
        { resourceType: TOPIC, resourceName: 'auto-1', configs: change('retention.ms', String(1000 + nodeId)) },
        { resourceType: BROKER, resourceName: String(nodeId), configs: change('log.cleaner.threads', '1') },
        { resourceType: BROKER, resourceName: String((nodeId % 3) + 1), configs: change('log.cleaner.threads', '1') },
        { resourceType: TOPIC, resourceName: 'nowhere', configs: change('retention.ms', '1') }
      ]
      const reply = await broker.send(incrementalAlterConfigs, 1, { resources, validateOnly: false })
      t.strictSame(
        reply.responses.map(({ errorCode, resourceName }) => [errorName(errorCode), resourceName]),
        [
          ['NONE', 'auto-1'],
          ['NONE', String(nodeId)],
          ['INVALID_REQUEST', String((nodeId % 3) + 1)],
          ['UNKNOWN_TOPIC_OR_PARTITION', 'nowhere']
        ]
      )
      const legacy = [{ resourceType: TOPIC, resourceName: 'auto-1', configs: [{ name: 'retention.ms', value: '5' }] }]
      const replaced = await broker.send(alterConfigs, 2, { resources: legacy, validateOnly: true })
      t.match(replaced.responses, [{ errorCode: 0, errorMessage: null, resourceName: 'auto-1' }])
    }
  })

  await t.test('producer ids: of one cluster, not of one broker', async t => {
    const request = { transactionalId: null, producerId: -1, producerEpoch: -1, transactionTimeoutMs: 1000 }
    const ids = await Promise.all([...brokers.values()].map(each => each.send(initProducerId, 4, request)))
    t.ok(ids.every(each => each.errorCode === 0))
    t.equal(new Set(ids.map(each => Math.floor(each.producerId / 1000))).size, 3, 'each broker has its own block')
  })

  await t.test('the controllers know each other', async t => {
    const known = await controller.send(describeCluster, 1, { endpointType: 2 })
    t.equal(known.controllerId, controllerId)
    t.strictSame(known.brokers.map(each => each.brokerId).sort(), [1, 2, 3])
  })

  await t.test('envelopes', async t => {
    const who = Buffer.from([0, 0, 5, ...Buffer.from('User'), 10, ...Buffer.from('ANONYMOUS'), 0, 0])
    const from = Buffer.from([127, 0, 0, 1])
    const inside = (name: string, version = 7) => {
      const request = { topics: [{ name, numPartitions: 1, replicationFactor: 1 }], timeoutMs: 5000 }
      const frame = Buffer.concat(encodeRequest(createTopics, 7, 5, 'me', request)).subarray(4)
      frame.writeInt16BE(version, 2)
      return frame
    }
    const send = async (requestData: Buffer, requestPrincipal: Buffer | null = who, clientHostAddress = from) =>
      controller.send(envelope, 0, { requestData, requestPrincipal, clientHostAddress })
    const good = await send(inside('in-an-envelope'))
    t.equal(good.errorCode, 0)
    t.equal(good.responseData?.readInt32BE(0), 5, 'the correlation id of the client')
    t.match((await send(inside('x'), null)).errorCode, ErrorCode.PRINCIPAL_DESERIALIZATION_FAILURE)
    t.match((await send(inside('x'), Buffer.from([0, 0, 99]))).errorCode, ErrorCode.PRINCIPAL_DESERIALIZATION_FAILURE)
    t.match((await send(inside('x'), who, Buffer.from([1]))).errorCode, ErrorCode.INVALID_REQUEST)
    t.equal((await send(inside('x', 99))).errorCode, ErrorCode.UNSUPPORTED_VERSION)
    t.equal((await send(inside('x').subarray(0, 30))).errorCode, ErrorCode.UNSUPPORTED_VERSION)
    t.equal((await send(Buffer.alloc(3))).errorCode, ErrorCode.UNSUPPORTED_VERSION)
    const foreign = Buffer.concat(encodeRequest(metadata, 12, 5, 'me', { topics: [] })).subarray(4)
    t.equal((await send(foreign)).errorCode, ErrorCode.INVALID_REQUEST, 'not to be forwarded')
    const request = { requestData: inside('x'), requestPrincipal: who, clientHostAddress: from }
    t.equal((await follower.send(envelope, 0, request)).errorCode, ErrorCode.NOT_CONTROLLER)
  })

  await t.test('a controller that is not the active one says so', async t => {
    const beat = { brokerId: 1, brokerEpoch: 1, currentMetadataOffset: 0, wantFence: false, wantShutDown: false }
    t.equal((await follower.send(brokerHeartbeat, 1, beat)).errorCode, ErrorCode.NOT_CONTROLLER)
    t.equal((await follower.send(brokerRegistration, 4, { brokerId: 7 })).errorCode, ErrorCode.NOT_CONTROLLER)
    t.equal((await follower.send(alterPartition, 3, { brokerId: 1 })).errorCode, ErrorCode.NOT_CONTROLLER)
    t.equal((await follower.send(allocateProducerIds, 0, { brokerId: 1 })).errorCode, ErrorCode.NOT_CONTROLLER)
    const topics = [{ name: 'x', numPartitions: 1, replicationFactor: 1 }]
    t.match((await follower.send(createTopics, 7, { topics, timeoutMs: 1 })).topics, [
      { name: 'x', errorCode: ErrorCode.NOT_CONTROLLER }
    ])
    t.equal((await controller.send(brokerHeartbeat, 1, beat)).errorCode, ErrorCode.STALE_BROKER_EPOCH)
    t.equal(
      (await controller.send(brokerHeartbeat, 1, { ...beat, brokerId: 9 })).errorCode,
      ErrorCode.BROKER_ID_NOT_REGISTERED
    )
    t.equal(
      (await controller.send(allocateProducerIds, 0, { brokerId: 1, brokerEpoch: 0 })).errorCode,
      ErrorCode.STALE_BROKER_EPOCH
    )
  })
})

test('the controller goes: what is asked meanwhile is answered by the next one', async t => {
  for (const how of ['stop', 'kill'] as const) {
    const { cluster, brokers, controllerId } = await three(t)
    const others = [...brokers].filter(([nodeId]) => nodeId !== controllerId).map(([, broker]) => broker)
    const answers = new Map<string, number>()
    let asked = 0
    let isGone = false
    const ask = async (broker: Connection) => {
      while (!isGone || asked < 8) {
        const name = `topic-${asked++}`
        const topics = [{ name, numPartitions: 1, replicationFactor: 2 }]
        const made = (await broker.send(createTopics, 7, { topics, timeoutMs: 5000 })).topics[0]
        answers.set(errorName(made?.errorCode ?? -2), 1 + (answers.get(errorName(made?.errorCode ?? -2)) ?? 0))
      }
    }
    const asking = others.map(ask)
    await (how === 'stop' ? cluster.node(controllerId).stop() : cluster.kill(controllerId))
    isGone = true
    await Promise.all(asking)
    // Made by a controller that could not say so any more, and asked for again.
    answers.delete('TOPIC_ALREADY_EXISTS')
    t.strictSame([...answers.keys()], ['NONE'], how)
    const named = await others[0]?.send(metadata, 12, { topics: [], allowAutoTopicCreation: false })
    t.not(named?.controllerId, controllerId)
  }
})

test('without a controller: refused in time, each thing that was asked for', async t => {
  const { cluster, brokers, controllerId } = await three(t, { 'request.timeout.ms': 300 })
  const last = (controllerId % 3) + 1
  for (const { nodeId } of cluster.nodes) if (nodeId !== last) await cluster.kill(nodeId)
  const broker = brokers.get(last)
  const topics = [{ name: 'x', numPartitions: 1, replicationFactor: 1 }, { name: 'y' }]
  const made = await broker?.send(createTopics, 7, { topics, timeoutMs: 1000 })
  t.strictSame(
    made?.topics.map(({ name, errorCode }) => [name, errorName(errorCode)]),
    [
      ['x', 'REQUEST_TIMED_OUT'],
      ['y', 'REQUEST_TIMED_OUT']
    ]
  )
  const gone = await broker?.send(deleteTopics, 6, { topics: [{ name: 'x', topicId: ZERO_UUID }], timeoutMs: 1000 })
  t.match(gone?.responses, [{ name: 'x', errorCode: ErrorCode.REQUEST_TIMED_OUT }])
  const seen = await broker?.send(metadata, 12, { topics: [{ name: 'x' }], allowAutoTopicCreation: true })
  t.match(seen?.topics, [{ name: 'x', errorCode: ErrorCode.LEADER_NOT_AVAILABLE }], 'every client asks again')
})
