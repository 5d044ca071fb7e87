// Goal: three brokers inside one process are a cluster that loses nothing: one killed, one held, one cut off, all of them
// while kafkajs produces; and what a minority took is not acknowledged.
import { existsSync } from 'node:fs'
import { Kafka, logLevel } from 'kafkajs'
import { test } from 'tap'
import { until } from '../../clients/dev/cluster.ts'
import { Watch } from '../../clients/dev/watch.ts'
import { startCluster } from '../../clients/index.ts'

const TOPIC = 'orders'

function kafkaOf(brokers: string[]): Kafka {
  return new Kafka({
    clientId: 'test',
    brokers,
    logLevel: logLevel.NOTHING,
    connectionTimeout: 1000,
    requestTimeout: 2000,
    retry: { initialRetryTime: 20, maxRetryTime: 200, retries: 100 }
  })
}

test('killed, held, cut off, and healed', { timeout: 120_000 }, async t => {
  const startedAt = performance.now()
  const cluster = await startCluster({ settings: { 'broker.session.timeout.ms': 2000 } })
  t.comment(`ready after ${Math.round(performance.now() - startedAt)} ms`)
  t.teardown(() => cluster.stop())
  const watch = new Watch()
  t.teardown(() => watch.close())
  const place = (nodeId: number) => ({ nodeId, host: '127.0.0.1', port: cluster.node(nodeId).port })
  const view = async (nodeId: number) => await watch.view(place(nodeId))
  const kafka = kafkaOf(cluster.bootstrap.split(','))
  const admin = kafka.admin()
  await admin.connect()
  await admin.createTopics({ topics: [{ topic: TOPIC, numPartitions: 3 }], waitForLeaders: true })
  await admin.disconnect()
  const producer = kafka.producer()
  await producer.connect()
  const acked: string[] = []
  const send = async (value: string, by = producer) => {
    // One partition in each request: this client takes a partition for answered when it moves to a broker that has
    // answered for others.
    await Promise.all([0, 1, 2].map(partition => by.send({ topic: TOPIC, acks: -1, messages: [{ partition, value }] })))
    acked.push(value)
  }
  const heals = async () => {
    for (const { nodeId } of cluster.nodes) {
      const isWhole = async () =>
        (await view(nodeId))?.partitions.every(each => each.leaderId > 0 && each.isr.length === 3) === true
      await until(isWhole, 30_000, `node ${nodeId} to see all copies in sync`)
    }
  }
  await send('first')
  await cluster.kill(1)
  await send('while 1 is dead')
  await cluster.restart(1)
  await heals()

  cluster.pause(2)
  const held = send('while 2 is held')
  await until(async () => (await view(1))?.brokers.includes(2) === false, 20_000, 'it to be fenced')
  // This client does not leave a broker for its silence; it hears the truth when that one speaks again.
  cluster.resume(2)
  await held
  await heals()

  const ofThree = (await view(3))?.partitions.find(each => each.leaderId === 3)?.partition ?? -1
  cluster.partition([1, 2], [3])
  const gone = async () =>
    (await view(1))?.brokers.includes(3) === false && (await view(2))?.brokers.includes(3) === false
  await until(gone, 20_000, 'the two to go on without 3')
  const lonely = new Kafka({ brokers: [cluster.node(3).bootstrap], logLevel: logLevel.NOTHING, retry: { retries: 0 } })
  const alone = lonely.producer({ retry: { retries: 0 } })
  await alone.connect()
  await t.rejects(
    alone.send({ topic: TOPIC, acks: -1, timeout: 500, messages: [{ partition: ofThree, value: 'never' }] })
  )
  await alone.disconnect()
  // The cut is between brokers. Who asks 3 is told that it leads; who asks the others is not.
  const majority = kafkaOf([1, 2].map(id => cluster.node(id).bootstrap)).producer()
  await majority.connect()
  await send('while 3 is cut off', majority)
  await majority.disconnect()
  cluster.heal()
  await heals()
  await send('last')
  await producer.disconnect()

  const consumer = kafka.consumer({ groupId: 'g', maxWaitTimeInMs: 100 })
  await consumer.connect()
  await consumer.subscribe({ topic: TOPIC, fromBeginning: true })
  const read = new Map<number, Set<string>>([0, 1, 2].map(partition => [partition, new Set<string>()]))
  await consumer.run({
    eachMessage: async ({ partition, message }) => void read.get(partition)?.add(String(message.value))
  })
  const isRead = async () => [...read.values()].every(values => values.has('last'))
  await until(isRead, 30_000, 'everything to be read').catch(error => t.fail(error.message))
  await consumer.disconnect()
  for (const [partition, values] of read) t.same([...values], acked, `what was acknowledged of partition ${partition}`)
  const directory = cluster.node(1).dataDirectory
  const stoppingAt = performance.now()
  await cluster.stop()
  t.comment(`stopped after ${Math.round(performance.now() - stoppingAt)} ms`)
  t.notOk(existsSync(directory))
})

test('controller.quorum.fetch.timeout.ms: a controller that is silent so long is replaced', {
  timeout: 60_000
}, async t => {
  const settings = { 'controller.quorum.fetch.timeout.ms': 250, 'controller.quorum.request.timeout.ms': 250 }
  const cluster = await startCluster({ settings })
  t.teardown(() => cluster.stop())
  const watch = new Watch()
  t.teardown(() => watch.close())
  const places = cluster.nodes.map(({ nodeId, port }) => ({ nodeId, host: '127.0.0.1', port }))
  const first = (await watch.first(places, place => watch.controller(place))) as number
  cluster.pause(first)
  const silentAt = performance.now()
  const others = places.filter(each => each.nodeId !== first)
  const isReplaced = async () => {
    const next = await watch.first(others, place => watch.controller(place))
    return next !== null && next !== first
  }
  await until(isReplaced, 20_000, 'another controller')
  const tookMs = performance.now() - silentAt
  t.ok(tookMs < 1900, `after ${Math.round(tookMs)} ms, and not after the two seconds of the default`)
  cluster.resume(first)
})
