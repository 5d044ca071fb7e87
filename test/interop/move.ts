// One data directory, three lives: moldau fills it, Apache Kafka starts on it and goes on, and moldau takes it back. Each
// reads what the other wrote, topics, settings and groups too; after the last one moldau is killed, and Kafka recovers.
import assert from 'node:assert/strict'
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import type { Kafka } from 'kafkajs'
import { noTools } from './java-tools.ts'
import { createTopic, kafkaOf, read, send } from './kafkajs-client.ts'
import { run } from './process.ts'
import type { Suite, Target } from './suite.ts'
import { until } from './suite.ts'
import { type RunningBroker, startBroker } from './target.ts'

const settings = { 'group.initial.rebalance.delay.ms': '0', 'offsets.topic.num.partitions': '3', 'num.partitions': '1' }
const TOPICS = ['plain', 'compacted']

export const move: Suite = {
  name: 'move',
  settings,
  async run(target, checks) {
    const { tools, kind, scratch } = target
    if (tools === undefined) return checks.skip('all', noTools)
    if (kind !== 'moldau') return checks.skip('all', 'it starts and stops a moldau of its own')
    const home = join(scratch, 'home')
    const moldau = () => startBroker({ kind: 'moldau' }, home, settings)
    const kafka = () => startKafkaOn(tools.program, home)
    let written = 0
    const live = async (name: string, start: () => Promise<RunningBroker>, isKilled = false): Promise<boolean> =>
      checks.check(
        name,
        async () => {
          const broker = await start()
          try {
            await prove({ ...target, bootstrap: broker.bootstrap }, written)
            written += 100
          } finally {
            await (isKilled ? broker.kill() : broker.stop())
          }
        },
        { limitMs: 120_000 }
      )
    const lives: [name: string, start: () => Promise<RunningBroker>, isKilled?: boolean][] = [
      ['moldau fills the directory', moldau],
      ['Apache Kafka goes on with it', kafka],
      ['moldau takes it back, and is killed', moldau, true],
      ['Apache Kafka recovers it', kafka],
      ['and moldau once more', moldau]
    ]
    // A life that fails leaves nothing to go on with.
    for (const life of lives) if (!(await live(...life))) return
  }
}

/** Everything of the lives before is there, and a hundred records and commits more can be written. */
async function prove(target: Target, before: number): Promise<void> {
  const client = kafkaOf(target)
  if (before === 0) await prepare(client)
  const values = (from: number, count: number) => Array.from({ length: count }, (_, i) => `value-${from + i}`)
  for (const topic of TOPICS) {
    if (before > 0) await expectAll(client, topic, values(0, before))
    await send(
      client,
      topic,
      values(before, 100).map(value => ({ key: value, value })),
      { acks: -1 }
    )
    await expectAll(client, topic, values(0, before + 100))
  }
  // The group reads on from where it was under the other broker.
  const fresh = await read(client, 'plain', 100, { groupId: 'movers' })
  assert.deepEqual(
    fresh.map(message => String(message.value)),
    values(before, 100)
  )
  await describe(client, before + 100)
}

async function prepare(client: Kafka): Promise<void> {
  await createTopic(client, 'plain', 1)
  const admin = client.admin()
  await admin.connect()
  const configEntries = [{ name: 'cleanup.policy', value: 'compact' }]
  await admin.createTopics({ topics: [{ topic: 'compacted', numPartitions: 1, replicationFactor: 1, configEntries }] })
  await admin.disconnect()
}

async function expectAll(client: Kafka, topic: string, values: string[]): Promise<void> {
  const messages = await read(client, topic, values.length)
  assert.deepEqual(
    messages.map(message => String(message.value)),
    values
  )
  assert.deepEqual(
    messages.map(message => message.offset),
    values.map((_, i) => String(i))
  )
}

async function describe(client: Kafka, end: number): Promise<void> {
  const admin = client.admin()
  await admin.connect()
  try {
    assert.deepEqual((await admin.listTopics()).filter(name => TOPICS.includes(name)).sort(), [...TOPICS].sort())
    const [offsets] = await admin.fetchOffsets({ groupId: 'movers', topics: ['plain'] })
    assert.equal(offsets?.partitions[0]?.offset, String(end))
    const { resources } = await admin.describeConfigs({
      includeSynonyms: false,
      resources: [{ type: 2, name: 'compacted', configNames: ['cleanup.policy'] }]
    })
    assert.equal(resources[0]?.configEntries[0]?.configValue, 'compact')
  } finally {
    await admin.disconnect()
  }
}

/** Apache Kafka with the settings file that moldau was started with, on the same directory. */
async function startKafkaOn(program: string, home: string): Promise<RunningBroker> {
  const folder = join(home, 'kafka')
  mkdirSync(folder, { recursive: true })
  const given = readFileSync(join(home, 'server.properties'), 'utf8')
  const more = Object.entries(settings).map(([key, value]) => `${key}=${value}\n`)
  writeFileSync(join(folder, '1.properties'), given + more.join(''))
  const bootstrap = /^advertised\.listeners=PLAINTEXT:\/\/(.*)$/m.exec(given)?.[1] ?? ''
  const started = await run(program, ['restart', folder, '1'])
  assert.equal(started.code, 0, started.stderr)
  const end = (how: string) => async (): Promise<void> => {
    await run(program, [how, folder, '1'])
  }
  const admin = kafkaOf({ bootstrap }).admin({ retry: { retries: 0 } })
  await until('Apache Kafka answers', 60_000, async () => {
    try {
      await admin.connect()
      const { brokers } = await admin.describeCluster()
      return brokers.length > 0 || undefined
    } catch {
      return undefined // It is still starting.
    }
  })
  await admin.disconnect()
  return {
    bootstrap,
    controllers: undefined,
    dataDirectory: join(home, 'data'),
    nodes: [],
    stop: end('stop'),
    kill: end('kill')
  }
}
