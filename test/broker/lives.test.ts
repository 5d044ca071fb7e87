// A broker through several lives on one directory: what the next life finds, and what must not come back.
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type Test, test } from 'tap'
import { type Broker, startBroker } from '../../broker/broker.ts'
import { loadConfig } from '../../broker/config.ts'
import { createLogger } from '../../broker/log.ts'
import { type Connection, connect } from '../../clients/connection.ts'
import { createTopics } from '../../protocol/messages/create-topics.ts'
import { deleteTopics } from '../../protocol/messages/delete-topics.ts'
import { findCoordinator } from '../../protocol/messages/find-coordinator.ts'
import { listOffsets } from '../../protocol/messages/list-offsets.ts'
import { offsetCommit } from '../../protocol/messages/offset-commit.ts'
import { offsetFetch } from '../../protocol/messages/offset-fetch.ts'
import { produce } from '../../protocol/messages/produce.ts'
import { type BatchDraft, buildBatch } from '../../protocol/records/builder.ts'
import { FaultyFiles } from '../storage/catalog-fixture.ts'

class Lives {
  readonly directory = mkdtempSync(join(tmpdir(), 'moldau-lives-'))
  readonly lines: { msg: string }[] = []
  readonly fatal: Error[] = []
  files = FaultyFiles.create()
  broker: Broker | null = null
  connection: Connection | null = null
  settings: string[]

  constructor(t: Test, ...set: string[]) {
    this.settings = set
    t.teardown(async () => {
      await this.stop()
      rmSync(this.directory, { recursive: true })
    })
  }

  async start(): Promise<Connection> {
    const log = createLogger({ level: 'info', to: { write: line => this.lines.push(JSON.parse(line)) } })
    const { config } = loadConfig({
      set: [
        'listeners=PLAINTEXT://127.0.0.1:0',
        `log.dirs=${this.directory}`,
        'offsets.topic.num.partitions=1',
        ...this.settings
      ]
    })
    this.broker = await startBroker({ config, log, files: this.files, onFatal: error => this.fatal.push(error) })
    this.connection = await connect('127.0.0.1', this.broker.listeners[0]?.port ?? 0)
    return this.connection
  }

  async stop(): Promise<void> {
    const { broker, connection } = this
    this.broker = this.connection = null
    await connection?.close()
    await broker?.stop()
  }

  get client(): Connection {
    return this.connection as Connection
  }

  async create(name: string, numPartitions = 1): Promise<number> {
    const topics = [{ name, numPartitions, replicationFactor: -1 }]
    const reply = await this.client.send(createTopics, 7, { topics, timeoutMs: 10_000 })
    return reply.topics[0]!.errorCode
  }

  async remove(name: string): Promise<number> {
    const reply = await this.client.send(deleteTopics, 6, { topics: [{ name }], timeoutMs: 10_000 })
    return reply.responses[0]!.errorCode
  }

  async produce(name: string, value: string, draft: Partial<BatchDraft> = {}) {
    const records = buildBatch({ ...draft, records: [{ timestamp: Date.now(), key: null, value: Buffer.from(value) }] })
    const topicData = [{ name, partitionData: [{ index: 0, records }] }]
    const reply = await this.client.send(produce, 9, { acks: -1, timeoutMs: 10_000, topicData })
    return reply.responses[0]!.partitionResponses[0]!
  }

  async end(topic: string): Promise<number> {
    const topics = [{ name: topic, partitions: [{ partitionIndex: 0, timestamp: -1 }] }]
    const reply = await this.client.send(listOffsets, 7, { replicaId: -1, topics })
    return reply.topics[0]!.partitions[0]!.offset
  }

  async coordinator(): Promise<void> {
    for (;;) {
      const reply = await this.client.send(findCoordinator, 4, { keyType: 0, coordinatorKeys: ['g'] })
      if (reply.coordinators[0]?.errorCode === 0) return
      await new Promise(resolve => setTimeout(resolve, 20))
    }
  }

  async commit(groupId: string, committedOffset: number): Promise<number> {
    const topics = [{ name: 'orders', partitions: [{ partitionIndex: 0, committedOffset }] }]
    for (;;) {
      const reply = await this.client.send(offsetCommit, 8, { groupId, topics })
      const { errorCode } = reply.topics[0]!.partitions[0]!
      if (errorCode !== 14 && errorCode !== 16 && errorCode !== 15) return errorCode
    }
  }

  async committed(groupId: string): Promise<number> {
    for (;;) {
      const reply = await this.client.send(offsetFetch, 8, {
        groups: [{ groupId, topics: [{ name: 'orders', partitionIndexes: [0] }] }]
      })
      const { errorCode, topics } = reply.groups[0]!
      if (errorCode === 0) return topics[0]!.partitions[0]!.committedOffset
    }
  }
}

test('offsets of a __consumer_offsets that was deleted do not come back, those of the new one stay', async t => {
  const lives = new Lives(t)
  await lives.start()
  await lives.create('orders')
  await lives.coordinator()
  for (let at = 1; at <= 10; at++) t.equal(await lives.commit('old', at), 0)
  await lives.stop()
  await lives.start()
  t.equal(await lives.committed('old'), 10)
  t.equal(await lives.remove('__consumer_offsets'), 0)
  await lives.coordinator()
  t.equal(await lives.committed('old'), -1)
  for (let at = 1; at <= 5; at++) t.equal(await lives.commit('young', at), 0)
  for (let at = 1; at <= 15; at++) t.equal(await lives.commit('other', at), 0)
  t.equal(await lives.committed('young'), 5)
  // As after a kill: nothing is saved for the next life.
  const { snapshots } = lives.broker!.services.catalog
  snapshots.put = () => {}
  await lives.stop()
  await lives.start()
  t.equal(await lives.committed('young'), 5)
  t.equal(await lives.committed('old'), -1)
})

test('a topic whose log is damaged can be deleted and made again', async t => {
  const lives = new Lives(t)
  await lives.start()
  await lives.create('orders')
  for (let i = 0; i < 5; i++) t.equal((await lives.produce('orders', `v${i}`)).errorCode, 0)
  await lives.stop()
  const file = join(lives.directory, 'orders-0', '00000000000000000000.log')
  const bytes = readFileSync(file)
  bytes.writeUInt8(bytes.readUInt8(100) ^ 1, 100)
  writeFileSync(file, bytes)
  rmSync(join(lives.directory, '.kafka_cleanshutdown'))
  rmSync(join(lives.directory, 'orders-0', '00000000000000000000.index'))
  await lives.start()
  t.equal((await lives.produce('orders', 'x')).errorCode, 56)
  t.equal(await lives.remove('orders'), 0)
  t.equal(await lives.create('orders'), 0)
  t.match(await lives.produce('orders', 'y'), { errorCode: 0, baseOffset: 0 })
  await lives.stop()
  await lives.start()
  t.equal(await lives.end('orders'), 1)
})

test('a partition whose directory is gone is not begun anew', async t => {
  const lives = new Lives(t)
  await lives.start()
  await lives.create('orders')
  for (let i = 0; i < 5; i++) t.equal((await lives.produce('orders', `v${i}`)).errorCode, 0)
  await lives.stop()
  rmSync(join(lives.directory, 'orders-0'), { recursive: true })
  await lives.start()
  t.equal((await lives.produce('orders', 'x')).errorCode, 56)
  await lives.stop()
  await lives.start()
  t.equal((await lives.produce('orders', 'x')).errorCode, 56, 'nor by the life after that')
  t.equal(await lives.remove('orders'), 0)
  t.equal(await lives.create('orders'), 0)
  t.match(await lives.produce('orders', 'y'), { errorCode: 0, baseOffset: 0 })
  t.same(lives.fatal, [])
})

test('a partition.metadata that cannot be read harms its own partition', async t => {
  const lives = new Lives(t)
  await lives.start()
  await lives.create('orders')
  await lives.create('others')
  await lives.produce('orders', 'v')
  await lives.stop()
  writeFileSync(join(lives.directory, 'orders-0', 'partition.metadata'), 'garbage')
  await lives.start()
  t.equal((await lives.produce('orders', 'x')).errorCode, 56)
  t.equal((await lives.produce('others', 'x')).errorCode, 0)
  t.same(lives.fatal, [])
})

test('min.insync.replicas of a file counts when the cluster begins; what differs later is said in one line', async t => {
  const asked: string[] = []
  const lives = new Lives(t)
  const warnings = async (...set: string[]) => {
    lives.settings = set
    lives.lines.length = 0
    await lives.start()
    const holds = lives.broker?.services.config.get('min.insync.replicas')
    await lives.stop()
    const said = (lives.lines as { msg: string; warning?: string }[]).filter(({ msg }) => msg === 'settings')
    asked.push(`${set} ${holds}`)
    return said.map(({ warning }) => warning)
  }
  t.same(await warnings('min.insync.replicas=2'), [], 'the first start commits it')
  t.same(await warnings('min.insync.replicas= 2'), [])
  t.same(await warnings(), [], 'who asks for nothing is told nothing')
  const [line, ...more] = await warnings('min.insync.replicas=1')
  t.match(
    line,
    /^min\.insync\.replicas=1 is not what holds: the cluster has 2, .*--entity-default --alter --add-config min\.insync\.replicas=1$/
  )
  t.same(more, [])
  t.same(asked, ['min.insync.replicas=2 2', 'min.insync.replicas= 2 2', ' 2', 'min.insync.replicas=1 2'])
})
