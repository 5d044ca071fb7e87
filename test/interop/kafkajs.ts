// kafkajs: producers, one consumer and a group of three, and replay by seek, by offset reset and by time. The calls of
// its admin client are in kafkajs-admin.ts.
import assert from 'node:assert/strict'
import { CompressionTypes, type Consumer, type Kafka, type Message } from 'kafkajs'
import { checkAdmin } from './kafkajs-admin.ts'
import { createTopic, kafkaOf, type Read, read, send } from './kafkajs-client.ts'
import type { Checks, Suite, Target } from './suite.ts'
import { until } from './suite.ts'

export const kafkajs: Suite = {
  name: 'kafkajs',
  settings: { 'group.initial.rebalance.delay.ms': '0', 'num.partitions': '1' },
  async run(target, checks) {
    const kafka = kafkaOf(target)
    await checkProducers(kafka, target, checks)
    await checkGroups(kafka, target, checks)
    await checkReplay(kafka, target, checks)
    await checkAdmin(kafka, target, checks)
  }
}

const numbered = (count: number, from = 0): Message[] =>
  Array.from({ length: count }, (_, i) => ({ key: `key-${from + i}`, value: `value-${from + i}` }))

const valuesOf = (messages: Read[]): string[] => messages.map(message => String(message.value))

async function checkProducers(kafka: Kafka, target: Target, checks: Checks): Promise<void> {
  const topic = `${target.tag}-produce`
  await createTopic(kafka, topic, 1)
  await checks.check('produce with acks 1, -1 and 0, and read all', async () => {
    await send(kafka, topic, numbered(100), { acks: 1 })
    await send(kafka, topic, numbered(100, 100), { acks: -1 })
    await send(kafka, topic, numbered(100, 200), { acks: 0 })
    const messages = await read(kafka, topic, 300)
    assert.deepEqual(
      valuesOf(messages),
      numbered(300).map(message => message.value)
    )
    assert.deepEqual(
      messages.map(message => message.offset),
      messages.map((_, i) => String(i))
    )
  })
  await checks.check('key, value, headers, timestamp and null survive', async () => {
    const own = `${topic}-fields`
    await createTopic(kafka, own, 1)
    const timestamp = String(1_700_000_000_123)
    await send(kafka, own, [
      { key: null, value: null, headers: {}, timestamp },
      { key: 'k', value: 'v', headers: { one: 'a', many: ['b', 'c'], empty: '' }, timestamp },
      { key: '', value: '' }
    ])
    const [first, second, third] = await read(kafka, own, 3)
    assert.equal(first?.value, null)
    assert.equal(first?.key, null)
    assert.equal(second?.timestamp, timestamp)
    assert.equal(String(second?.headers?.one), 'a')
    assert.deepEqual(second?.headers?.many?.toString(), 'b,c')
    assert.equal(third?.value?.length, 0)
  })
  await checks.check('an idempotent producer, gzip, and a batch of many topics', async () => {
    const names = [`${topic}-batch-1`, `${topic}-batch-2`]
    for (const name of names) await createTopic(kafka, name, 2)
    const producer = kafka.producer({ idempotent: true, maxInFlightRequests: 1 })
    await producer.connect()
    await producer.sendBatch({
      compression: CompressionTypes.GZIP,
      topicMessages: names.map(name => ({ topic: name, messages: numbered(200) }))
    })
    await producer.disconnect()
    for (const name of names) assert.equal(new Set(valuesOf(await read(kafka, name, 200))).size, 200)
  })
  await checkFirstProduce(target, checks)
}

/** Kafka answers UNKNOWN_TOPIC_OR_PARTITION while it creates a topic, which kafkajs does not retry. */
async function checkFirstProduce(target: Target, checks: Checks): Promise<void> {
  const name = 'the first produce and the first subscribe to a topic create it'
  if (target.kind === 'kafka') return checks.skip(name, 'Apache Kafka fails it')
  await checks.check(name, async () => {
    const silent = kafkaOf(target)
    await send(silent, `${target.tag}-auto`, numbered(10))
    assert.equal((await read(silent, `${target.tag}-auto`, 10)).length, 10)
    const consumer = silent.consumer({ groupId: `${target.tag}-auto-group` })
    await consumer.connect()
    await consumer.subscribe({ topic: `${target.tag}-auto-subscribe`, fromBeginning: true })
    await consumer.disconnect()
  })
}

interface Member {
  consumer: Consumer
  partitions: number[]
  seen: string[]
}

async function join(kafka: Kafka, groupId: string, topic: string): Promise<Member> {
  const consumer = kafka.consumer({ groupId, sessionTimeout: 10_000, heartbeatInterval: 500, maxWaitTimeInMs: 200 })
  const member: Member = { consumer, partitions: [], seen: [] }
  consumer.on(consumer.events.GROUP_JOIN, event => {
    member.partitions = event.payload.memberAssignment[topic] ?? []
  })
  await consumer.connect()
  await consumer.subscribe({ topic, fromBeginning: true })
  await consumer.run({
    eachMessage: async ({ message }) => {
      member.seen.push(String(message.value))
    }
  })
  return member
}

const partitionsOf = (members: Member[]): number[] => members.flatMap(member => member.partitions).sort()

async function checkGroups(kafka: Kafka, target: Target, checks: Checks): Promise<void> {
  const topic = `${target.tag}-orders`
  const groupId = `${target.tag}-group`
  await createTopic(kafka, topic, 3)
  const members: Member[] = []
  const settled = (count: number, each: number) => () =>
    members.length === count &&
    members.every(member => member.partitions.length === each) &&
    partitionsOf(members).join() === '0,1,2'
      ? true
      : undefined
  await checks.check('three consumers of one group have one partition each', async () => {
    for (let i = 0; i < 3; i++) members.push(await join(kafka, groupId, topic))
    await until('one partition each', 30_000, settled(3, 1))
    await send(
      kafka,
      topic,
      Array.from({ length: 90 }, (_, i) => ({ partition: i % 3, value: `order-${i}` }))
    )
    const seen = () => members.flatMap(member => member.seen)
    await until('90 orders', 30_000, () => (seen().length >= 90 ? true : undefined))
    assert.equal(new Set(seen()).size, 90)
    assert.deepEqual(
      members.map(member => member.seen.length),
      [30, 30, 30]
    )
  })
  await checks.check('the last of three takes all partitions, and restarts from the commits', async () => {
    for (const member of members.splice(1)) await member.consumer.disconnect()
    await until('three partitions', 30_000, settled(1, 3))
    await members.pop()?.consumer.disconnect()
    await send(kafka, topic, [{ partition: 1, value: 'after the restart' }])
    const again = await join(kafka, groupId, topic)
    await until('the new order', 30_000, () => (again.seen.length > 0 ? true : undefined))
    await again.consumer.disconnect()
    assert.deepEqual(again.seen, ['after the restart'])
  })
}

async function checkReplay(kafka: Kafka, target: Target, checks: Checks): Promise<void> {
  const topic = `${target.tag}-replay`
  const begin = 1_700_000_000_000
  await createTopic(kafka, topic, 1)
  for (let batch = 0; batch < 10; batch++) {
    await send(
      kafka,
      topic,
      numbered(10, batch * 10).map((message, i) => ({ ...message, timestamp: String(begin + batch * 1000 + i) }))
    )
  }
  await checks.check('replay by seek', async () => {
    const started = (consumer: Consumer) => consumer.seek({ topic, partition: 0, offset: '42' })
    const messages = await read(kafka, topic, 58, { fromBeginning: false, started })
    assert.deepEqual(
      messages.map(message => message.offset),
      numbered(58, 42).map((_, i) => String(42 + i))
    )
  })
  await checks.check('replay by offset reset', async () => {
    const admin = kafka.admin()
    const groupId = `${topic}-reset`
    await admin.connect()
    await read(kafka, topic, 100, { groupId })
    await admin.resetOffsets({ groupId, topic, earliest: true })
    assert.equal((await read(kafka, topic, 100, { groupId })).length, 100)
    await admin.setOffsets({ groupId, topic, partitions: [{ partition: 0, offset: '95' }] })
    assert.deepEqual(
      valuesOf(await read(kafka, topic, 5, { groupId })),
      numbered(5, 95).map(message => message.value)
    )
    await admin.disconnect()
  })
  await checks.check('replay by time', async () => {
    const admin = kafka.admin()
    await admin.connect()
    const offsets = await admin.fetchTopicOffsetsByTimestamp(topic, begin + 7000)
    assert.deepEqual(offsets, [{ partition: 0, offset: '70' }])
    const between = await admin.fetchTopicOffsetsByTimestamp(topic, begin + 7005)
    assert.deepEqual(between, [{ partition: 0, offset: '75' }])
    const after = await admin.fetchTopicOffsetsByTimestamp(topic, begin + 1_000_000)
    assert.deepEqual(after, [{ partition: 0, offset: '100' }])
    await admin.disconnect()
    const started = (consumer: Consumer) => consumer.seek({ topic, partition: 0, offset: '70' })
    const messages = await read(kafka, topic, 30, { fromBeginning: false, started })
    assert.equal(messages[0]?.timestamp, String(begin + 7000))
  })
}
