// Who is cleaned when, how much of the machine that may take, and what shows of a log that cannot be cleaned.
import { test } from 'tap'
import { buildBatch } from '../../protocol/records/builder.ts'
import { prepareCompression } from '../../protocol/records/compression.ts'
import { Cleaner, type CleanerSettings } from '../../storage/cleaner.ts'
import { Log } from '../../storage/log.ts'
import { type Clock, compacted, contents, DIRECTORY, fill, filled, model, START, settle } from './clean-fixture.ts'

await prepareCompression()

const settings: CleanerSettings = {
  isEnabled: true,
  backoffMs: 15000,
  dedupeBufferBytes: 2 ** 20,
  dedupeBufferLoadFactor: 0.9,
  ioBufferBytes: 4096,
  ioMaxBytesPerSecond: Number.POSITIVE_INFINITY
}
/** A cleaner over some logs, with what it was told to remember and what it told. */
function cleanerOver(clock: Clock, logs: Record<string, Log>, changes: Partial<CleanerSettings> = {}) {
  const recorded = new Map<string, number>()
  const events: [string, string][] = []
  const cleaner = new Cleaner({
    clock,
    settings: { ...settings, ...changes },
    logs: () => new Map(Object.entries(logs)),
    highWatermarkOf: log => log.logEndOffset,
    recorded: {
      get: name => recorded.get(name),
      record: async (log, offset) =>
        void recorded.set(`${log.topicPartition.topic}-${log.topicPartition.partition}`, offset)
    },
    onEvent: (_level, event, data) => void events.push([event, (data as { partition: string }).partition])
  })
  return { cleaner, recorded, events }
}

test('a log that cannot be cleaned stops only itself, and shows why', async t => {
  const { files, clock, log } = await filled(21, 60, 'none')
  const other = { topic: 'others', partition: 3 }
  const healthy = await Log.open({ ...log.options, topicPartition: other, directory: '/data/others-3' })
  fill(healthy, 22, 60)
  await settle(healthy)
  const broken = log.segments.first
  const fd = files.open(broken.file.path, 'write')
  // A flipped bit in a value, which nothing but the checksum shows: a cleaner must not give it a new one.
  const at = (files.readFileSync(broken.file.path) as Buffer).indexOf('value-21')
  files.writev(fd, [Buffer.from('w')], at)
  const { cleaner, recorded, events } = cleanerOver(clock, { 'accounts-0': log, 'others-3': healthy })
  await cleaner.cleanAll()
  t.same(events.sort(), [
    ['log-clean-failed', 'accounts-0'],
    ['log-cleaned', 'others-3']
  ])
  t.equal(recorded.get('accounts-0'), undefined)
  t.equal(recorded.get('others-3'), healthy.segments.active.baseOffset)
  const [bad, good] = [...cleaner.status()]
  t.match(bad, { name: 'accounts-0', state: 'failed', lastError: { code: 'ERR_CORRUPT_BATCH' }, lastCleanedMs: null })
  t.match(good, { name: 'others-3', state: 'idle', lastError: null, lastCleanedMs: START })
  t.same(
    (await files.readdir(DIRECTORY)).filter(name => /cleaned|swap/.test(name)),
    []
  )
  events.length = 0
  await cleaner.cleanAll()
  t.same(events, [], 'it rests for a while')
  clock.advance(15000)
  await cleaner.cleanAll()
  t.same(events, [['log-clean-failed', 'accounts-0']], 'and is tried again')
  clock.advance(15000)
  await cleaner.cleanAll()
  t.equal(events.length, 1, 'after a longer rest')
})

test('by the clock, the dirtiest first, when enabled, until nothing is due', async t => {
  const { clock, log } = await filled(31, 60)
  const { topicPartition: _, ...options } = log.options
  const smaller = await Log.open({ ...options, topicPartition: { topic: 'b', partition: 0 }, directory: '/data/b-0' })
  fill(smaller, 32, 30)
  await settle(smaller)
  const { cleaner, recorded, events } = cleanerOver(clock, { 'accounts-0': log, 'b-0': smaller })
  recorded.set('accounts-0', log.segments.at(1)?.baseOffset as number)
  cleaner.start()
  t.equal(clock.timers.length, 1)
  clock.advance(15000)
  while (events.length === 0) await new Promise(resolve => setImmediate(resolve))
  await cleaner.stop()
  t.same(events[0], ['log-cleaned', 'b-0'], 'the dirtiest first')
  const again = cleanerOver(clock, { 'accounts-0': log, 'b-0': smaller })
  again.recorded.set('b-0', smaller.segments.active.baseOffset)
  await again.cleaner.cleanAll()
  t.same(again.events, [['log-cleaned', 'accounts-0']])
  const off = cleanerOver(clock, { 'accounts-0': log }, { isEnabled: false })
  await off.cleaner.cleanAll()
  t.same(off.events, [])
  log.configure({ ...compacted, compacts: false })
  t.same(
    [...again.cleaner.status()].map(status => status.name),
    ['b-0']
  )
})

test('the disk is spared', async t => {
  const { clock, log } = await filled(41, 10)
  for (let i = 0; i < 300; i++) {
    const records = [{ timestamp: START, key: Buffer.from('k'), value: Buffer.alloc(1500, i) }]
    log.appendAsLeader(buildBatch({ records }), { leaderEpoch: 0, origin: 'client', nowMs: START })
  }
  await settle(log)
  const { cleaner, events } = cleanerOver(clock, { 'accounts-0': log }, { ioMaxBytesPerSecond: 50000 })
  const done = cleaner.cleanAll()
  let waited = 0
  while (events.length === 0 && waited < 10000) {
    await new Promise(resolve => setImmediate(resolve))
    if (clock.timers.some(timer => timer.at > clock.ms)) clock.advance(1000)
    waited++
  }
  await done
  t.match(events, [['log-cleaned', 'accounts-0']])
  t.ok(clock.ms > START + 10000, `${clock.ms - START} ms for ${log.sizeInBytes} bytes`)
})

test('memory: the map of keys and the read buffer stay in their bounds', async t => {
  const roundsWith = async (changes: Partial<CleanerSettings>) => {
    const { files, clock, log, written } = await filled(51, 80)
    log.configure({ ...compacted, minCleanableDirtyRatio: 0 })
    const read = files.read.bind(files)
    let largest = 0
    files.read = (fd, buffer, position) => {
      largest = Math.max(largest, buffer.length)
      return read(fd, buffer, position)
    }
    const { cleaner, events } = cleanerOver(clock, { 'accounts-0': log }, changes)
    await cleaner.cleanAll()
    files.read = read
    t.same((await contents(log)).records, model(written, log.segments.active.baseOffset, false))
    return { rounds: events.length, largest }
  }
  const { rounds: one } = await roundsWith({})
  const { rounds: few, largest } = await roundsWith({ dedupeBufferBytes: 24 * 8, ioBufferBytes: 700 })
  const { rounds: many } = await roundsWith({ dedupeBufferBytes: 24 * 8, dedupeBufferLoadFactor: 0.5 })
  t.equal(one, 1)
  t.ok(few > one && many > few, `${few} and ${many} rounds with fewer keys in each`)
  t.ok(largest <= 700, `${largest} bytes are the most that was read at once`)
})
