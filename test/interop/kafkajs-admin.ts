// Every call of kafkajs' admin client, ACLs aside.
import assert from 'node:assert/strict'
import kafkajsModule, { type Admin, type Kafka } from 'kafkajs'
import { read, send } from './kafkajs-client.ts'
import type { Checks, Target } from './suite.ts'
import { until } from './suite.ts'

const { ConfigResourceTypes } = kafkajsModule // CommonJS, and this name is not seen by Node's lexer.

export async function checkAdmin(kafka: Kafka, target: Target, checks: Checks): Promise<void> {
  const admin = kafka.admin({ retry: { retries: 2 } })
  await admin.connect()
  try {
    await checkTopics(admin, target, checks)
    await checkOffsets(kafka, admin, target, checks)
    await checkConfigs(admin, target, checks)
    await checkAdminGroups(kafka, admin, target, checks)
    await checkCluster(admin, target, checks)
  } finally {
    await admin.disconnect()
  }
}

/** As assert.rejects; where kafkajs bundles the errors of several topics, any of them may fit. */
async function rejects(promise: Promise<unknown>, pattern: RegExp): Promise<void> {
  await assert.rejects(promise, (error: Error & { errors?: Error[] }) => {
    const messages = [error, ...(error.errors ?? [])].map(({ message }) => message).join('\n')
    assert.match(messages, pattern)
    return true
  })
}

async function checkTopics(admin: Admin, target: Target, checks: Checks): Promise<void> {
  const topic = `${target.tag}-admin`
  const listed = async () => (await admin.listTopics()).includes(topic)
  await checks.check('createTopics, validateOnly, listTopics, fetchTopicMetadata', async () => {
    const one = {
      topic,
      numPartitions: 2,
      replicationFactor: 1,
      configEntries: [{ name: 'retention.ms', value: '1000000' }]
    }
    assert.equal(await admin.createTopics({ validateOnly: true, waitForLeaders: false, topics: [one] }), true)
    assert.equal(await listed(), false)
    assert.equal(await admin.createTopics({ topics: [one] }), true)
    assert.equal(await admin.createTopics({ topics: [one] }), false, 'a topic is created once')
    assert.equal(await listed(), true)
    const { topics } = await admin.fetchTopicMetadata({ topics: [topic] })
    assert.deepEqual(topics[0]?.partitions.map(partition => partition.partitionId).sort(), [0, 1])
    assert.deepEqual(topics[0]?.partitions[0]?.isr, topics[0]?.partitions[0]?.replicas)
  })
  await checks.check('createTopics with an assignment and with bad values', async () => {
    const [broker = { nodeId: 1 }] = (await admin.describeCluster()).brokers
    const replicaAssignment = [{ partition: 0, replicas: [broker.nodeId] }]
    await admin.createTopics({ topics: [{ topic: `${topic}-assigned`, replicaAssignment }] })
    await rejects(admin.createTopics({ topics: [{ topic: 'no/slash' }] }), /invalid topic/i)
    await rejects(admin.createTopics({ topics: [{ topic: `${topic}-9`, replicationFactor: 9 }] }), /replication/i)
    const configEntries = [{ name: 'retention.ms', value: 'soon' }]
    await rejects(
      admin.createTopics({ topics: [{ topic: `${topic}-bad`, configEntries }] }),
      /configuration is invalid/i
    )
  })
  await checks.check('createPartitions', async () => {
    await admin.createPartitions({ topicPartitions: [{ topic, count: 5 }] })
    await until('five partitions', 5000, async () => {
      const { topics } = await admin.fetchTopicMetadata({ topics: [topic] })
      return topics[0]?.partitions.length === 5 ? true : undefined
    })
    await rejects(admin.createPartitions({ topicPartitions: [{ topic, count: 1 }] }), /partitions is invalid/i)
  })
  await checks.check('deleteTopics', async () => {
    await admin.deleteTopics({ topics: [topic, `${topic}-assigned`] })
    assert.equal(await listed(), false)
    await assert.rejects(admin.deleteTopics({ topics: [topic] }), /does not host this topic-partition/)
  })
}

async function checkOffsets(kafka: Kafka, admin: Admin, target: Target, checks: Checks): Promise<void> {
  const topic = `${target.tag}-offsets`
  await admin.createTopics({ topics: [{ topic, numPartitions: 2 }] })
  await send(
    kafka,
    topic,
    Array.from({ length: 20 }, (_, i) => ({ partition: i % 2, value: `${i}` }))
  )
  await checks.check('fetchTopicOffsets, fetchTopicOffsetsByTimestamp, deleteTopicRecords', async () => {
    await admin.fetchTopicOffsets(topic) // kafkajs deletes from topics only whose leaders it knows.
    await admin.deleteTopicRecords({ topic, partitions: [{ partition: 0, offset: '4' }] })
    const offsets = (await admin.fetchTopicOffsets(topic)).sort((a, b) => a.partition - b.partition)
    assert.deepEqual(offsets, [
      { partition: 0, offset: '10', high: '10', low: '4' },
      { partition: 1, offset: '10', high: '10', low: '0' }
    ])
    const byTime = (await admin.fetchTopicOffsetsByTimestamp(topic, 0)).sort((a, b) => a.partition - b.partition)
    assert.deepEqual(byTime, [
      { partition: 0, offset: '4' },
      { partition: 1, offset: '0' }
    ])
    assert.equal((await read(kafka, topic, 16)).length, 16)
    await admin.deleteTopicRecords({ topic, partitions: [{ partition: 1, offset: '-1' }] })
    const after = (await admin.fetchTopicOffsets(topic)).sort((a, b) => a.partition - b.partition)
    assert.equal(after[1]?.low, '10')
    await assert.rejects(admin.deleteTopicRecords({ topic, partitions: [{ partition: 0, offset: '99' }] }))
  })
  await checks.check('fetchOffsets, setOffsets, resetOffsets', async () => {
    const groupId = `${target.tag}-offsets-group`
    await admin.setOffsets({
      groupId,
      topic,
      partitions: [
        { partition: 0, offset: '5' },
        { partition: 1, offset: '6' }
      ]
    })
    const fetched = await admin.fetchOffsets({ groupId, topics: [topic] })
    assert.deepEqual(fetched[0]?.partitions.map(({ partition, offset }) => `${partition}:${offset}`).sort(), [
      '0:5',
      '1:6'
    ])
    assert.deepEqual(
      (await admin.fetchOffsets({ groupId })).map(entry => entry.topic),
      [topic]
    )
    await admin.resetOffsets({ groupId, topic, earliest: false })
    const reset = await admin.fetchOffsets({ groupId, topics: [topic], resolveOffsets: true })
    assert.deepEqual(reset[0]?.partitions.map(({ offset }) => offset).sort(), ['10', '10'])
    await admin.deleteGroups([groupId])
  })
}

async function checkConfigs(admin: Admin, target: Target, checks: Checks): Promise<void> {
  const topic = `${target.tag}-configs`
  await admin.createTopics({ topics: [{ topic }] })
  const describe = async (name: string, type = ConfigResourceTypes.TOPIC, configNames?: string[]) => {
    const resource = configNames === undefined ? { type, name } : { type, name, configNames }
    const { resources } = await admin.describeConfigs({ includeSynonyms: true, resources: [resource] })
    assert.equal(resources[0]?.errorCode, 0)
    if (target.kind === 'moldau')
      assert.equal(resources[0]?.errorMessage ?? null, null, 'no error has no message, not even an empty one')
    return resources[0]?.configEntries ?? []
  }
  await checks.check('describeConfigs and alterConfigs of a topic', async () => {
    assert.ok((await describe(topic)).length >= 25)
    const configEntries = [{ name: 'max.message.bytes', value: '123456' }]
    const resource = { type: ConfigResourceTypes.TOPIC, name: topic, configEntries }
    await admin.alterConfigs({ validateOnly: true, resources: [resource] })
    const before = await describe(topic, ConfigResourceTypes.TOPIC, ['max.message.bytes'])
    assert.equal(before[0]?.configValue, '1048588')
    assert.equal(before[0]?.isDefault, true)
    await admin.alterConfigs({ validateOnly: false, resources: [resource] })
    const after = await until('the new value', 5000, async () => {
      const entries = await describe(topic, ConfigResourceTypes.TOPIC, ['max.message.bytes'])
      return entries[0]?.configValue === '123456' ? entries : undefined
    })
    assert.equal(after.length, 1)
    assert.equal(after[0]?.isDefault, false)
  })
  await checks.check('describeConfigs of a broker', async () => {
    const [broker = { nodeId: 1 }] = (await admin.describeCluster()).brokers
    const entries = await describe(String(broker.nodeId), ConfigResourceTypes.BROKER)
    const value = (name: string) => entries.find(entry => entry.configName === name)?.configValue
    assert.equal(value('num.partitions'), '1')
    assert.equal(value('log.retention.hours'), '168')
    assert.ok(entries.length > 150, `${entries.length} entries`)
  })
}

async function checkAdminGroups(kafka: Kafka, admin: Admin, target: Target, checks: Checks): Promise<void> {
  await checks.check('listGroups, describeGroups, deleteGroups', async () => {
    const topic = `${target.tag}-admin-groups`
    const groupId = `${topic}-one`
    await admin.createTopics({ topics: [{ topic, numPartitions: 2 }] })
    await send(kafka, topic, [{ value: 'x' }])
    const consumer = kafka.consumer({ groupId, maxWaitTimeInMs: 200 })
    await consumer.connect()
    await consumer.subscribe({ topic, fromBeginning: true })
    await consumer.run({ eachMessage: async () => {} })
    const described = await until('a stable group', 30_000, async () => {
      const { groups } = await admin.describeGroups([groupId])
      return groups[0]?.state === 'Stable' ? groups[0] : undefined
    })
    assert.equal(described.protocol, 'RoundRobinAssigner')
    assert.equal(described.members.length, 1)
    assert.equal(described.members[0]?.clientId, 'interop')
    assert.ok(
      (await admin.listGroups()).groups.some(group => group.groupId === groupId && group.protocolType === 'consumer')
    )
    await assert.rejects(admin.deleteGroups([groupId]), /deleteGroups|not empty/i)
    await consumer.disconnect()
    assert.equal((await admin.describeGroups([groupId])).groups[0]?.state, 'Empty')
    await admin.deleteGroups([groupId])
    assert.equal((await admin.describeGroups([groupId])).groups[0]?.state, 'Dead')
  })
}

async function checkCluster(admin: Admin, target: Target, checks: Checks): Promise<void> {
  await checks.check('describeCluster', async () => {
    const cluster = await admin.describeCluster()
    const addresses = cluster.brokers.map(({ host, port }) => `${host}:${port}`)
    assert.deepEqual(addresses.sort(), target.bootstrap.split(',').sort())
    assert.ok(cluster.brokers.some(({ nodeId }) => nodeId === cluster.controller))
    assert.match(cluster.clusterId, /^[\w-]{22}$/)
  })
  await checks.check('listPartitionReassignments, alterPartitionReassignments', async () => {
    assert.deepEqual(await admin.listPartitionReassignments({}), { topics: [] })
    const topic = `${target.tag}-kafkajs-move`
    const replicas = idsOf(await admin.describeCluster())
    await admin.createTopics({ topics: [{ topic, numPartitions: 1, replicationFactor: 1 }], waitForLeaders: true })
    const topics = [{ topic, partitionAssignment: [{ partition: 0, replicas }] }]
    await admin.alterPartitionReassignments({ topics })
    await until('the move is complete', 20_000, async () => {
      const [partition] = (await admin.fetchTopicMetadata({ topics: [topic] })).topics[0]?.partitions ?? []
      return partition?.isr.length === replicas.length || undefined
    })
    assert.deepEqual(await admin.listPartitionReassignments({}), { topics: [] })
  })
}

function idsOf({ brokers }: { brokers: { nodeId: number }[] }): number[] {
  return brokers.map(({ nodeId }) => nodeId)
}
