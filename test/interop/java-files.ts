// Kafka's dump-log tool on the files of the broker under test: its logs, indexes, producer snapshots, the offsets of
// groups and the metadata of the cluster.
import assert from 'node:assert/strict'
import { readdirSync } from 'node:fs'
import { join } from 'node:path'
import { callOf, javaSettings, noTools, produce } from './java-tools.ts'
import type { Checks, Suite, Target } from './suite.ts'
import type { Tools } from './tools.ts'

export const javaFiles: Suite = {
  name: 'java-files',
  // Small segments and a dense index, so that there is something in each kind of file.
  settings: { ...javaSettings, 'log.index.interval.bytes': '512', 'offsets.topic.num.partitions': '1' },
  async run(target, checks) {
    const { tools, dataDirectory } = target
    if (tools === undefined) return checks.skip('all', noTools)
    if (dataDirectory === undefined) return checks.skip('all', 'the data directory of the broker is not known')
    const call = callOf(target, tools)
    const topic = `${target.tag}-files`
    await call('kafka-topics', `--create --topic ${topic} --partitions 1 --config segment.bytes=1048576`)
    const args = `--topic ${topic} --num-records 3000 --record-size 1024 --throughput -1 --command-property batch.size=4096`
    await call('kafka-producer-perf-test', args)
    await call('kafka-console-consumer', `--topic ${topic} --group ${topic}-group --from-beginning --max-messages 3000`)
    await checkPartition(dataDirectory, topic, tools, checks)
    await checkOffsets(dataDirectory, topic, tools, checks)
    await checkMetadata(dataDirectory, topic, tools, checks)
    await checkKeys(target, dataDirectory, tools, checks)
  }
}

function filesOf(folder: string, ending: string): string[] {
  const names = readdirSync(folder).filter(name => name.endsWith(ending))
  assert.ok(names.length > 0, `no ${ending} in ${folder}: ${readdirSync(folder)}`)
  return names.sort().map(name => join(folder, name))
}

const dump = (tools: Tools, files: string[], ...flags: string[]): Promise<string> =>
  tools.ok('kafka-dump-log', ['--files', files.join(','), ...flags])

async function checkPartition(directory: string, topic: string, tools: Tools, checks: Checks): Promise<void> {
  const folder = join(directory, `${topic}-0`)
  await checks.check('dump-log: every record of every segment, in order and valid', async () => {
    const logs = filesOf(folder, '.log')
    assert.ok(logs.length >= 3, `${logs.length} segments`)
    const text = await dump(tools, logs, '--deep-iteration')
    const offsets = [...text.matchAll(/^\| offset: (\d+) /gm)].map(match => Number(match[1]))
    assert.deepEqual(
      offsets,
      Array.from({ length: 3000 }, (_, i) => i)
    )
    assert.doesNotMatch(text, /isvalid: false/i)
    assert.match(text, /partitionLeaderEpoch: \d+/)
  })
  await checks.check('dump-log: offset and time indexes agree with the log', async () => {
    const files = [...filesOf(folder, '.index'), ...filesOf(folder, '.timeindex')]
    assert.ok(files.length >= 6)
    const text = await dump(tools, files)
    assert.match(text, /^offset: \d+ position: [1-9]\d+$/m)
    assert.match(text, /^timestamp: 1\d{12} offset: \d+$/m)
    assert.doesNotMatch(text, /mismatch|out of order|corrupt|not found/i)
    await dump(tools, files, '--verify-index-only')
    // The last files still grow, and those of Apache Kafka are longer than what they hold.
    const closed = [...filesOf(folder, '.index').slice(0, -1), ...filesOf(folder, '.timeindex').slice(0, -1)]
    assert.match(await dump(tools, closed, '--index-sanity-check'), /passed sanity check/)
  })
  await checks.check('dump-log: producer snapshot', async () => {
    const text = await dump(tools, filesOf(folder, '.snapshot').slice(-1))
    assert.match(text, /producerId: \d+ producerEpoch: 0/)
  })
}

async function checkOffsets(directory: string, topic: string, tools: Tools, checks: Checks): Promise<void> {
  await checks.check('dump-log: __consumer_offsets with the decoder', async () => {
    const files = filesOf(join(directory, '__consumer_offsets-0'), '.log')
    const text = await dump(tools, files, '--offsets-decoder')
    assert.doesNotMatch(text, /isvalid: false|Failed to decode/i)
    assert.match(text, new RegExp(`"group":"${topic}-group","topic":"${topic}","partition":0`))
    assert.match(text, /"offset":3000/)
    assert.match(text, new RegExp(`"type":"2"[^\\n]*"group":"${topic}-group"[^\\n]*"protocolType":"consumer"`))
  })
}

async function checkMetadata(directory: string, topic: string, tools: Tools, checks: Checks): Promise<void> {
  await checks.check('dump-log: __cluster_metadata with the decoder', async () => {
    const files = filesOf(join(directory, '__cluster_metadata-0'), '.log')
    const text = await dump(tools, files, '--cluster-metadata-decoder')
    assert.doesNotMatch(text, /isvalid: false|Could not read|Error/)
    for (const type of [
      'REGISTER_BROKER_RECORD',
      'TOPIC_RECORD',
      'PARTITION_RECORD',
      'CONFIG_RECORD',
      'FEATURE_LEVEL_RECORD'
    ]) {
      assert.match(text, new RegExp(`"type":"${type}"`))
    }
    assert.match(text, new RegExp(`"type":"TOPIC_RECORD"[^\\n]*"name":"${topic}"`))
  })
}

async function checkKeys(target: Target, directory: string, tools: Tools, checks: Checks): Promise<void> {
  await checks.check('dump-log: keys and values as they were sent', async () => {
    const topic = `${target.tag}-keys`
    await callOf(target, tools)('kafka-topics', `--create --topic ${topic} --partitions 1`)
    await produce(target, tools, topic, 3)
    const text = await dump(tools, filesOf(join(directory, `${topic}-0`), '.log'), '--print-data-log')
    assert.match(text, /key: key-2 payload: value-2/)
  })
}
