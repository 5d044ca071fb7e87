// Goal: logs come back as they were, after a clean stop without a walk; a log that lost synced records is refused and
// left alone; a name never inherits what was written down of an older log; a lost disk is told once.
import {
  appendFileSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  truncateSync,
  writeFileSync
} from 'node:fs'
import { join } from 'node:path'
import { test } from 'tap'
import { append, Life, orders, settle, topicId, until } from './catalog-fixture.ts'
import { batchOf, config } from './log-fixture.ts'

const read = (life: { directory: string }, file: string) => readFileSync(join(life.directory, file), 'utf8')

test('a clean stop: ends, starts and high watermarks come back, and nothing is walked', async t => {
  const life = new Life(t)
  let catalog = await life.begin()
  t.equal(catalog.isNew, true)
  t.equal(catalog.cleanShutdown, null)
  const log = await catalog.getOrCreate(orders(0), topicId(1), config)
  t.equal(await catalog.getOrCreate(orders(0), topicId(1), config), log, 'there is one log of a partition')
  t.equal(catalog.get(orders(0)), log)
  await append(log, 5)
  log.advanceLogStartOffset(2)
  catalog.recordHighWatermark(orders(0), 5)
  await append(await catalog.getOrCreate(orders(1), topicId(1), config), 2)
  await catalog.close({ brokerEpoch: 42 })
  t.equal(read(life, 'recovery-point-offset-checkpoint'), '0\n2\norders 0 5\norders 1 2\n')
  t.equal(read(life, 'log-start-offset-checkpoint'), '0\n1\norders 0 2\n')
  t.equal(read(life, 'replication-offset-checkpoint'), '0\n2\norders 0 5\norders 1 0\n')
  t.equal(read(life, 'orders-0/partition.metadata'), `version: 0\ntopic_id: ${topicId(1)}`)
  t.equal(read(life, '.kafka_cleanshutdown'), '{"version":0,"brokerEpoch":42}')

  catalog = await life.begin()
  t.same(catalog.cleanShutdown, { brokerEpoch: 42 })
  t.notOk(existsSync(join(life.directory, '.kafka_cleanshutdown')), 'from here on a crash is a crash')
  const again = await catalog.getOrCreate(orders(0), topicId(1), config)
  t.match(again, { logStartOffset: 2, logEndOffset: 5, wasWalked: false })
  t.equal(catalog.highWatermarkOf(orders(0)), 5)
  t.equal(catalog.highWatermarkOf(orders(7)), 0)
  t.same([...catalog.all()], [again], 'a log that nobody asks for is not opened')
  await catalog.close({ brokerEpoch: -1 })
  t.equal(read(life, '.kafka_cleanshutdown'), '{"version":0,"brokerEpoch":42}', 'a life that did not register')
  t.match(read(life, 'recovery-point-offset-checkpoint'), /orders 1 2\n/, 'and what is recorded of it stays recorded')
  t.same(life.offline, [])
})

test('a kill: what was synced is there; what is recorded is never ahead', async t => {
  const life = new Life(t)
  let catalog = await life.begin()
  const log = await catalog.getOrCreate(orders(0), topicId(1), config)
  await append(log, 3)
  catalog.recordHighWatermark(orders(0), 3)
  life.clock.advance(5_000)
  await until(() => existsSync(join(life.directory, 'replication-offset-checkpoint')))
  t.match(read(life, 'moldau-synced-end-checkpoint'), new RegExp(`^0\n1\norders 0 3 ${topicId(1)} 0 \\d+\n$`))
  t.notOk(
    existsSync(join(life.directory, 'recovery-point-offset-checkpoint')),
    'the recovery point takes more than a sync'
  )
  life.clock.advance(25_000)
  await until(() => existsSync(join(life.directory, 'recovery-point-offset-checkpoint')))
  t.equal(read(life, 'recovery-point-offset-checkpoint'), '0\n1\norders 0 3\n')
  await append(log, 2)
  await life.kill(catalog)

  catalog = await life.begin()
  t.equal(catalog.cleanShutdown, null)
  const seen = life.files.log.length
  const back = await catalog.getOrCreate(orders(0), topicId(1), config)
  t.match(back, { logEndOffset: 5, wasWalked: true })
  await until(() => back.syncedEndOffset === 5)
  const syncs = life.files.log.slice(seen).filter(each => /sync/.test(each.operation))
  t.same(syncs.map(each => each.path.slice(life.directory.length + 1)).sort(), [
    'orders-0',
    'orders-0/00000000000000000000.log'
  ])
  t.same(life.eventNames(), ['unclean-start'], 'one line for all logs')
  await catalog.close({ brokerEpoch: 1 })
  t.ok(existsSync(join(life.directory, '.kafka_cleanshutdown')), 'every log was recovered: the stop is clean')
})

test('a stop is clean only when every log of the directory was seen', async t => {
  const life = new Life(t)
  let catalog = await life.begin()
  for (const partition of [0, 1]) await append(await catalog.getOrCreate(orders(partition), topicId(1), config), 4)
  await life.kill(catalog)
  catalog = await life.begin()
  await catalog.getOrCreate(orders(0), topicId(1), config)
  await catalog.close({ brokerEpoch: 1 })
  t.notOk(existsSync(join(life.directory, '.kafka_cleanshutdown')), 'orders-1 was not recovered')
  catalog = await life.begin()
  t.equal((await catalog.getOrCreate(orders(1), topicId(1), config)).logEndOffset, 4)
  await catalog.close({ brokerEpoch: 1 })
})

test('a log that ends below its recorded synced end is refused, unchanged, alone', async t => {
  const life = new Life(t)
  let catalog = await life.begin()
  for (const partition of [0, 1]) {
    const log = await catalog.getOrCreate(orders(partition), topicId(1), config)
    await append(log)
    await append(log)
    catalog.recordHighWatermark(orders(partition), 2)
  }
  life.clock.advance(5_000)
  await until(() => existsSync(join(life.directory, 'replication-offset-checkpoint')))
  await life.kill(catalog)
  const file = join(life.directory, 'orders-0/00000000000000000000.log')
  const size = statSync(file).size - 1
  truncateSync(file, size)

  catalog = await life.begin()
  for (const attempt of ['first', 'second']) {
    await t.rejects(catalog.getOrCreate(orders(0), topicId(1), config), { code: 'ERR_LOG_CORRUPT' }, attempt)
  }
  t.equal(statSync(file).size, size, 'nothing was cut')
  t.equal((await catalog.getOrCreate(orders(1), topicId(1), config)).logEndOffset, 2, 'the others go on')
  t.equal(catalog.refusals().size, 1)
  t.equal(life.eventNames().filter(each => each === 'log-corrupt').length, 1, 'told once')
  t.same(life.offline, [], 'and the directory stays')
  await catalog.close({ brokerEpoch: 1 })
  t.notOk(existsSync(join(life.directory, '.kafka_cleanshutdown')))
  catalog = await life.begin()
  await t.rejects(
    catalog.getOrCreate(orders(0), topicId(1), config),
    { code: 'ERR_LOG_CORRUPT' },
    'the next life knows too'
  )
  await catalog.remove(orders(0))
  t.equal((await catalog.getOrCreate(orders(0), topicId(2), config)).logEndOffset, 0, 'it can be deleted and made anew')
  await catalog.close({ brokerEpoch: 1 })
})

test('a deleted topic: gone at once, files later, and its name inherits nothing', async t => {
  const life = new Life(t)
  let catalog = await life.begin()
  const log = await catalog.getOrCreate(orders(0), topicId(1), config)
  await append(log, 100)
  catalog.recordHighWatermark(orders(0), 100)
  life.clock.advance(30_000)
  await until(() => existsSync(join(life.directory, 'recovery-point-offset-checkpoint')))
  const removed = catalog.remove(orders(0))
  const made = catalog.getOrCreate(orders(0), topicId(2), config)
  await removed
  t.equal(log.isOffline, true)
  t.throws(() => log.read(0, { maxBytes: 1, upto: 1, minOneMessage: true }), { code: 'ERR_LOG_OFFLINE' })
  const anew = await made
  t.equal(anew.logEndOffset, 0)
  t.equal(catalog.highWatermarkOf(orders(0)), 0)
  await append(anew, 1)
  const doomed = readdirSync(life.directory).filter(name => /^orders-0\.[0-9a-f]{32}-delete$/.test(name))
  t.equal(doomed.length, 1)
  t.notMatch(read(life, 'recovery-point-offset-checkpoint'), 'orders 0 100')
  await life.kill(catalog)

  catalog = await life.begin()
  t.equal(
    (await catalog.getOrCreate(orders(0), topicId(2), config)).logEndOffset,
    1,
    'no corruption, no offset of the old log'
  )
  life.clock.advance(0)
  t.ok(existsSync(join(life.directory, doomed[0] as string)), 'a life that is refused later leaves everything')
  await catalog.setAsideStrays()
  life.clock.advance(0)
  await until(() => life.eventNames().includes('log-deleted'))
  t.notOk(existsSync(join(life.directory, doomed[0] as string)), 'a leftover is dropped at the start')
  await catalog.remove(orders(0))
  life.clock.advance(59_999)
  await settle(life)
  t.equal(readdirSync(life.directory).filter(name => name.endsWith('-delete')).length, 1, 'file.delete.delay.ms')
  life.clock.advance(1)
  await until(() => !readdirSync(life.directory).some(name => name.endsWith('-delete')))
  await catalog.remove(orders(0))
  await catalog.close({ brokerEpoch: 1 })
})

test('a log of an earlier topic of that name, and one of no topic at all, are set aside', async t => {
  const life = new Life(t)
  let catalog = await life.begin()
  for (const partition of [0, 1]) await append(await catalog.getOrCreate(orders(partition), topicId(1), config))
  await catalog.close({ brokerEpoch: 1 })
  catalog = await life.begin()
  t.equal((await catalog.getOrCreate(orders(0), topicId(2), config)).logEndOffset, 0)
  await catalog.setAsideStrays()
  t.equal(readdirSync(life.directory).filter(name => /^orders-[01]\.[0-9a-f]{32}-stray$/.test(name)).length, 2)
  t.equal(life.eventNames().filter(each => each === 'log-set-aside').length, 2)
  await catalog.close({ brokerEpoch: 1 })
  catalog = await life.begin()
  t.equal((await catalog.getOrCreate(orders(1), topicId(2), config)).logEndOffset, 0)
  await catalog.close({ brokerEpoch: 2 })
  t.equal(readdirSync(life.directory).filter(name => name.endsWith('-stray')).length, 2, 'they are kept')
})

test('a failed write takes the directory offline, once, and no stop is clean then', async t => {
  const life = new Life(t)
  const catalog = await life.begin()
  const log = await catalog.getOrCreate(orders(0), topicId(1), config)
  const other = await catalog.getOrCreate(orders(1), topicId(1), config)
  life.files.fault = (operation, path) => (operation === 'writev' && path.endsWith('.log') ? 'EIO' : null)
  await t.rejects(append(log), { code: 'ERR_LOG_OFFLINE' })
  await t.rejects(append(other), { code: 'ERR_LOG_OFFLINE' })
  await until(() => life.offline.length > 0)
  t.equal(catalog.isOffline, true)
  t.equal(life.offline.length, 1)
  t.match(life.events, [
    { level: 'error', event: 'log-directory-offline', data: { operation: 'write', partition: 'orders-0' } }
  ])
  await t.rejects(catalog.getOrCreate(orders(2), topicId(1), config), { code: 'ERR_LOG_OFFLINE' })
  life.files.fault = null
  await catalog.close({ brokerEpoch: 1 })
  t.notOk(existsSync(join(life.directory, '.kafka_cleanshutdown')))
  t.notOk(
    existsSync(join(life.directory, `moldau-suspect-${catalog.directoryId}.json`)),
    'no sync failed: nothing is suspect'
  )
})

test('a failed sync is marked elsewhere too, and the next start copies what it left', async t => {
  const elsewhere = join(t.testdirName, 'elsewhere')
  const life = new Life(t, { markPlaces: [elsewhere] })
  mkdirSync(elsewhere)
  let catalog = await life.begin()
  const log = await catalog.getOrCreate(orders(0), topicId(1), config)
  await append(log)
  const directoryId = catalog.directoryId
  life.files.fault = (operation, path) =>
    (operation === 'fdatasync' && path.endsWith('.log')) ||
    (operation === 'writeFileAtomically' && path.startsWith(life.directory))
      ? 'EIO'
      : null
  await t.rejects(append(log), { code: 'ERR_LOG_OFFLINE' })
  await until(() => life.offline.length > 0)
  const syncs = life.files.log.filter(each => each.operation === 'fdatasync' && each.path.endsWith('.log'))
  await settle(life)
  t.equal(
    life.files.log.filter(each => each.operation === 'fdatasync' && each.path.endsWith('.log')).length,
    syncs.length,
    'never tried again'
  )
  const mark = join(elsewhere, `moldau-suspect-${directoryId}.json`)
  t.match(JSON.parse(readFileSync(mark, 'utf8')), [{ topic: 'orders', partition: 0, durableEndOffset: 1 }])
  t.match(life.events, [{ event: 'log-directory-offline', data: { operation: 'sync', isMarked: true } }])
  life.files.fault = null
  await life.kill(catalog)

  const file = join(life.directory, 'orders-0/00000000000000000000.log')
  const before = statSync(file).ino
  catalog = await life.begin()
  t.equal(catalog.hadSuspects, true)
  const back = await catalog.getOrCreate(orders(0), topicId(1), config)
  t.ok(back.logEndOffset >= 1, 'what was synced is there')
  t.not(statSync(file).ino, before, 'in a new file')
  t.notOk(existsSync(mark), 'and the mark is gone')
  await catalog.close({ brokerEpoch: 1 })
  catalog = await life.begin()
  t.equal(catalog.hadSuspects, false)
  t.not(catalog.cleanShutdown, null)
  await catalog.close({ brokerEpoch: 1 })
})

test('a sync that fails while the directory is closed has its mark before the process may end', async t => {
  const life = new Life(t)
  const catalog = await life.begin()
  const log = await catalog.getOrCreate(orders(0), topicId(1), config)
  await append(log)
  life.files.fault = (operation, path) => (operation === 'fdatasync' && path.endsWith('.log') ? 'EIO' : null)
  log.appendAsLeader(batchOf(), { leaderEpoch: 0, origin: 'client', nowMs: 1_700_000_000_000 })
  await catalog.close({ brokerEpoch: 1 }).catch(() => {})
  const mark = join(life.directory, `moldau-suspect-${catalog.directoryId}.json`)
  t.ok(existsSync(mark), 'there')
})

test('a sync that fails while a log is opened leaves its mark before the process may end', async t => {
  const metadata = { topic: '__cluster_metadata', partition: 0 }
  const life = new Life(t)
  let catalog = await life.begin()
  await append(await catalog.getOrCreate(metadata, topicId(1), config))
  await life.kill(catalog)
  catalog = await life.begin()
  const mark = join(life.directory, `moldau-suspect-${catalog.directoryId}.json`)
  const isMarked: boolean[] = []
  life.offline.push = () => isMarked.push(existsSync(mark))
  life.files.fault = (operation, path) => (operation === 'fdatasync' && path.endsWith('.log') ? 'EIO' : null)
  await t.rejects(catalog.getOrCreate(metadata, topicId(1), config), { code: 'ERR_STORAGE' })
  await until(() => isMarked.length > 0)
  t.same(isMarked, [true])
})

test("a log that a bug keeps from being opened is nobody else's, and no stray", async t => {
  const life = new Life(t)
  let catalog = await life.begin()
  const log = await catalog.getOrCreate(orders(0), topicId(1), config)
  const { directory } = log
  await append(log, 3)
  await life.kill(catalog)
  catalog = await life.begin()
  life.files.fault = (operation, path) => {
    if (operation.startsWith('read') && path.endsWith('.log')) throw new RangeError('a bug')
    return null
  }
  for (let ask = 0; ask < 2; ask++) {
    await t.rejects(catalog.getOrCreate(orders(0), topicId(1), config), { message: /a bug/ })
    await catalog.setAsideStrays()
  }
  life.files.fault = null
  t.ok(existsSync(directory), 'it is where it was')
  t.same(life.offline, [], 'and the others are served')
  await catalog.close({ brokerEpoch: 1 })
  catalog = await life.begin()
  t.equal((await catalog.getOrCreate(orders(0), topicId(1), config)).logEndOffset, 3, 'the next life finds it')
  await catalog.close({ brokerEpoch: 1 })
})

test('damaged or missing checkpoints cost a walk, never a record', async t => {
  const life = new Life(t)
  let catalog = await life.begin()
  await append(await catalog.getOrCreate(orders(0), topicId(1), config), 7)
  await catalog.close({ brokerEpoch: 1 })
  for (const damage of ['garbage', null]) {
    for (const file of [
      'recovery-point-offset-checkpoint',
      'replication-offset-checkpoint',
      'moldau-synced-end-checkpoint'
    ]) {
      if (damage === null) rmSync(join(life.directory, file))
      else writeFileSync(join(life.directory, file), '0\n1\ngarbage\n')
    }
    catalog = await life.begin()
    t.equal((await catalog.getOrCreate(orders(0), topicId(1), config)).logEndOffset, 7)
    await catalog.close({ brokerEpoch: 1 })
  }
  t.equal(life.eventNames().filter(each => each === 'checkpoint-damaged').length, 3)
})

test('partition.metadata is written where an older Kafka left none, and garbage in it is no licence', async t => {
  const life = new Life(t)
  let catalog = await life.begin()
  await append(await catalog.getOrCreate(orders(0), topicId(1), config), 7)
  await catalog.close({ brokerEpoch: 1 })
  rmSync(join(life.directory, 'orders-0/partition.metadata'))
  catalog = await life.begin()
  t.equal((await catalog.getOrCreate(orders(0), topicId(1), config)).logEndOffset, 7)
  t.match(read(life, 'orders-0/partition.metadata'), topicId(1))
  await catalog.close({ brokerEpoch: 1 })
})

test('bytes behind the end of a clean log are no part of it', async t => {
  const life = new Life(t)
  let catalog = await life.begin()
  await append(await catalog.getOrCreate(orders(0), topicId(1), config), 7)
  await life.kill(catalog)
  appendFileSync(join(life.directory, 'orders-0/00000000000000000000.log'), 'torn')
  catalog = await life.begin()
  const log = await catalog.getOrCreate(orders(0), topicId(1), config)
  t.match(log, { logEndOffset: 7, truncatedBytes: 4 })
  t.match(life.events[1], { level: 'warn', event: 'torn-tail-cut', data: { logEndOffset: 7, truncatedBytes: 4 } })
  await catalog.close({ brokerEpoch: 1 })
})

test('the metadata log is a log of the catalog too, and never a stray', async t => {
  const metadata = { topic: '__cluster_metadata', partition: 0 }
  const life = new Life(t)
  let catalog = await life.begin()
  const log = await catalog.getOrCreate(metadata, topicId(1), config)
  await append(log, 3)
  await catalog.close({ brokerEpoch: 1 })
  catalog = await life.begin()
  await catalog.setAsideStrays()
  const again = await catalog.getOrCreate(metadata, topicId(1), config)
  t.match(again, { logEndOffset: 3, wasWalked: false })
  await append(again, 3)
  await life.kill(catalog)
  catalog = await life.begin()
  const walked = { logEndOffset: 6, wasWalked: true, syncedEndOffset: 6 }
  t.match(await catalog.getOrCreate(metadata, topicId(1), config), walked, 'the quorum counts on it at once')
  await catalog.close({ brokerEpoch: 1 })
})

test('a start that fails gives up the lock', async t => {
  const life = new Life(t)
  await (await life.begin()).close({ brokerEpoch: 1 })
  life.files.fault = (operation, path) =>
    operation === 'readFile' && path.endsWith('.kafka_cleanshutdown') ? 'EIO' : null
  await t.rejects(life.begin(), { code: 'ERR_STORAGE' })
  life.files.fault = null
  const catalog = await life.begin()
  await t.rejects(life.begin(), { code: 'ERR_LOCKED' })
  await catalog.close({ brokerEpoch: 1 })
})
