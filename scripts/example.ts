// `npm run example`: the orders example of the README, start to end. Runs its own broker in this process unless
// MOLDAU_BOOTSTRAP names one. What it prints is what the README shows (test/example.test.ts compares them).
import { Kafka, logLevel } from 'kafkajs'
import { startBroker } from '../clients/index.ts'

const MINUTE_MS = 60_000
const own = process.env.MOLDAU_BOOTSTRAP ? null : await startBroker()
const bootstrap = process.env.MOLDAU_BOOTSTRAP ?? (own?.bootstrap as string)
const kafka = new Kafka({ clientId: 'example', brokers: [bootstrap], logLevel: logLevel.NOTHING })
const now = Date.now()
const say = console.log

/** Twelve orders of four customers, one a minute, the last one just now. */
const orders = Array.from({ length: 12 }, (_, index) => ({
  key: `customer-${index % 4}`,
  value: `order-${index + 1}`,
  timestamp: String(now - (11 - index) * MINUTE_MS)
}))

async function createTopic(): Promise<void> {
  const admin = kafka.admin()
  await admin.connect()
  await admin.createTopics({ topics: [{ topic: 'orders', numPartitions: 3 }], waitForLeaders: true })
  await admin.disconnect()
  say('created topic orders with 3 partitions')
}

async function produceOrders(): Promise<void> {
  const producer = kafka.producer({ idempotent: true, maxInFlightRequests: 1 })
  await producer.connect()
  await producer.send({ topic: 'orders', messages: orders })
  await producer.disconnect()
  say(`produced ${orders.length} orders of 4 customers`)
}

/** Three consumers of one group: each gets one partition, each order reaches one of them. */
async function consumeInAGroup(): Promise<void> {
  const consumers = [1, 2, 3].map(() =>
    kafka.consumer({ groupId: 'billing', heartbeatInterval: 300, maxWaitTimeInMs: 200 })
  )
  const read = new Map<number, string[]>([0, 1, 2].map(partition => [partition, []]))
  let settle = (): void => {}
  const everyOrderIsRead = new Promise<void>(resolve => {
    settle = resolve
  })
  const isBalanced = allAssigned(consumers)
  for (const consumer of consumers) {
    await consumer.connect()
    await consumer.subscribe({ topic: 'orders', fromBeginning: true })
    await consumer.run({
      eachMessage: async ({ partition, message }) => {
        read.get(partition)?.push(String(message.value))
        if ([...read.values()].flat().length === orders.length) settle()
      }
    })
  }
  await isBalanced
  say('three consumers of the group billing have one partition each')
  await produceOrders()
  await everyOrderIsRead
  for (const [partition, values] of read) say(`  the consumer of partition ${partition} read ${values.join(', ')}`)
  await Promise.all(consumers.map(consumer => consumer.disconnect()))
}

/** Resolves once every consumer of the group owns exactly one partition of the three. */
function allAssigned(consumers: readonly ReturnType<typeof kafka.consumer>[]): Promise<void> {
  const owned = new Map<number, number>()
  return new Promise(resolve => {
    consumers.forEach((consumer, index) => {
      consumer.on(consumer.events.GROUP_JOIN, ({ payload }) => {
        owned.set(index, payload.memberAssignment.orders?.length ?? 0)
        if (owned.size === consumers.length && [...owned.values()].every(count => count === 1)) resolve()
      })
    })
  })
}

/** Reads one partition from an offset to its end. */
async function replay(partition: number, offset: string, endOffset: number): Promise<string[]> {
  const consumer = kafka.consumer({ groupId: `replay-${partition}-${offset}`, maxWaitTimeInMs: 200 })
  const read: string[] = []
  await consumer.connect()
  await consumer.subscribe({ topic: 'orders', fromBeginning: true })
  await new Promise<void>(resolve => {
    void consumer.run({
      autoCommit: false,
      eachMessage: async each => {
        if (each.partition !== partition || Number(each.message.offset) < Number(offset)) return
        read.push(String(each.message.value))
        if (Number(each.message.offset) === endOffset - 1) resolve()
      }
    })
    consumer.seek({ topic: 'orders', partition, offset })
  })
  await consumer.disconnect()
  return read
}

async function replayAll(): Promise<void> {
  const admin = kafka.admin()
  await admin.connect()
  const ends = await admin.fetchTopicOffsets('orders')
  const largest = ends.reduce((a, b) => (Number(b.high) > Number(a.high) ? b : a))
  const from = Number(largest.high) - 2
  say(`\nreplay of partition ${largest.partition} from offset ${from}`)
  say(`  ${(await replay(largest.partition, String(from), Number(largest.high))).join(', ')}`)

  say('replay of all partitions from 4 minutes ago')
  const since = await admin.fetchTopicOffsetsByTimestamp('orders', now - 4 * MINUTE_MS - MINUTE_MS / 2)
  for (const { partition, offset } of since.sort((a, b) => a.partition - b.partition)) {
    const end = Number(ends.find(each => each.partition === partition)?.high)
    const values = Number(offset) < end ? await replay(partition, offset, end) : []
    say(`  partition ${partition}: ${values.length > 0 ? values.join(', ') : '(nothing since then)'}`)
  }
  await admin.disconnect()
}

await createTopic()
await consumeInAGroup()
await replayAll()
await own?.stop()
