// `npm run failover`: three real broker processes, kafkajs producing with acks=all and a group consuming, while brokers are
// killed: one, the controller, and all at the same moment. What it prints is what the README shows of it.
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { Kafka, logLevel, type Producer } from 'kafkajs'
import { LocalCluster, until } from '../clients/dev/cluster.ts'
import { layOutAnywhere } from '../clients/dev/layout.ts'

const TOPIC = 'orders'
const PARTITIONS = 6
const BREATH_MS = 1500
const say = console.log

const directory = mkdtempSync(join(tmpdir(), 'moldau-failover-'))
const cluster = new LocalCluster({
  nodes: await layOutAnywhere({ directory, brokers: 3 }),
  command: [process.execPath, fileURLToPath(new URL('../broker/moldau.cjs', import.meta.url))]
})
const startedAt = performance.now()
await cluster.start()
say(`three brokers are ready on ${cluster.bootstrap} after ${seconds(startedAt)} s`)

const kafka = new Kafka({
  clientId: 'failover',
  brokers: cluster.bootstrap.split(','),
  logLevel: logLevel.NOTHING,
  connectionTimeout: 500,
  retry: { initialRetryTime: 30, maxRetryTime: 200, retries: 1000 }
})

/** Orders of one partition: when each was acknowledged, and what the group has read. */
interface Lane {
  readonly partition: number
  readonly producer: Producer
  acked: number
  lastAckAt: number
  longestMs: number
  readonly read: string[]
}

const lanes: Lane[] = Array.from({ length: PARTITIONS }, (_, partition) => ({
  ...{ partition, producer: kafka.producer({ idempotent: true, maxInFlightRequests: 1 }) },
  ...{ acked: 0, lastAckAt: performance.now(), longestMs: 0, read: [] }
}))
let isStopping = false

async function produce(lane: Lane): Promise<void> {
  await lane.producer.connect()
  for (let number = 0; !isStopping; number++) {
    await lane.producer.send({
      ...{ topic: TOPIC, acks: -1 },
      messages: [{ partition: lane.partition, value: `order-${number}` }]
    })
    const now = performance.now()
    lane.longestMs = Math.max(lane.longestMs, now - lane.lastAckAt)
    lane.lastAckAt = now
    lane.acked++
    await pause(10)
  }
  await lane.producer.disconnect()
}

const admin = kafka.admin()
await admin.connect()
await admin.createTopics({ topics: [{ topic: TOPIC, numPartitions: PARTITIONS }], waitForLeaders: true })
await admin.disconnect()
const consumers = [1, 2].map(() =>
  kafka.consumer({ groupId: 'billing', heartbeatInterval: 500, maxWaitTimeInMs: 100, sessionTimeout: 10_000 })
)
for (const consumer of consumers) {
  await consumer.connect()
  await consumer.subscribe({ topic: TOPIC, fromBeginning: true })
  await consumer.run({
    eachMessage: async ({ partition, message }) => {
      // A group reads at least once: after a rebalance the last ones may come again.
      const { read } = lanes[partition] as Lane
      if (Number(message.offset) === read.length) read.push(String(message.value))
    }
  })
}
const producing = Promise.all(lanes.map(produce))
await until(async () => lanes.every(each => each.read.length > 20), 30_000, 'the first orders')
say(`kafkajs produces orders to ${PARTITIONS} partitions with acks=all, and a group of two reads them\n`)

/** Kills them, waits until every partition takes orders again, and says how long each side was silent. */
async function kill(nodeIds: readonly number[], what: string): Promise<void> {
  const view = await cluster.view()
  const isTheirs = ({ partition }: Lane) =>
    view?.partitions.some(
      each => each.topic === TOPIC && each.partition === partition && nodeIds.includes(each.leaderId)
    ) === true
  const led = lanes.filter(isTheirs).length
  say(`${what}: kill -9; of ${PARTITIONS} partitions it led ${led}`.replace('it led 6', 'they led 6'))
  const struckAt = performance.now()
  for (const lane of lanes) {
    lane.longestMs = 0
    lane.lastAckAt = struckAt
  }
  await Promise.all(nodeIds.map(each => cluster.process(each).kill()))
  const isAll = nodeIds.length === lanes.length / 2
  if (isAll) await Promise.all(nodeIds.map(each => cluster.process(each).start()))
  await until(async () => lanes.every(each => each.longestMs > 0), 60_000, 'orders to be taken again')
  await pause(BREATH_MS)
  const longest = (of: readonly Lane[]) => Math.round(Math.max(0, ...of.map(each => each.longestMs)))
  const others = lanes.filter(each => !isTheirs(each))
  say(
    `  its partitions take orders again after ${longest(lanes.filter(isTheirs))} ms`.replace(
      'its',
      isAll ? 'all' : 'its'
    )
  )
  if (others.length > 0) say(`  the others were silent for at most ${longest(others)} ms`)
  const backAt = performance.now()
  if (!isAll) await Promise.all(nodeIds.map(each => cluster.process(each).start()))
  await until(inSync, 60_000, 'the copies')
  say(isAll ? '  every copy is in sync' : `  started again: its copies are in sync after ${seconds(backAt)} s`)
}

async function inSync(): Promise<boolean> {
  const view = await cluster.view()
  return view !== null && view.brokers.length === 3 && view.partitions.every(each => each.isr.length === 3)
}

const controller = (await cluster.controller()) ?? 1
const other = [1, 2, 3].find(each => each !== controller) as number
await kill([other], `broker ${other}`)
await kill([controller], `broker ${controller}, the controller`)
await kill([1, 2, 3], 'all three at the same moment')

isStopping = true
await producing
await until(async () => lanes.every(each => each.read.length >= each.acked), 30_000, 'everything to be read')
await Promise.all(consumers.map(consumer => consumer.disconnect()))
const acked = lanes.reduce((sum, each) => sum + each.acked, 0)
const read = lanes.reduce((sum, each) => sum + each.read.length, 0)
const isInOrder = lanes.every(each => each.read.every((value, index) => value === `order-${index}`))
say(
  `\n${acked} orders acknowledged, ${read} read: ${isInOrder && acked === read ? 'none lost, none twice, each partition in order' : 'WRONG'}`
)
await cluster.stop()
rmSync(directory, { recursive: true, force: true })
process.exit(isInOrder && acked === read ? 0 : 1)

function seconds(since: number): string {
  return ((performance.now() - since) / 1000).toFixed(1)
}

function pause(ms: number): Promise<void> {
  return new Promise(resolve => setTimeout(resolve, ms))
}
