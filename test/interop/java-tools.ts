// Kafka's own command-line tools for topics, records, settings and the cluster. Groups are in java-groups.ts, the tools
// that read files in java-files.ts.
import assert from 'node:assert/strict'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import type { Checks, Suite, Target } from './suite.ts'
import { until } from './suite.ts'
import type { ToolName, Tools } from './tools.ts'

export const javaSettings = { 'group.initial.rebalance.delay.ms': '0', 'num.partitions': '1' }
export const noTools = 'the Java tools are not on this machine (MOLDAU_KAFKA_TOOLS names the program that starts them)'

export const javaTools: Suite = {
  name: 'java-tools',
  settings: javaSettings,
  async run(target, checks) {
    const { tools } = target
    if (tools === undefined) return checks.skip('all', noTools)
    await checkTopics(target, tools, checks)
    await checkConsole(target, tools, checks)
    await checkVerifiable(target, tools, checks)
    await checkOffsets(target, tools, checks)
    await checkConfigs(target, tools, checks)
    await checkCluster(target, tools, checks)
    await checkSpeed(target, tools, checks)
  }
}

/** Calls a tool with the address of the broker first. */
export function callOf(target: Target, tools: Tools) {
  return (tool: ToolName, args: string, options: { input?: string; limitMs?: number } = {}): Promise<string> =>
    tools.ok(tool, ['--bootstrap-server', target.bootstrap, ...args.split(' ').filter(word => word !== '')], options)
}

export const lines = (text: string): string[] => text.split('\n').filter(line => line !== '')

/** Produces so many records `value-0 ...` to one partition of a topic, with keys. */
export async function produce(target: Target, tools: Tools, topic: string, count: number): Promise<void> {
  const input = Array.from({ length: count }, (_, i) => `key-${i}:value-${i}\n`).join('')
  const args = `--topic ${topic} --property parse.key=true --property key.separator=:`
  await callOf(target, tools)('kafka-console-producer', args, { input })
}

async function checkTopics(target: Target, tools: Tools, checks: Checks): Promise<void> {
  const call = callOf(target, tools)
  const topic = `${target.tag}-java-topics`
  await checks.check('topics: create, list, describe', async () => {
    await call(
      'kafka-topics',
      `--create --topic ${topic} --partitions 2 --replication-factor 1 --config retention.ms=100000`
    )
    assert.ok(lines(await call('kafka-topics', '--list')).includes(topic))
    const text = await call('kafka-topics', `--describe --topic ${topic}`)
    assert.match(text, /PartitionCount: 2\s+ReplicationFactor: 1\s+Configs: .*retention\.ms=100000/)
    assert.match(text, /Partition: 1\s+Leader: (\d+)\s+Replicas: \1\s+Isr: \1/)
    await call('kafka-topics', `--create --if-not-exists --topic ${topic}`)
    const again = await tools.call('kafka-topics', [
      '--bootstrap-server',
      target.bootstrap,
      '--create',
      '--topic',
      topic
    ])
    assert.notEqual(again.code, 0)
    assert.match(again.stdout + again.stderr, /already exists/)
  })
  await checks.check('topics: alter partitions, and the filters of describe', async () => {
    await call('kafka-topics', `--alter --topic ${topic} --partitions 4`)
    await until('four partitions', 10_000, async () =>
      (await call('kafka-topics', `--describe --topic ${topic}`)).includes('PartitionCount: 4') ? true : undefined
    )
    for (const filter of ['under-replicated-partitions', 'unavailable-partitions', 'under-min-isr-partitions']) {
      assert.equal((await call('kafka-topics', `--describe --${filter}`)).trim(), '')
    }
    assert.match(await call('kafka-topics', `--describe --topics-with-overrides`), new RegExp(topic))
  })
  await checks.check('topics: delete', async () => {
    await call('kafka-topics', `--delete --topic ${topic}`)
    await until('the topic is gone', 10_000, async () =>
      lines(await call('kafka-topics', '--list')).includes(topic) ? undefined : true
    )
  })
}

async function checkConsole(target: Target, tools: Tools, checks: Checks): Promise<void> {
  const call = callOf(target, tools)
  const topic = `${target.tag}-java-console`
  await call('kafka-topics', `--create --topic ${topic} --partitions 1`)
  await checks.check('console producer and consumer: keys, headers, nulls, timestamps', async () => {
    const properties = 'parse.key parse.headers'
      .split(' ')
      .map(name => `--property ${name}=true`)
      .join(' ')
    const input = 'a:1,b:2\tkey\tvalue\nNULL\tkey\tNULL\n'
    await call('kafka-console-producer', `--topic ${topic} ${properties} --property null.marker=NULL`, { input })
    const prints = 'key headers offset partition timestamp'
      .split(' ')
      .map(name => `--property print.${name}=true`)
      .join(' ')
    const text = await call('kafka-console-consumer', `--topic ${topic} --from-beginning --max-messages 2 ${prints}`)
    assert.match(text, /^CreateTime:\d+\tPartition:0\tOffset:0\ta:1,b:2\tkey\tvalue$/m)
    assert.match(text, /^CreateTime:\d+\tPartition:0\tOffset:1\tNO_HEADERS\tkey\tnull$/m)
  })
  await checks.check('console consumer: from an offset, isolation, time-out at the end', async () => {
    await produce(target, tools, topic, 50)
    const from = await call('kafka-console-consumer', `--topic ${topic} --partition 0 --offset 50 --max-messages 2`)
    assert.deepEqual(lines(from), ['value-48', 'value-49'])
    const all = await call(
      'kafka-console-consumer',
      `--topic ${topic} --from-beginning --isolation-level read_committed --timeout-ms 4000`
    )
    assert.equal(lines(all).length, 52)
    const pattern = await call(
      'kafka-console-consumer',
      `--include ${target.tag}-java-cons.* --from-beginning --max-messages 52`
    )
    assert.equal(lines(pattern).length, 52)
  })
  for (const acks of ['0', '1', 'all']) {
    await checks.check(`console producer: acks ${acks}, with and without idempotence`, async () => {
      const idempotence = acks === 'all' ? 'true' : 'false'
      const properties = `--producer-property acks=${acks} --producer-property enable.idempotence=${idempotence}`
      await call('kafka-console-producer', `--topic ${topic} ${properties}`, { input: 'one more\n' })
    })
  }
  await checkTransactional(target, tools, topic, checks)
}

/** Until there are transactions, a producer must learn at once, and not by a time-out, that it cannot have one. */
async function checkTransactional(target: Target, tools: Tools, topic: string, checks: Checks): Promise<void> {
  const name = 'a transactional producer is refused in one final error'
  if (target.kind !== 'moldau') return checks.skip(name, 'this broker has transactions')
  await checks.check(name, async () => {
    const args = `--topic ${topic} --num-records 10 --record-size 10 --throughput -1 --transactional-id t`.split(' ')
    const outcome = await tools.call('kafka-producer-perf-test', ['--bootstrap-server', target.bootstrap, ...args], {
      limitMs: 20_000
    })
    assert.equal(outcome.timedOut, false)
    assert.notEqual(outcome.code, 0)
    assert.match(
      outcome.stderr + outcome.stdout,
      /TransactionalIdAuthorizationException|Transactional Id authorization failed/
    )
  })
}

async function checkVerifiable(target: Target, tools: Tools, checks: Checks): Promise<void> {
  const call = callOf(target, tools)
  const topic = `${target.tag}-java-verifiable`
  await call('kafka-topics', `--create --topic ${topic} --partitions 3`)
  await checks.check('verifiable producer', async () => {
    const args = ['--bootstrap-server', target.bootstrap, '--topic', topic, '--max-messages', '5000', '--acks', '-1']
    const text = await tools.alone('kafka-verifiable-producer', args)
    const events = lines(text)
      .filter(line => line.startsWith('{'))
      .map(line => JSON.parse(line) as { name: string; sent?: number; acked?: number })
    assert.equal(events.filter(event => event.name === 'producer_send_success').length, 5000)
    assert.equal(events.find(event => event.name === 'tool_data')?.acked, 5000)
  })
  await checks.check('verifiable consumer', async () => {
    const args = `--topic ${topic} --group-id ${topic}-g --max-messages 5000 --reset-policy earliest --verbose`
    const text = await call('kafka-verifiable-consumer', args, { limitMs: 90_000 })
    const events = lines(text).map(line => JSON.parse(line) as { name: string; count?: number; success?: boolean })
    const consumed = events
      .filter(event => event.name === 'records_consumed')
      .reduce((sum, event) => sum + (event.count ?? 0), 0)
    assert.ok(consumed >= 5000, `${consumed} consumed`)
    assert.ok(events.some(event => event.name === 'offsets_committed' && event.success === true))
  })
}

async function checkOffsets(target: Target, tools: Tools, checks: Checks): Promise<void> {
  const call = callOf(target, tools)
  const topic = `${target.tag}-java-offsets`
  await call('kafka-topics', `--create --topic ${topic} --partitions 1`)
  await produce(target, tools, topic, 20)
  const at = async (time: string) => (await call('kafka-get-offsets', `--topic ${topic} --time ${time}`)).trim()
  await checks.check('get-offsets at every time', async () => {
    assert.equal(await at('latest'), `${topic}:0:20`)
    assert.equal(await at('-1'), `${topic}:0:20`)
    assert.equal(await at('earliest'), `${topic}:0:0`)
    assert.equal(await at('earliest-local'), `${topic}:0:0`)
    assert.match(await at('max-timestamp'), new RegExp(`^${topic}:0:(1?\\d)$`))
    assert.equal(await at('0'), `${topic}:0:0`)
    assert.equal(await at('9999999999999'), '')
    assert.equal(await at('latest-tiered'), '')
    assert.equal(
      (await call('kafka-get-offsets', `--topic-partitions ${topic}:0 --exclude-internal-topics`)).trim(),
      `${topic}:0:20`
    )
  })
  await checks.check('delete-records', async () => {
    const file = join(target.scratch, 'delete.json')
    writeFileSync(file, JSON.stringify({ version: 1, partitions: [{ topic, partition: 0, offset: 7 }] }))
    assert.match(await call('kafka-delete-records', `--offset-json-file ${file}`), /low_watermark: 7/)
    assert.equal(await at('earliest'), `${topic}:0:7`)
    const seen = await call('kafka-console-consumer', `--topic ${topic} --from-beginning --max-messages 13`)
    assert.equal(lines(seen)[0], 'value-7')
  })
}

async function checkConfigs(target: Target, tools: Tools, checks: Checks): Promise<void> {
  const call = callOf(target, tools)
  const topic = `${target.tag}-java-configs`
  await call('kafka-topics', `--create --topic ${topic} --partitions 1`)
  const entity = `--entity-type topics --entity-name ${topic}`
  await checks.check('configs: alter, append, subtract and delete on a topic', async () => {
    await call('kafka-configs', `--alter ${entity} --add-config retention.ms=500000,cleanup.policy=[compact,delete]`)
    assert.match(
      await call('kafka-configs', `--describe ${entity}`),
      /cleanup\.policy=compact,delete[\s\S]*retention\.ms=500000/
    )
    await call('kafka-configs', `--alter ${entity} --delete-config retention.ms`)
    assert.doesNotMatch(await call('kafka-configs', `--describe ${entity}`), /retention\.ms=500000/)
    const all = await call('kafka-configs', `--describe --all ${entity}`)
    assert.match(all, /retention\.ms=604800000 sensitive=false synonyms=\{/)
    assert.ok(lines(all).length > 25)
  })
  await checks.check('configs: a bad value and an unknown key are refused', async () => {
    for (const config of ['retention.ms=soon', 'no.such.key=1', 'min.insync.replicas=0']) {
      const args = ['--bootstrap-server', target.bootstrap, '--alter', ...entity.split(' '), '--add-config', config]
      const outcome = await tools.call('kafka-configs', args)
      assert.notEqual(outcome.code, 0, config)
      assert.match(outcome.stderr + outcome.stdout, /InvalidConfigurationException|ConfigException|Invalid/, config)
    }
  })
  await checks.check('configs: a broker and the default of all brokers', async () => {
    const broker = `--entity-type brokers --entity-name ${await brokerId(target, tools)}`
    assert.match(await call('kafka-configs', `--describe --all ${broker}`), /num\.partitions=1 /)
    await call('kafka-configs', `--alter ${broker} --add-config log.retention.ms=7777777`)
    assert.match(await call('kafka-configs', `--describe ${broker}`), /log\.retention\.ms=7777777/)
    // Any broker may answer for a topic, by its own settings.
    if (target.nodes.length < 2) {
      assert.match(await call('kafka-configs', `--describe --all ${entity}`), /retention\.ms=7777777 /)
    }
    await call('kafka-configs', `--alter ${broker} --delete-config log.retention.ms`)
    const defaults = '--entity-type brokers --entity-default'
    await call('kafka-configs', `--alter ${defaults} --add-config log.segment.bytes=2000000`)
    assert.match(await call('kafka-configs', `--describe ${defaults}`), /log\.segment\.bytes=2000000/)
    assert.match(await call('kafka-configs', `--describe --all ${entity}`), /segment\.bytes=2000000 /)
    await call('kafka-configs', `--alter ${defaults} --delete-config log.segment.bytes`)
  })
}

async function brokerId(target: Target, tools: Tools): Promise<string> {
  const text = await callOf(target, tools)('kafka-broker-api-versions', '')
  return /id: (\d+)/.exec(text)?.[1] ?? '1'
}

async function checkCluster(target: Target, tools: Tools, checks: Checks): Promise<void> {
  const call = callOf(target, tools)
  await checks.check('broker-api-versions', async () => {
    const text = await call('kafka-broker-api-versions', '')
    assert.match(text, /Produce\(0\): 0 to 13/)
    assert.match(text, /JoinGroup\(11\): 0 to 9/)
    assert.doesNotMatch(text, /UNKNOWN\(\d+\)/)
  })
  await checks.check('cluster: cluster-id, list-endpoints', async () => {
    assert.match(
      await tools.ok('kafka-cluster', ['cluster-id', '--bootstrap-server', target.bootstrap]),
      /Cluster ID: [\w-]{22}/
    )
    const endpoints = await tools.ok('kafka-cluster', ['list-endpoints', '--bootstrap-server', target.bootstrap])
    assert.match(endpoints, /127\.0\.0\.1/)
  })
  await checks.check('metadata-quorum: status and replication', async () => {
    const status = await call('kafka-metadata-quorum', 'describe --status')
    assert.match(status, /LeaderId:\s+\d+[\s\S]*HighWatermark:\s+\d+/)
    assert.match(await call('kafka-metadata-quorum', 'describe --replication'), /Leader\s*$/m)
  })
  await checks.check('features: describe', async () => {
    const text = await call('kafka-features', 'describe')
    assert.match(text, /Feature: metadata\.version\s+SupportedMinVersion: .*FinalizedVersionLevel: /)
  })
  await checks.check('log-dirs: describe', async () => {
    const text = await call('kafka-log-dirs', `--describe --topic-list ${target.tag}-java-offsets`)
    const json = lines(text).find(line => line.startsWith('{')) ?? '{}'
    const { brokers } = JSON.parse(json) as {
      brokers: { logDirs: { error: unknown; partitions: { size: number }[] }[] }[]
    }
    assert.equal(brokers[0]?.logDirs[0]?.error, null)
    assert.ok((brokers[0]?.logDirs[0]?.partitions[0]?.size ?? 0) > 0)
  })
  await checks.check('leader-election: the preferred leader leads already', async () => {
    const args = `--election-type preferred --topic ${target.tag}-java-offsets --partition 0`
    const outcome = await tools.call('kafka-leader-election', [
      '--bootstrap-server',
      target.bootstrap,
      ...args.split(' ')
    ])
    assert.equal(outcome.code, 0, outcome.stderr)
    assert.match(outcome.stdout, /Valid replica already elected|Successfully completed/)
  })
  await checks.check('transactions: describe-producers', async () => {
    const args = [
      '--bootstrap-server',
      target.bootstrap,
      'describe-producers',
      '--topic',
      `${target.tag}-java-offsets`,
      '--partition',
      '0'
    ]
    assert.match(await tools.ok('kafka-transactions', args), /ProducerId\s+ProducerEpoch[^\n]*\n\s*\d+/)
  })
  const name = 'transactions: list'
  if (target.kind === 'moldau') return checks.skip(name, 'ListTransactions (66) is not advertised')
  await checks.check(name, () => tools.ok('kafka-transactions', ['--bootstrap-server', target.bootstrap, 'list']))
}

async function checkSpeed(target: Target, tools: Tools, checks: Checks): Promise<void> {
  const call = callOf(target, tools)
  const topic = `${target.tag}-java-perf`
  const count = target.fast ? 20_000 : 200_000
  await call('kafka-topics', `--create --topic ${topic} --partitions 2`)
  await checks.check('producer-perf-test', async () => {
    const args = `--topic ${topic} --num-records ${count} --record-size 1024 --throughput -1`
    const text = await call('kafka-producer-perf-test', args, { limitMs: 120_000 })
    assert.match(text, new RegExp(`${count} records sent, [^\\n]*99\\.9th`))
  })
  await checks.check('consumer-perf-test', async () => {
    const args = `--topic ${topic} --num-records ${count} --timeout 30000`
    const text = await call('kafka-consumer-perf-test', args, { limitMs: 120_000 })
    assert.equal(Number(lines(text).at(-1)?.split(',')[4]), count)
  })
  await checks.check('e2e-latency', async () => {
    const args = ['--topic', topic, '--num-records', '100', '--producer-acks', 'all', '--record-size', '100']
    const text = await tools.ok('kafka-e2e-latency', ['--bootstrap-server', target.bootstrap, ...args])
    assert.match(text, /Avg latency: /)
  })
}
