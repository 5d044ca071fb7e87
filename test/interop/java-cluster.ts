// Kafka's own tools on a cluster of three: who leads, who is in sync, moving replicas, elections, equal replicas on the
// disks, snapshots and the metadata log as dump-log reads them, and the same after a node was killed and came back.
import assert from 'node:assert/strict'
import { once } from 'node:events'
import { readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { setCrc } from '../../protocol/records/batch.ts'
import { callOf, javaSettings, lines, noTools, produce } from './java-tools.ts'
import { end } from './process.ts'
import type { Checks, Suite, Target } from './suite.ts'
import { until } from './suite.ts'
import type { Tools } from './tools.ts'

const PARTITIONS = 6
const RECORDS = 2_000

export const javaCluster: Suite = {
  name: 'java-cluster',
  nodes: 3,
  settings: {
    ...javaSettings,
    'min.insync.replicas': '2',
    'leader.imbalance.check.interval.seconds': '3600',
    'metadata.log.max.record.bytes.between.snapshots': '4096'
  },
  async run(target, checks) {
    const { tools } = target
    if (tools === undefined) return checks.skip('all', noTools)
    const topic = `${target.tag}-cluster`
    await checkDescribe(target, topic, tools, checks)
    await checkQuorum(target, tools, checks)
    await checkReplicas(target, topic, tools, checks)
    await checkProducers(target, topic, tools, checks)
    await checkReassign(target, topic, tools, checks)
    if (target.nodes.length === 3) await checkFailover(target, topic, tools, checks)
    await checkFiles(target, tools, checks)
  }
}

interface Described {
  readonly partition: number
  readonly leader: number
  readonly replicas: number[]
  readonly isr: number[]
}

async function describeTopic(target: Target, topic: string, tools: Tools): Promise<Described[]> {
  const text = await callOf(target, tools)('kafka-topics', `--describe --topic ${topic}`)
  const ids = (list: string) => list.split(',').filter(Boolean).map(Number)
  return lines(text).flatMap(line => {
    const found = /Partition: (\d+)\s+Leader: (\S+)\s+Replicas: (\S*)\s+Isr: (\S*)/.exec(line)
    if (found === null) return []
    const [, partition, leader, replicas = '', isr = ''] = found
    return { partition: Number(partition), leader: Number(leader), replicas: ids(replicas), isr: ids(isr) }
  })
}

async function checkDescribe(target: Target, topic: string, tools: Tools, checks: Checks): Promise<void> {
  const call = callOf(target, tools)
  await checks.check('topics: three replicas, all in sync, leaders on all nodes', async () => {
    await call('kafka-topics', `--create --topic ${topic} --partitions ${PARTITIONS} --replication-factor 3`)
    await produce(target, tools, topic, RECORDS)
    const partitions = await describeTopic(target, topic, tools)
    assert.equal(partitions.length, PARTITIONS)
    for (const { replicas, isr, leader } of partitions) {
      assert.deepEqual([...replicas].sort(), [1, 2, 3])
      assert.deepEqual([...isr].sort(), [1, 2, 3])
      assert.equal(leader, replicas[0])
    }
    assert.equal(new Set(partitions.map(each => each.leader)).size, 3)
    for (const filter of ['under-replicated-partitions', 'unavailable-partitions', 'at-min-isr-partitions']) {
      const text = await call('kafka-topics', `--describe --${filter} --topic ${topic}`)
      assert.doesNotMatch(text, /Partition: \d/)
    }
  })
}

async function checkQuorum(target: Target, tools: Tools, checks: Checks): Promise<void> {
  const call = callOf(target, tools)
  await checks.check('metadata-quorum: one leader, two followers without lag', async () => {
    const status = await call('kafka-metadata-quorum', 'describe --status')
    assert.match(status, /LeaderId:\s+[123]\s+LeaderEpoch:\s+\d+\s+HighWatermark:\s+\d+/)
    assert.match(status, /MaxFollowerLag:\s+\d+/)
    const replication = await call('kafka-metadata-quorum', 'describe --replication')
    assert.equal(replication.match(/\bLeader\s*$/gm)?.length, 1)
    assert.equal(replication.match(/\bFollower\s*$/gm)?.length, 2)
  })
  if (target.controllers === undefined) return
  const { controllers } = target
  await checks.check('metadata-quorum: asked by way of the controllers', async () => {
    const args = ['--bootstrap-controller', controllers, 'describe', '--status']
    assert.match(await tools.ok('kafka-metadata-quorum', args), /LeaderId:\s+[123]/)
  })
}

/** What the tool says that compares all replicas from their beginning on, until it has said this; it goes on by itself. */
async function compareReplicas(target: Target, topic: string, tools: Tools, said: RegExp): Promise<string> {
  const args = ['--broker-list', target.bootstrap, '--topics-include', topic, '--time', '-2']
  const tool = tools.launch('kafka-replica-verification', [...args, '--report-interval-ms', '1000'])
  let text = ''
  for (const stream of [tool.stdout, tool.stderr]) {
    stream?.setEncoding('utf8').on('data', (chunk: string) => {
      text += chunk
    })
  }
  const ended = once(tool, 'exit')
  try {
    await until(`${said}`, 40_000, () => said.test(text) || undefined).catch(error => {
      throw new Error(`${error.message}\n${text}`)
    })
  } finally {
    end(tool)
    await ended
  }
  return text
}

const DIFFERS = /unmatched checksum|doesn't match/

/** No lag means that every replica of every partition has answered with the same up to its high watermark: what one of
 *  them refuses or lacks is compared by nobody, and lags by as much. */
async function checkReplicas(target: Target, topic: string, tools: Tools, checks: Checks): Promise<void> {
  await checks.check('replica-verification: replicas hold the same', async () => {
    const text = await compareReplicas(target, topic, tools, /max lag is 0 for/)
    assert.doesNotMatch(text, DIFFERS)
    const report = /max lag is 0 for partition (\S+) at offset (\d+) among (\d+) partitions/.exec(text)
    const [, partition = '', offset, count] = report ?? []
    assert.equal(Number(count), PARTITIONS)
    const found = await callOf(target, tools)('kafka-get-offsets', `--topic ${topic}`)
    const ends = new Map(lines(found).map(line => [line.slice(0, line.lastIndexOf(':')), Number(line.split(':')[2])]))
    assert.equal(Number(offset), ends.get(`${topic}:${partition.slice(topic.length + 1)}`))
    assert.equal(
      [...ends.values()].reduce((sum, each) => sum + each, 0),
      RECORDS
    )
  })
  const third = target.nodes[2]
  if (third === undefined) return
  await checks.check(
    'replica-verification: one that differs is told',
    async () => {
      const other = `${topic}-differs`
      await callOf(target, tools)('kafka-topics', `--create --topic ${other} --replica-assignment 1:2:3`)
      await produce(target, tools, other, 10)
      assert.doesNotMatch(await compareReplicas(target, other, tools, /max lag is 0 .* at offset 10 /), DIFFERS)
      await third.kill()
      alter(join(third.dataDirectory, `${other}-0`, '00000000000000000000.log'))
      await third.start()
      const inSync = async () => (await describeTopic(target, other, tools))[0]?.isr.length === 3 || undefined
      await until('node 3 is in sync', 30_000, inSync)
      assert.match(
        await compareReplicas(target, other, tools, DIFFERS),
        /has unmatched checksum at offset \d+; replica/
      )
      await callOf(target, tools)('kafka-topics', `--delete --topic ${other}`)
    },
    { limitMs: 120_000 }
  )
}

/** Another value in the first batch, which is whole. */
function alter(file: string): void {
  const bytes = readFileSync(file)
  bytes.write('VALUE', bytes.indexOf('value'))
  setCrc(bytes, 0)
  writeFileSync(file, bytes)
}

/** Each replica is asked what it remembers, not only the one that leads. */
async function checkProducers(target: Target, topic: string, tools: Tools, checks: Checks): Promise<void> {
  await checks.check('transactions: each replica describes the producers', async () => {
    for (const broker of [1, 2, 3]) {
      const args = `describe-producers --topic ${topic} --partition 0 --broker-id ${broker}`
      assert.match(
        await callOf(target, tools)('kafka-transactions', args),
        /ProducerId\s+ProducerEpoch[^\n]*\n\d+\s+0\s/
      )
    }
  })
}

async function checkReassign(target: Target, topic: string, tools: Tools, checks: Checks): Promise<void> {
  const call = callOf(target, tools)
  const plan = join(target.scratch, 'plan.json')
  const write = (moves: { partition: number; replicas: number[] }[]): void =>
    writeFileSync(plan, JSON.stringify({ version: 1, partitions: moves.map(each => ({ topic, ...each })) }))
  await checks.check('reassign-partitions: fewer replicas, other leaders, and back', async () => {
    write([
      { partition: 0, replicas: [2, 3] },
      { partition: 1, replicas: [3, 1, 2] }
    ])
    await call('kafka-reassign-partitions', `--execute --reassignment-json-file ${plan}`)
    await until('the move is complete', 30_000, async () => {
      const text = await call('kafka-reassign-partitions', `--verify --reassignment-json-file ${plan}`)
      return /Reassignment of partition \S+-0 is completed/.test(text) || undefined
    })
    const [first, second] = await describeTopic(target, topic, tools)
    assert.deepEqual(first?.replicas, [2, 3])
    assert.ok([2, 3].includes(first?.leader ?? -1))
    assert.deepEqual(second?.replicas, [3, 1, 2])
    write([{ partition: 0, replicas: [1, 2, 3] }])
    await call('kafka-reassign-partitions', `--execute --reassignment-json-file ${plan}`)
    await until('all are in sync again', 30_000, async () => {
      const [again] = await describeTopic(target, topic, tools)
      return again?.isr.length === 3 && again.replicas.length === 3 ? true : undefined
    })
    assert.match(await call('kafka-reassign-partitions', '--list'), /No partition reassignments found/)
  })
  await checks.check('reassign-partitions: a plan is generated', async () => {
    const topics = join(target.scratch, 'topics.json')
    writeFileSync(topics, JSON.stringify({ version: 1, topics: [{ topic }] }))
    const args = `--generate --topics-to-move-json-file ${topics} --broker-list 1,2,3`
    assert.match(await call('kafka-reassign-partitions', args), /Proposed partition reassignment configuration/)
  })
  await checks.check('leader-election: preferred leaders of all partitions', async () => {
    await tools.ok('kafka-leader-election', [
      ...['--bootstrap-server', target.bootstrap],
      ...['--election-type', 'preferred', '--all-topic-partitions']
    ])
    for (const { leader, replicas } of await describeTopic(target, topic, tools)) assert.equal(leader, replicas[0])
  })
}

async function checkFailover(target: Target, topic: string, tools: Tools, checks: Checks): Promise<void> {
  const call = callOf(target, tools)
  await checks.check('a killed node leaves every in-sync set, and comes back to it', async () => {
    await target.nodes[2]?.kill()
    await until(
      'node 3 is out',
      30_000,
      async () =>
        (await describeTopic(target, topic, tools)).every(each => !each.isr.includes(3) && each.leader !== 3) ||
        undefined
    )
    const text = await call('kafka-topics', `--describe --under-replicated-partitions --topic ${topic}`)
    assert.equal(text.match(/Partition: \d/g)?.length, PARTITIONS)
    await produce(target, tools, topic, 200)
    await target.nodes[2]?.start()
    await until(
      'node 3 is in sync',
      30_000,
      async () => (await describeTopic(target, topic, tools)).every(each => each.isr.length === 3) || undefined
    )
    const args = ['--topic', topic, '--from-beginning', '--max-messages', String(RECORDS + 200)]
    const values = await tools.ok('kafka-console-consumer', ['--bootstrap-server', target.bootstrap, ...args])
    assert.equal(lines(values).length, RECORDS + 200)
  })
}

async function checkFiles(target: Target, tools: Tools, checks: Checks): Promise<void> {
  const folders = target.nodes.map(each => join(each.dataDirectory, '__cluster_metadata-0'))
  if (folders.length === 0) return checks.skip('dump-log', 'the data directories are not known')
  const dump = (files: string[], ...flags: string[]) =>
    tools.ok('kafka-dump-log', ['--files', files.join(','), ...flags])
  await checks.check('dump-log: the metadata log of each node', async () => {
    for (const folder of folders) {
      const files = readdirSync(folder).filter(name => name.endsWith('.log'))
      const text = await dump(
        files.map(name => join(folder, name)),
        '--cluster-metadata-decoder'
      )
      assert.doesNotMatch(text, /isvalid: false|Could not read|Error/)
      assert.match(text, /LeaderChange|"type":"[A-Z_]+_RECORD"/)
    }
  })
  await checks.check('dump-log: the newest snapshot of each node', async () => {
    for (const folder of folders) {
      const snapshots = readdirSync(folder).filter(name => name.endsWith('.checkpoint'))
      const newest = snapshots.sort().at(-1)
      assert.ok(newest, `${folder} has no snapshot`)
      const text = await dump([join(folder, newest)], '--cluster-metadata-decoder')
      assert.match(text, /SnapshotHeader/)
      assert.match(text, /SnapshotFooter/)
      assert.match(text, /"type":"REGISTER_BROKER_RECORD"/)
    }
  })
}
