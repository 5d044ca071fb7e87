// Goal: three processes are one cluster. They start without a format step, keep what they were given over any death of a
// minority, over a stop in order, and over the death of all; and a directory that is somebody else's is refused.
import { readFileSync, renameSync, writeFileSync } from 'node:fs'
import { type Test, test } from 'tap'
import { format } from '../../broker/format.ts'
import { type LocalCluster, until } from '../../clients/dev/cluster.ts'
import { layOutAnywhere } from '../../clients/dev/layout.ts'
import { kafkaOf, leaderOf, local, over } from './local.ts'

const TOPIC = 'orders'
const PARTITIONS = 6
const CLUSTER_ID = '5L6g3nShT-eMCtK--X86sw'
/** Sessions of six seconds are waited for. */
const LONG = { timeout: 180_000 }

/** A kafkajs producer that sends as long as it is told to, and a consumer group that reads all of it. */
async function traffic(cluster: LocalCluster, groupId: string) {
  const kafka = kafkaOf(cluster)
  const producer = kafka.producer({ idempotent: true, maxInFlightRequests: 1 })
  const consumer = kafka.consumer({ groupId, heartbeatInterval: 500, sessionTimeout: 10_000, maxWaitTimeInMs: 100 })
  const acked = new Map<string, string>()
  const read = new Map<string, string>()
  const wrong: string[] = []
  let isStopping = false
  let count = 0
  await Promise.all([producer.connect(), consumer.connect()])
  await consumer.subscribe({ topic: TOPIC, fromBeginning: true })
  await consumer.run({
    eachMessage: async ({ partition, message }) => {
      const place = `${partition}@${message.offset}`
      const value = String(message.value)
      const before = read.get(place)
      if (before !== undefined && before !== value) wrong.push(`${place}: ${before}, then ${value}`)
      read.set(place, value)
    }
  })
  const sending = (async () => {
    while (!isStopping) {
      const partition = count % PARTITIONS
      const value = `${groupId}-${count++}`
      const [answer] = await producer.send({ topic: TOPIC, acks: -1, messages: [{ partition, value }] })
      acked.set(value, `${partition}@${answer?.baseOffset}`)
    }
  })()
  return {
    acked,
    /** Some more were acknowledged than now. */
    goesOn: async (more = 30, limitMs = 30_000) => {
      const from = acked.size
      await until(async () => acked.size >= from + more, limitMs, 'more records to be acknowledged')
    },
    /** Stops, waits until all was read, and says what is not as it was acknowledged. */
    end: async (): Promise<string[]> => {
      isStopping = true
      await sending
      const missing = () => [...acked].filter(([value, place]) => read.get(place) !== value)
      await until(async () => missing().length === 0, 30_000, 'everything to be read').catch(() => {})
      await Promise.all([producer.disconnect(), consumer.disconnect()])
      const values = [...read.values()].filter(value => value.startsWith(groupId))
      const twice = values.filter((value, index) => values.indexOf(value) !== index)
      return [
        ...missing().map(([value, place]) => `${value} was acknowledged at ${place}, where ${read.get(place)} is`),
        ...twice.map(value => `${value} is there twice`),
        ...wrong
      ]
    }
  }
}

async function createTopic(cluster: LocalCluster): Promise<void> {
  const admin = kafkaOf(cluster).admin()
  await admin.connect()
  await admin.createTopics({ topics: [{ topic: TOPIC, numPartitions: PARTITIONS }], waitForLeaders: true })
  await admin.disconnect()
}

/** Every copy of every partition is in sync again. */
async function heals(cluster: LocalCluster): Promise<void> {
  await cluster.whole(30_000)
  const isWhole = async () => {
    const view = await cluster.view()
    return view?.partitions.every(each => each.leaderId >= 0 && each.isr.length === each.replicas.length) === true
  }
  await until(isWhole, 30_000, 'all copies to be in sync')
}

async function kill(cluster: LocalCluster, ...nodeIds: number[]): Promise<void> {
  await Promise.all(nodeIds.map(each => cluster.process(each).kill()))
}

async function restart(cluster: LocalCluster, ...nodeIds: number[]): Promise<void> {
  await Promise.all(nodeIds.map(each => cluster.process(each).start()))
  await heals(cluster)
}

/** Who leads each. */
const partitionsOf = (cluster: LocalCluster): Promise<number>[] =>
  Array.from({ length: PARTITIONS }, (_, partition) => leaderOf(cluster, TOPIC, partition))

test('three processes, while kafkajs produces and consumes', LONG, async t => {
  const { cluster, lines } = await local(t, { directory: t.testdir() })
  await cluster.start()
  await createTopic(cluster)
  const view = await cluster.view()
  t.same(view?.brokers, [1, 2, 3])
  const orders = view?.partitions.filter(each => each.topic === TOPIC) ?? []
  t.equal(orders.length, PARTITIONS)
  t.ok(orders.every(each => each.replicas.length === 3))
  t.equal(new Set(orders.map(each => each.leaderId)).size, 3, 'everybody leads')
  await heals(cluster)
  const load = await traffic(cluster, 'billing')
  await load.goesOn()

  await t.test('kill -9 of a node that does not control', LONG, async t => {
    const controller = await cluster.controller()
    const victim = [1, 2, 3].find(each => each !== controller) as number
    await kill(cluster, victim)
    await load.goesOn()
    t.not(await leaderOf(cluster, TOPIC, 0), victim)
    await restart(cluster, victim)
  })

  await t.test('kill -9 of the controller', LONG, async t => {
    const controller = (await cluster.controller()) as number
    await kill(cluster, controller)
    await load.goesOn()
    const next = await cluster.controller()
    t.not(next, controller)
    t.ok(next !== null)
    await restart(cluster, controller)
  })

  await t.test('held for longer than its session, and let go', LONG, async t => {
    const controller = await cluster.controller()
    const victim = [1, 2, 3].find(each => each !== controller) as number
    cluster.process(victim).pause()
    await until(async () => (await cluster.view())?.brokers.includes(victim) === false, 20_000, 'it to be fenced')
    // kafkajs keeps asking a silent broker that it knows; one that meets only the others is served.
    const others = [1, 2, 3].filter(each => each !== victim)
    await until(
      async () => (await Promise.all(partitionsOf(cluster))).every(each => others.includes(each)),
      20_000,
      'leaders'
    )
    const producer = kafkaOf(cluster, 'late', others).producer()
    await producer.connect()
    const messages = Array.from({ length: PARTITIONS }, (_, partition) => ({ partition, value: `late-${partition}` }))
    t.equal((await producer.send({ topic: TOPIC, acks: -1, messages })).length, PARTITIONS)
    await producer.disconnect()
    cluster.process(victim).resume()
    await heals(cluster)
    await load.goesOn(10, 90_000)
    t.pass('back without a restart')
  })

  await t.test('two of three: nobody acknowledges alone, and all goes on when one is back', LONG, async t => {
    await kill(cluster, 1, 2)
    const before = load.acked.size
    await new Promise(resolve => setTimeout(resolve, 1500))
    // What had been sent to both copies may still be answered.
    t.ok(load.acked.size <= before + PARTITIONS, `${load.acked.size - before} more`)
    await restart(cluster, 1, 2)
    await load.goesOn()
  })

  await t.test('each is restarted in order, one after the other', LONG, async t => {
    const expired = () => [...lines.values()].flat().filter(line => line.includes('broker-session-expired')).length
    const before = expired()
    for (const nodeId of [1, 2, 3]) {
      await cluster.process(nodeId).stop()
      await load.goesOn(10)
      await restart(cluster, nodeId)
    }
    t.equal(expired(), before, 'nobody was fenced for being silent')
  })

  await t.test('all three at once', LONG, async t => {
    await kill(cluster, 1, 2, 3)
    await restart(cluster, 1, 2, 3)
    await load.goesOn()
    t.pass('and they find each other again')
  })

  t.same((await load.end()).slice(0, 20), [], 'nothing acknowledged is lost, nothing is there twice')
  t.ok(load.acked.size > 200, `${load.acked.size} records`)
  const failures = [...lines.values()].flat().filter(line => /"level":"(error|fatal)"/.test(line))
  t.same(failures.slice(0, 20), [], 'and nobody had an error of its own')
})

test('stopped in order by one word, started again: the same cluster with the same records', LONG, async t => {
  const directory = t.testdir()
  const first = await local(t, { directory })
  await first.cluster.start()
  await createTopic(first.cluster)
  const producer = kafkaOf(first.cluster).producer()
  await producer.connect()
  await producer.send({ topic: TOPIC, acks: -1, messages: [{ partition: 0, value: 'kept' }] })
  await producer.disconnect()
  const startedAt = performance.now()
  await first.cluster.stop()
  t.ok(performance.now() - startedAt < 10_000, `stopped after ${Math.round(performance.now() - startedAt)} ms`)
  for (const node of first.cluster.layout) {
    t.match(readFileSync(`${node.directory}/.kafka_cleanshutdown`, 'utf8'), /brokerEpoch/, `node ${node.nodeId}`)
  }
  const second = over(t, await layOutAnywhere({ directory, brokers: 3 }))
  await second.cluster.start()
  const consumer = kafkaOf(second.cluster).consumer({ groupId: 'g', maxWaitTimeInMs: 100 })
  await consumer.connect()
  await consumer.subscribe({ topic: TOPIC, fromBeginning: true })
  const value = await new Promise(resolve => {
    void consumer.run({ eachMessage: async ({ message }) => resolve(String(message.value)) })
  })
  t.equal(value, 'kept')
  await consumer.disconnect()
  await second.cluster.stop()
})

/** Kafka's own files for three nodes on one machine. */
function asKafkaWrites(t: Test, directory: string, port: number) {
  const voters = [1, 2, 3].map(id => `${id}@127.0.0.1:${port + 99 + id}`).join(',')
  const nodes = [1, 2, 3].map(nodeId => ({
    nodeId,
    host: '127.0.0.1',
    port: port + nodeId - 1,
    controllerPort: port + 99 + nodeId,
    directory: `${directory}/data-${nodeId}`,
    file: `${directory}/${nodeId}.properties`,
    text: `process.roles=broker,controller
node.id=${nodeId}
controller.quorum.voters=${voters}
listeners=PLAINTEXT://127.0.0.1:${port + nodeId - 1},CONTROLLER://127.0.0.1:${port + 99 + nodeId}
advertised.listeners=PLAINTEXT://127.0.0.1:${port + nodeId - 1}
controller.listener.names=CONTROLLER
listener.security.protocol.map=PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT
log.dirs=${directory}/data-${nodeId}
offsets.topic.replication.factor=3
transaction.state.log.replication.factor=3
transaction.state.log.min.isr=2
share.coordinator.state.topic.replication.factor=3
share.coordinator.state.topic.min.isr=2
group.initial.rebalance.delay.ms=0
`
  }))
  for (const { file, text } of nodes) writeFileSync(file, text)
  return over(t, nodes)
}

test("three files of Kafka's, three empty directories, and a directory that is not its own", LONG, async t => {
  const directory = t.testdir()
  const port = (await layOutAnywhere({ directory: `${directory}/probe`, brokers: 3 }))[0]?.port ?? 0
  const first = asKafkaWrites(t, directory, port)
  await first.cluster.start()
  t.same((await first.cluster.view())?.brokers, [1, 2, 3])
  const metas = first.cluster.layout.map(node => readFileSync(`${node.directory}/meta.properties`, 'utf8'))
  const clusterIds = metas.map(text => /^cluster\.id=(\S+)$/m.exec(text)?.[1])
  t.match(clusterIds[0], /^[\w-]{22}$/)
  t.equal(new Set(clusterIds).size, 1, 'one id for all')
  await first.cluster.stop()

  // The directories of two nodes change places.
  renameSync(`${directory}/data-1`, `${directory}/data-x`)
  renameSync(`${directory}/data-2`, `${directory}/data-1`)
  renameSync(`${directory}/data-x`, `${directory}/data-2`)
  const swapped = asKafkaWrites(t, directory, port)
  await t.rejects(swapped.cluster.process(1).start(), { message: /it belongs to node 2, this is node 1 \(node\.id\)/ })
  await swapped.cluster.kill()

  // One of another cluster: told as soon as it hears of this one's id.
  renameSync(`${directory}/data-1`, `${directory}/data-x`)
  renameSync(`${directory}/data-2`, `${directory}/data-1`)
  renameSync(`${directory}/data-x`, `${directory}/data-2`)
  const file = `${directory}/data-3/meta.properties`
  writeFileSync(file, readFileSync(file, 'utf8').replace(/^cluster\.id=.*$/m, 'cluster.id=AnotherClusterAltogeth'))
  const stranger = asKafkaWrites(t, directory, port)
  const two = [1, 2].map(nodeId => stranger.cluster.process(nodeId).start())
  await t.rejects(stranger.cluster.process(3).start(), { message: /belongs to cluster AnotherClusterAltogeth/ })
  await t.resolves(Promise.all(two), 'the others do without it')
})

test("formatted in Kafka's way, all start at once as the cluster that they were formatted for", LONG, async t => {
  const directory = t.testdir()
  const port = (await layOutAnywhere({ directory: `${directory}/probe`, brokers: 3 }))[0]?.port ?? 0
  const { cluster } = asKafkaWrites(t, directory, port)
  for (const { file } of cluster.layout) {
    const text = readFileSync(file, 'utf8')
    await format({ file: { path: file, text }, clusterId: CLUSTER_ID, ignoreFormatted: false, standalone: false })
  }
  await cluster.start()
  const admin = kafkaOf(cluster).admin()
  await admin.connect()
  t.equal((await admin.describeCluster()).clusterId, CLUSTER_ID)
  await admin.disconnect()
  await cluster.stop()
})
