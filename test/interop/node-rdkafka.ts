// node-rdkafka's own end-to-end tests (mocha): every test of node-rdkafka-allow.txt must pass. What is not on the
// list is run as well, and named when it fails, but does not count.
import assert from 'node:assert/strict'
import { existsSync, readFileSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { Kafka, logLevel } from 'kafkajs'
import { nodeRdkafkaFolder } from './cache.ts'
import { run } from './process.ts'
import type { Checks, Suite, Target } from './suite.ts'

export const nodeRdkafka: Suite = {
  name: 'node-rdkafka',
  settings: { 'num.partitions': '1', 'group.initial.rebalance.delay.ms': '0', 'auto.create.topics.enable': 'true' },
  async run(target, checks) {
    const mocha = join(nodeRdkafkaFolder, '../.bin/mocha')
    if (!existsSync(mocha)) {
      return checks.skip('all', `node-rdkafka is not built in ${nodeRdkafkaFolder}: npm run interop -- --build`)
    }
    if (target.fast) return checks.skip('all', 'not a part of the short run')
    await createTopics(target)
    const allowed = allowList()
    // One test of `both` stalls beside the others, on Apache Kafka too: it runs alone.
    const stalls = "should emit 'partition.eof' events in consumeLoop"
    for (const file of new Set(allowed.map(title => title.split(' | ')[0] ?? ''))) {
      const wanted = allowed.filter(title => title.startsWith(`${file} | `))
      if (file === 'both') {
        await runFile(
          target,
          file,
          wanted.filter(title => !title.includes(stalls)),
          ['--grep', stalls, '--invert'],
          checks
        )
        await runFile(
          target,
          file,
          wanted.filter(title => title.includes(stalls)),
          ['--grep', stalls],
          checks
        )
      } else {
        await runFile(target, file, wanted, [], checks)
      }
    }
  }
}

/** Lines `FILE | TITLE > TITLE`. */
function allowList(): string[] {
  const lines = readFileSync(resolve('test/interop/node-rdkafka-allow.txt'), 'utf8').split('\n')
  return lines.filter(line => line !== '' && !line.startsWith('#'))
}

async function createTopics(target: Target): Promise<void> {
  const admin = new Kafka({ brokers: [target.bootstrap], logLevel: logLevel.NOTHING }).admin()
  await admin.connect()
  const topics = ['test', 'test2', 'test3', 'test4', 'test5', 'test6'].map(topic => ({
    topic,
    numPartitions: 1,
    replicationFactor: 1
  }))
  await admin.createTopics({ topics })
  await admin.disconnect()
}

/** The full title of a test, without the name of the file's outermost suite. */
async function runFile(target: Target, file: string, wanted: string[], flags: string[], checks: Checks): Promise<void> {
  const results = new Map<string, string>()
  const onLine = (line: string): void => {
    if (!line.startsWith('["pass"') && !line.startsWith('["fail"')) return
    const [word, test] = JSON.parse(line) as [string, { fullTitle: string; err?: string; stack?: string }]
    results.set(test.fullTitle.trim(), word === 'pass' ? '' : `${test.err}\n${test.stack}`)
  }
  const mocha = join(nodeRdkafkaFolder, '../.bin/mocha')
  const args = ['--exit', '--timeout', '60000', '--reporter', 'json-stream', ...flags, `e2e/${file}.spec.js`]
  const env = { KAFKA_HOST: target.bootstrap }
  // After a failed test mocha may hang in a native call in spite of --exit: what it printed until then counts.
  const outcome = await run(process.execPath, [mocha, ...args], {
    cwd: nodeRdkafkaFolder,
    env,
    limitMs: 240_000,
    onLine
  })
  assert.ok(results.size > 0, `${file}: no result, status ${outcome.code}\n${outcome.stdout}${outcome.stderr}`)
  for (const title of wanted) {
    const tail = title.slice(title.indexOf(' | ') + 3).replaceAll(' > ', ' ')
    const found = [...results].find(([fullTitle]) => fullTitle.endsWith(tail))
    if (found === undefined) checks.fail(title, `did not run${outcome.timedOut ? ' within the limit' : ''}`)
    else if (found[1] === '') checks.pass(title)
    else checks.fail(title, found[1])
    if (found !== undefined) results.delete(found[0])
  }
  for (const [title, why] of results)
    if (why !== '') console.log(`# not on the list: ${file} | ${title}: ${why.split('\n')[0]}`)
}
