// Topics, cluster, quorum, leaders and producer ids over the wire, at every version that is offered: what an admin
// client sees of one broker, and what it is refused.
import { test } from 'tap'
import { HANDLERS } from '../../../broker/handlers/index.ts'
import type { Connection } from '../../../clients/connection.ts'
import { ErrorCode, errorName } from '../../../protocol/errors.ts'
import { apiVersions } from '../../../protocol/messages/api-versions.ts'
import { createPartitions } from '../../../protocol/messages/create-partitions.ts'
import { createTopics } from '../../../protocol/messages/create-topics.ts'
import { deleteTopics } from '../../../protocol/messages/delete-topics.ts'
import { describeCluster } from '../../../protocol/messages/describe-cluster.ts'
import { describeQuorum } from '../../../protocol/messages/describe-quorum.ts'
import { describeTopicPartitions } from '../../../protocol/messages/describe-topic-partitions.ts'
import { electLeaders } from '../../../protocol/messages/elect-leaders.ts'
import { initProducerId } from '../../../protocol/messages/init-producer-id.ts'
import { unregisterBroker } from '../../../protocol/messages/unregister-broker.ts'
import type { Api } from '../../../protocol/schema.ts'
import { ZERO_UUID } from '../../../protocol/types.ts'
import { until, worldOf } from '../broker-fixture.ts'

function versionsOf({ versions: [lowest, highest] }: Api): number[] {
  return Array.from({ length: highest - lowest + 1 }, (_, index) => lowest + index)
}

const newTopic = (name: string, numPartitions = 1) => ({ name, numPartitions, replicationFactor: 1 })

test('topics are created, grown and deleted at every version', async t => {
  const world = await worldOf(t, 'num.partitions=3')
  const client = await world.client()
  for (const version of versionsOf(createTopics)) {
    const topics = [
      { ...newTopic(`t${version}`, 2), configs: [{ name: 'retention.ms', value: '77' }] },
      newTopic('no way')
    ]
    const reply = await client.send(createTopics, version, { topics, timeoutMs: 1000 })
    t.match(reply.topics, [
      { name: `t${version}`, errorCode: 0, errorMessage: null },
      { errorCode: ErrorCode.INVALID_TOPIC_EXCEPTION }
    ])
    if (version >= 7)
      t.equal(reply.topics[0]?.topicId, world.broker.services.metadata.image.topicsByName.get('t7')?.topicId)
    if (version < 5) continue
    t.match(reply.topics[0], { numPartitions: 2, replicationFactor: 1, topicConfigErrorCode: 0 })
    t.match(
      reply.topics[0]?.configs?.find(each => each.name === 'retention.ms'),
      { value: '77', configSource: 1 }
    )
    t.match(
      reply.topics[0]?.configs?.find(each => each.name === 'cleanup.policy'),
      { value: 'delete', configSource: 5 }
    )
  }
  const defaults = await client.send(createTopics, 7, {
    topics: [{ name: 'plain', numPartitions: -1, replicationFactor: -1 }]
  })
  t.match(defaults.topics[0], { errorCode: 0, numPartitions: 3 })
  for (const version of versionsOf(createPartitions)) {
    const count = 3 + version
    const reply = await client.send(createPartitions, version, {
      topics: [{ name: 't2', count, assignments: null }],
      timeoutMs: 1000
    })
    t.match(reply.results, [{ name: 't2', errorCode: 0, errorMessage: null }])
    const described = await world.metadata(['t2'])
    t.equal(described.topics[0]?.partitions.length, count, 'visible at once')
    t.ok(described.topics[0]?.partitions.every(each => each.errorCode === 0 && each.leaderId === 1))
  }
  for (const version of versionsOf(deleteTopics)) {
    const name = version === 6 ? 't7' : `t${version + 1}`
    const topicId = world.broker.services.metadata.image.topicsByName.get(name)?.topicId ?? ZERO_UUID
    const request =
      version < 6 ? { topicNames: [name, 'gone'] } : { topics: [{ name: null, topicId }, { name: 'gone' }] }
    const { responses } = await client.send(deleteTopics, version, { ...request, timeoutMs: 1000 })
    t.match(responses, [{ name }, { name: 'gone', errorCode: ErrorCode.UNKNOWN_TOPIC_OR_PARTITION }])
    t.equal(responses[0]?.errorCode, 0)
    if (version === 6) t.equal(responses[0]?.topicId, topicId)
  }
})

test('ApiVersions: what works, and nothing else', async t => {
  const world = await worldOf(t)
  const client = await world.client()
  const software = { clientSoftwareName: 'moldau-test', clientSoftwareVersion: '1.0' }
  for (const version of versionsOf(apiVersions)) {
    const reply = await client.send(apiVersions, version, version < 3 ? {} : software)
    t.equal(reply.errorCode, 0)
    t.strictSame(
      reply.apiKeys.map(each => each.apiKey),
      HANDLERS.filter(each => each.api.listeners.includes('broker')).map(each => each.api.key)
    )
    t.match(
      reply.apiKeys.find(each => each.apiKey === 0),
      { minVersion: 0, maxVersion: 13 },
      'Produce from 0 (KAFKA-18659)'
    )
    t.match(
      reply.apiKeys.find(each => each.apiKey === 3),
      { minVersion: 0, maxVersion: 13 }
    )
    if (version < 3) continue
    const supported = reply.supportedFeatures.map(each => each.name)
    t.ok(supported.includes('metadata.version'))
    t.equal(supported.includes('group.version'), version >= 4, 'a lowest level of 0 is shown since 4')
    t.strictSame(
      reply.finalizedFeatures.map(each => [each.name, each.maxVersionLevel]),
      [
        ['metadata.version', 30],
        ['eligible.leader.replicas.version', 1]
      ]
    )
    t.ok(reply.finalizedFeaturesEpoch > 0)
  }
  for (const clientSoftwareName of ['', '-x', 'a b']) {
    t.equal(
      (await client.send(apiVersions, 3, { ...software, clientSoftwareName })).errorCode,
      ErrorCode.INVALID_REQUEST
    )
  }
})

test('DescribeCluster', async t => {
  const world = await worldOf(t)
  const client = await world.client()
  const [listener] = world.broker.listeners
  for (const version of versionsOf(describeCluster)) {
    const reply = await client.send(describeCluster, version, { includeClusterAuthorizedOperations: version > 0 })
    t.match(reply, { errorCode: 0, errorMessage: null, clusterId: world.broker.clusterId, controllerId: 1 })
    t.match(reply.brokers, [{ brokerId: 1, host: '127.0.0.1', port: listener?.port, rack: null, isFenced: false }])
    t.equal(reply.clusterAuthorizedOperations > 0, version > 0)
  }
  const asks = async (endpointType: number) =>
    errorName((await client.send(describeCluster, 1, { endpointType })).errorCode)
  t.equal(await asks(2), 'MISMATCHED_ENDPOINT_TYPE')
  t.equal(await asks(9), 'UNSUPPORTED_ENDPOINT_TYPE')
})

test('DescribeQuorum', async t => {
  const world = await worldOf(t)
  const client = await world.client()
  const topics = [
    { topicName: '__cluster_metadata', partitions: [{ partitionIndex: 0 }] },
    { topicName: 'other', partitions: [{ partitionIndex: 0 }] }
  ]
  for (const version of versionsOf(describeQuorum)) {
    const reply = await client.send(describeQuorum, version, { topics })
    const [quorum] = reply.topics[0]?.partitions ?? []
    t.match(quorum, { errorCode: 0, leaderId: 1, leaderEpoch: 1, currentVoters: [{ replicaId: 1 }], observers: [] })
    t.ok((quorum?.highWatermark ?? 0) > 0)
    t.equal(quorum?.currentVoters[0]?.logEndOffset, quorum?.highWatermark)
    t.equal(reply.topics[1]?.partitions[0]?.errorCode, ErrorCode.UNKNOWN_TOPIC_OR_PARTITION)
    if (version >= 2) t.match(reply.nodes, [{ nodeId: 1 }])
  }
})

async function pages(client: Connection, topics: { name: string }[], responsePartitionLimit: number) {
  const seen: string[] = []
  let cursor: { topicName: string; partitionIndex: number } | null = null
  for (let page = 0; page < 50; page++) {
    const reply: Awaited<ReturnType<typeof client.send<typeof describeTopicPartitions>>> = await client.send(
      describeTopicPartitions,
      0,
      { topics, responsePartitionLimit, cursor }
    )
    for (const { name, partitions } of reply.topics)
      for (const { partitionIndex } of partitions) seen.push(`${name}-${partitionIndex}`)
    cursor = reply.nextCursor
    if (cursor === null) return seen
  }
  throw new Error('pages without end')
}

test('DescribeTopicPartitions: page by page, each partition once, in order', async t => {
  const world = await worldOf(t)
  const client = await world.client()
  for (const [name, count] of [
    ['b', 5],
    ['a', 3],
    ['c', 1]
  ] as const)
    await world.create(name, {}, count)
  const all = ['a-0', 'a-1', 'a-2', 'b-0', 'b-1', 'b-2', 'b-3', 'b-4', 'c-0']
  for (const limit of [1, 2, 3, 4, 9, 2000, 0]) t.strictSame(await pages(client, [], limit), all, `limit ${limit}`)
  t.strictSame(await pages(client, [{ name: 'c' }, { name: 'a' }], 2), ['a-0', 'a-1', 'a-2', 'c-0'])
  const ask = (request: object) => client.send(describeTopicPartitions, 0, request)
  const unknown = await ask({ topics: [{ name: 'x' }, { name: 'no way' }, { name: 'a' }] })
  t.match(unknown.topics, [
    ...[
      {
        name: 'a',
        errorCode: 0,
        partitions: [{ errorCode: 0, leaderId: 1, isrNodes: [1], eligibleLeaderReplicas: [], offlineReplicas: [] }]
      }
    ],
    ...[
      { name: 'no way', errorCode: ErrorCode.INVALID_TOPIC_EXCEPTION },
      { name: 'x', errorCode: ErrorCode.UNKNOWN_TOPIC_OR_PARTITION }
    ]
  ])
  const outside = await ask({ topics: [{ name: 'a' }], cursor: { topicName: 'b', partitionIndex: 0 } })
  t.match(outside.topics, [{ name: 'a', errorCode: ErrorCode.INVALID_REQUEST }])
  const negative = await ask({ topics: [{ name: 'a' }], cursor: { topicName: 'a', partitionIndex: -1 } })
  t.match(negative.topics, [{ name: 'a', errorCode: ErrorCode.INVALID_REQUEST }])
})

test('ElectLeaders', async t => {
  const world = await worldOf(t)
  const client = await world.client()
  await world.create('a', {}, 2)
  for (const version of versionsOf(electLeaders)) {
    const reply = await client.send(electLeaders, version, { topicPartitions: [{ topic: 'a', partitions: [0, 7] }] })
    t.match(reply.replicaElectionResults, [
      {
        topic: 'a',
        partitionResult: [
          { errorCode: ErrorCode.ELECTION_NOT_NEEDED },
          { errorCode: ErrorCode.UNKNOWN_TOPIC_OR_PARTITION }
        ]
      }
    ])
    const all = await client.send(electLeaders, version, { topicPartitions: null })
    t.strictSame(
      all.replicaElectionResults.flatMap(each => each.partitionResult),
      []
    )
  }
  t.equal(
    (await client.send(electLeaders, 2, { electionType: 5, topicPartitions: null })).errorCode,
    ErrorCode.INVALID_REQUEST
  )
})

test('InitProducerId: a new id for whoever asks, transactions refused for good', async t => {
  const world = await worldOf(t)
  const client = await world.client()
  const seen = new Set<number>()
  for (const version of versionsOf(initProducerId)) {
    const reply = await client.send(initProducerId, version, { transactionalId: null, transactionTimeoutMs: 1000 })
    t.match(reply, { errorCode: 0, producerEpoch: 0 })
    seen.add(reply.producerId)
    const refused = await client.send(initProducerId, version, { transactionalId: 'x', transactionTimeoutMs: 1000 })
    t.match(refused, { errorCode: ErrorCode.TRANSACTIONAL_ID_AUTHORIZATION_FAILED, producerId: -1, producerEpoch: -1 })
  }
  t.equal(seen.size, versionsOf(initProducerId).length)
  const known = await client.send(initProducerId, 5, { transactionalId: null, producerId: 1, producerEpoch: 3 })
  t.notOk(seen.has(known.producerId), 'a fresh one all the same')
  const half = await client.send(initProducerId, 5, { transactionalId: null, producerId: 1, producerEpoch: -1 })
  t.equal(half.errorCode, ErrorCode.INVALID_REQUEST)
})

test('UnregisterBroker: one that lives comes back by itself, and leads in a new epoch', async t => {
  const world = await worldOf(t)
  const client = await world.client()
  t.match(await client.send(unregisterBroker, 0, { brokerId: 9 }), {
    ...{ errorCode: ErrorCode.BROKER_ID_NOT_REGISTERED, errorMessage: /9/ }
  })
  await world.create('a')
  t.equal((await world.produce('a', [{ value: 'one' }])).errorCode, 0)
  const { image } = world.broker.services.metadata
  const before = image.topicsByName.get('a')?.partitions[0]
  t.match(await client.send(unregisterBroker, 0, { brokerId: 1 }), { errorCode: 0, errorMessage: null })
  t.notOk(image.brokers.has(1))
  t.equal(image.topicsByName.get('a')?.partitions[0]?.leader, -1)
  world.clock.advance(2000)
  await until(() => image.brokers.get(1)?.fenced === false, 'registered again')
  const after = image.topicsByName.get('a')?.partitions[0]
  t.equal(after?.leader, 1)
  t.ok((after?.leaderEpoch ?? 0) > (before?.leaderEpoch ?? 0))
  await until(async () => (await world.produce('a', [{ value: 'two' }])).errorCode === 0, 'led again')
  t.equal(await world.offset('a', -1), 2, 'nothing is missing')
})
