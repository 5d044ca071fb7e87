// Files that were damaged while nobody looked: what was synced is refused where it cannot be told apart from what is
// there now, and nothing else is worse for it.
import { appendFileSync, readFileSync, rmSync, truncateSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'tap'
import { formatPartitionMetadata } from '../../storage/checkpoints.ts'
import type { Log } from '../../storage/log.ts'
import { append, Life, orders, topicId } from './catalog-fixture.ts'
import { batchOf, config } from './log-fixture.ts'

const small = { ...config, segmentBytes: 200 }
const all = { maxBytes: 1e6, upto: Number.MAX_SAFE_INTEGER, minOneMessage: true }

/** A directory that was closed in order, with five segments of one record each. */
async function fiveSegments(life: Life): Promise<string> {
  const catalog = await life.begin()
  const log = await catalog.getOrCreate(orders(0), topicId(1), small)
  for (let index = 0; index < 5; index++) await append(log, 1, 100)
  await catalog.close({ brokerEpoch: 1 })
  return log.directory
}

const nameOf = (offset: number) => `${String(offset).padStart(20, '0')}.log`

test('a segment that was emptied is no hole', async t => {
  const life = new Life(t)
  const directory = await fiveSegments(life)
  truncateSync(join(directory, nameOf(2)), 0)
  const catalog = await life.begin()
  const refused = catalog.getOrCreate(orders(0), topicId(1), small)
  await t.rejects(refused, {
    code: 'ERR_LOG_CORRUPT',
    message: /00002.log is empty, but everything below 5 was synced/
  })
  await catalog.close({ brokerEpoch: 1 })
})

test('a batch that claims offsets beyond its segment is an error, not the end', async t => {
  const life = new Life(t)
  const directory = await fiveSegments(life)
  const bytes = readFileSync(join(directory, nameOf(2)))
  bytes.writeUInt8(1, 3)
  writeFileSync(join(directory, nameOf(2)), bytes)
  const catalog = await life.begin()
  const log: Log = await catalog.getOrCreate(orders(0), topicId(1), small)
  await t.rejects(Promise.resolve(log.read(2, { ...all, upto: 5 })), { code: 'ERR_LOG_CORRUPT' })
  t.match(await log.read(3, { ...all, upto: 5 }), { endOffset: 4 })
  await catalog.close({ brokerEpoch: 1 })
})

test('a log whose topic id was damaged is not set aside for a new one', async t => {
  const metadata = { topic: '__cluster_metadata', partition: 0 }
  for (const hasSyncedEnds of [true, false]) {
    const life = new Life(t)
    let catalog = await life.begin()
    const directories: string[] = []
    for (const each of [orders(0), metadata]) {
      const log = await catalog.getOrCreate(each, topicId(1), config)
      await append(log, 5)
      directories.push(log.directory)
    }
    await catalog.close({ brokerEpoch: 1 })
    for (const directory of directories) {
      writeFileSync(join(directory, 'partition.metadata'), formatPartitionMetadata(topicId(2)))
    }
    if (!hasSyncedEnds) rmSync(join(life.directory, 'moldau-synced-end-checkpoint'))
    catalog = await life.begin()
    const corrupt = { code: 'ERR_LOG_CORRUPT', message: /partition.metadata names topic/ }
    await t.rejects(catalog.getOrCreate(metadata, topicId(1), config), corrupt)
    // Without what was recorded nobody can say that the records are not those of an earlier topic.
    if (hasSyncedEnds) await t.rejects(catalog.getOrCreate(orders(0), topicId(1), config), corrupt)
    else t.equal((await catalog.getOrCreate(orders(0), topicId(1), config)).logEndOffset, 0)
    t.same(life.offline, [])
    await catalog.close({ brokerEpoch: 1 })
  }
})

test('a clean log whose last file is not what it was is walked after all', async t => {
  for (const garbage of [Buffer.alloc(4096), Buffer.from('garbage'.repeat(20))]) {
    const life = new Life(t)
    const directory = await fiveSegments(life)
    appendFileSync(join(directory, nameOf(4)), garbage)
    let catalog = await life.begin()
    let log = await catalog.getOrCreate(orders(0), topicId(1), small)
    t.match(log, { logEndOffset: 5, truncatedBytes: garbage.length })
    t.equal(await append(log), 6)
    await catalog.close({ brokerEpoch: 1 })
    catalog = await life.begin()
    log = await catalog.getOrCreate(orders(0), topicId(1), small)
    t.equal(log.wasWalked, false)
    t.match(await log.read(5, all), { endOffset: 6 })
    await catalog.close({ brokerEpoch: 1 })
  }
  const life = new Life(t)
  const directory = await fiveSegments(life)
  // The one before is as large.
  rmSync(join(directory, nameOf(4)))
  const catalog = await life.begin()
  await t.rejects(catalog.getOrCreate(orders(0), topicId(1), small), { code: 'ERR_LOG_CORRUPT' })
  await catalog.close({ brokerEpoch: 1 })
})

test('no bit of an offset index that flips hides a record', async t => {
  const life = new Life(t)
  const dense = { ...config, indexIntervalBytes: 1 }
  let catalog = await life.begin()
  const first = await catalog.getOrCreate(orders(0), topicId(1), dense)
  for (let index = 0; index < 12; index++) await append(first, 2)
  await first.roll(0)
  await append(first)
  await catalog.close({ brokerEpoch: 1 })
  const file = join(first.directory, '00000000000000000000.index')
  const whole = readFileSync(file)
  t.ok(whole.length >= 80, `${whole.length} bytes`)
  for (let bit = 0; bit < whole.length * 8; bit += 7) {
    const bytes = Buffer.from(whole)
    bytes.writeUInt8(bytes.readUInt8(bit >> 3) ^ (1 << (bit & 7)), bit >> 3)
    writeFileSync(file, bytes)
    catalog = await life.begin()
    const log: Log = await catalog.getOrCreate(orders(0), topicId(1), dense)
    const wrong: string[] = []
    for (let offset = 0; offset < 24; offset++) {
      const { records } = await log.read(offset, { ...all, maxBytes: 1, upto: 25 })
      const base = Number(records[0]?.readBigInt64BE(0) ?? -1)
      if (base !== offset - (offset % 2)) wrong.push(`bit ${bit}: at ${offset} is ${base}`)
    }
    t.same(wrong, [])
    await catalog.close({ brokerEpoch: 1 })
  }
})

test('no bit of a time index that flips makes records old', async t => {
  const life = new Life(t)
  const kept = { ...config, retentionMs: 3_600_000 }
  const nowMs = 1_700_000_000_000
  let catalog = await life.begin()
  const first = await catalog.getOrCreate(orders(0), topicId(1), kept)
  first.appendAsLeader(batchOf({ count: 2, timestamp: nowMs - 1000 }), { leaderEpoch: 0, origin: 'client', nowMs })
  await first.flush()
  await first.roll(nowMs)
  await append(first)
  await catalog.close({ brokerEpoch: 1 })
  const file = join(first.directory, '00000000000000000000.timeindex')
  const whole = readFileSync(file)
  t.ok(whole.length >= 12, `${whole.length} bytes`)
  for (let bit = 0; bit < whole.length * 8; bit++) {
    const bytes = Buffer.from(whole)
    bytes.writeUInt8(bytes.readUInt8(bit >> 3) ^ (1 << (bit & 7)), bit >> 3)
    writeFileSync(file, bytes)
    catalog = await life.begin()
    const log: Log = await catalog.getOrCreate(orders(0), topicId(1), kept)
    t.equal(log.deleteOldSegments(log.logEndOffset, nowMs), 0, `bit ${bit}`)
    await catalog.close({ brokerEpoch: 1 })
  }
})
