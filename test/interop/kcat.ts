// kcat, the command-line client over librdkafka: produce with keys and headers, consume from every kind of offset,
// a balanced group, and the listing of metadata.
import assert from 'node:assert/strict'
import { run, which } from './process.ts'
import type { Checks, Suite, Target } from './suite.ts'
import { until } from './suite.ts'

export const kcat: Suite = {
  name: 'kcat',
  settings: { 'group.initial.rebalance.delay.ms': '0', 'num.partitions': '3' },
  async run(target, checks) {
    if (which('kcat') === undefined) return checks.skip('all', 'kcat is not on this machine')
    await checkProduce(target, checks)
    await checkOffsets(target, checks)
    await checkMetadata(target, checks)
    await checkGroup(target, checks)
  }
}

async function call(target: Target, args: string[], input?: string): Promise<string> {
  const outcome = await run('kcat', ['-b', target.bootstrap, ...args], { input, limitMs: 30_000 })
  if (outcome.code !== 0)
    throw new Error(`kcat ${args.join(' ')}: status ${outcome.code}\n${outcome.stdout}${outcome.stderr}`)
  return outcome.stdout
}

const lines = (text: string): string[] => text.split('\n').filter(line => line !== '')

async function checkProduce(target: Target, checks: Checks): Promise<void> {
  await checks.check('the first produce creates the topic with num.partitions', async () => {
    const topic = `${target.tag}-kcat-auto`
    await call(target, ['-P', '-t', topic], 'a\nb\nc\n')
    assert.deepEqual(lines(await call(target, ['-C', '-t', topic, '-o', 'beginning', '-e', '-q'])).sort(), [
      'a',
      'b',
      'c'
    ])
    assert.match(await call(target, ['-L', '-t', topic]), /with 3 partitions/)
  })
  await checks.check('keys, headers, null values and codecs', async () => {
    const topic = `${target.tag}-kcat-fields`
    const produce = ['-P', '-t', topic, '-p', '0']
    await call(target, [...produce, '-K', ':', '-H', 'colour=red', '-H', 'size=4'], 'key1:value1\n')
    await call(target, [...produce, '-K', ':', '-Z'], 'key2:\n')
    for (const codec of ['gzip', 'snappy', 'lz4', 'zstd']) {
      await call(target, [...produce, '-z', codec], `${codec.repeat(100)}\n`)
    }
    const format = '%o|%k|%S|%s|%h\n'
    const seen = lines(await call(target, ['-C', '-t', topic, '-p', '0', '-o', 'beginning', '-e', '-q', '-f', format]))
    assert.equal(seen[0], '0|key1|6|value1|colour=red,size=4')
    assert.equal(seen[1], '1|key2|-1||')
    assert.deepEqual(
      seen.slice(2).map(line => line.split('|')[2]),
      ['400', '600', '300', '400']
    )
  })
  await checks.check('ten thousand messages with acks all, and an idempotent producer', async () => {
    const topic = `${target.tag}-kcat-many`
    const input = Array.from({ length: 10_000 }, (_, i) => `message ${i}\n`).join('')
    await call(target, ['-P', '-t', topic, '-X', 'acks=all', '-X', 'enable.idempotence=true'], input)
    const seen = lines(await call(target, ['-C', '-t', topic, '-o', 'beginning', '-e', '-q']))
    assert.equal(new Set(seen).size, 10_000)
    assert.equal(seen.length, 10_000)
  })
}

async function checkOffsets(target: Target, checks: Checks): Promise<void> {
  const topic = `${target.tag}-kcat-offsets`
  const produce = async (text: string) => {
    await call(target, ['-P', '-t', topic, '-p', '0'], text)
  }
  const consume = async (offset: string[]) =>
    lines(await call(target, ['-C', '-t', topic, '-p', '0', '-e', '-q', ...offset.flatMap(word => ['-o', word])]))
  await produce(Array.from({ length: 10 }, (_, i) => `early-${i}\n`).join(''))
  await new Promise(resolve => setTimeout(resolve, 20))
  const middle = Date.now()
  await new Promise(resolve => setTimeout(resolve, 20))
  await produce(Array.from({ length: 10 }, (_, i) => `late-${i}\n`).join(''))
  await checks.check('-o beginning, end, N, -N', async () => {
    assert.equal((await consume(['beginning'])).length, 20)
    assert.equal((await consume(['end'])).length, 0)
    assert.deepEqual(await consume(['17']), ['late-7', 'late-8', 'late-9'])
    assert.deepEqual(await consume(['-2']), ['late-8', 'late-9'])
  })
  await checks.check('-o s@timestamp, s@ and e@', async () => {
    assert.deepEqual((await consume([`s@${middle}`]))[0], 'late-0')
    assert.equal((await consume([`s@${middle}`])).length, 10)
    assert.equal((await consume(['s@0', `e@${middle}`])).length, 10)
    assert.equal((await consume([`s@${Date.now() + 60_000}`])).length, 0)
  })
  await checks.check('-Q answers offsets by time', async () => {
    assert.match(await call(target, ['-Q', '-t', `${topic}:0:${middle}`]), /offset 10/)
    assert.match(await call(target, ['-Q', '-t', `${topic}:0:-1`]), /offset 20/)
    assert.match(await call(target, ['-Q', '-t', `${topic}:0:-2`]), /offset 0/)
  })
}

async function checkMetadata(target: Target, checks: Checks): Promise<void> {
  await checks.check('-L as text and as JSON', async () => {
    const text = await call(target, ['-L'])
    assert.match(text, /1 brokers:\n {2}broker \d+ at 127\.0\.0\.1:\d+ \(controller\)/)
    const listing = JSON.parse(await call(target, ['-L', '-J'])) as {
      brokers: { name: string }[]
      topics: { topic: string; partitions: { leader: number; isrs: { id: number }[] }[] }[]
    }
    assert.equal(listing.brokers[0]?.name, target.bootstrap)
    const topic = listing.topics.find(({ topic }) => topic === `${target.tag}-kcat-offsets`)
    assert.equal(topic?.partitions.length, 3)
    assert.equal(topic?.partitions[0]?.isrs.length, 1)
  })
  await checks.check('a topic that does not exist is not created by -C without allow', async () => {
    const args = [
      '-b',
      target.bootstrap,
      '-C',
      '-t',
      `${target.tag}-kcat-missing`,
      '-e',
      '-q',
      '-X',
      'allow.auto.create.topics=false'
    ]
    const outcome = await run('kcat', args, { limitMs: 30_000 })
    assert.notEqual(outcome.code, 0)
    assert.match(outcome.stderr, /Unknown topic/i)
  })
}

async function checkGroup(target: Target, checks: Checks): Promise<void> {
  await checks.check('a balanced group of two reads everything once and commits', async () => {
    const topic = `${target.tag}-kcat-group`
    const group = `${topic}-g`
    const input = Array.from({ length: 300 }, (_, i) => `k${i}:message ${i}\n`).join('')
    await call(target, ['-P', '-t', topic, '-K', ':'], input)
    const seen: string[] = []
    const args = ['-b', target.bootstrap, '-G', group, '-X', 'auto.offset.reset=earliest', '-q', '-u', topic]
    const limitMs = 20_000
    let settled = false
    const reader = () =>
      run('kcat', ['-c', '150', ...args], { limitMs, onLine: line => seen.push(line) }).then(outcome => {
        settled ||= outcome.timedOut
      })
    const readers = [reader(), reader()]
    await until('300 messages', limitMs, () => (seen.length >= 300 || settled ? true : undefined))
    await Promise.all(readers)
    assert.ok(new Set(seen).size >= 150)
  })
  await checks.check('a group goes on from its commits', async () => {
    const topic = `${target.tag}-kcat-commit`
    await call(target, ['-P', '-t', topic, '-p', '0'], 'one\ntwo\nthree\nfour\n')
    const args = ['-G', `${topic}-g`, '-X', 'auto.offset.reset=earliest', '-q', '-e', topic]
    assert.deepEqual(lines(await call(target, ['-c', '2', ...args])), ['one', 'two'])
    assert.deepEqual(lines(await call(target, args)), ['three', 'four'])
  })
}
