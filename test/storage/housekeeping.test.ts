// Goal: what is done to logs from time to time is done for all of them by a few tasks, costs an idle partition nothing,
// and keeps the disk from filling up.
import { existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'tap'
import { buildBatch } from '../../protocol/records/builder.ts'
import { append, Life, orders, settings, settle, topicId, until } from './catalog-fixture.ts'
import { batchOf, config } from './log-fixture.ts'

const read = (life: { directory: string }, file: string) => readFileSync(join(life.directory, file), 'utf8')

test('nothing ticks for an idle partition, and an idle broker writes nothing', async t => {
  const life = new Life(t)
  const catalog = await life.begin()
  await catalog.getOrCreate(orders(0), topicId(1), config)
  const timers = life.clock.timerCount
  await Promise.all(Array.from({ length: 60 }, (_, i) => catalog.getOrCreate(orders(i), topicId(1), config)))
  t.equal(life.clock.timerCount, timers)
  life.clock.advance(60_000)
  await settle(life)
  life.files.log.length = 0
  for (let minute = 0; minute < 15; minute++) {
    life.clock.advance(60_000)
    await settle(life)
  }
  t.same(life.files.log, [], 'no operation in a quarter of an hour')
  t.equal(life.clock.timerCount, timers)
  await catalog.close({ brokerEpoch: 1 })
})

test('a roll moves the recovery point, and that is written down soon', async t => {
  const life = new Life(t)
  const catalog = await life.begin()
  const log = await catalog.getOrCreate(orders(0), topicId(1), { ...config, segmentBytes: 200 })
  for (let count = 0; count < 4; count++) await append(log)
  await until(() => log.recoveryPoint > 0)
  life.clock.advance(500)
  await until(() => existsSync(join(life.directory, 'recovery-point-offset-checkpoint')))
  t.match(read(life, 'recovery-point-offset-checkpoint'), /orders 0 [1-4]\n/)
  await catalog.close({ brokerEpoch: 1 })
})

test('retention runs for all logs by one task; producers expire by another', async t => {
  const life = new Life(t)
  let producerIdExpirationMs = 86_400_000
  const dynamic = {
    ...settings,
    initialTaskDelayMs: 1_000,
    get producerIdExpirationMs() {
      return producerIdExpirationMs
    }
  }
  const catalog = await life.begin({ settings: dynamic })
  const small = { ...config, segmentBytes: 200, retentionMs: 1000 }
  const log = await catalog.getOrCreate(orders(0), topicId(1), small)
  for (let count = 0; count < 5; count++) await append(log)
  const idempotent = batchOf({ producerId: 7, producerEpoch: 0, baseSequence: 0 })
  log.appendAsLeader(idempotent, { leaderEpoch: 0, origin: 'client', nowMs: 1_700_000_000_000 })
  await log.flush()
  catalog.recordHighWatermark(orders(0), log.logEndOffset)
  life.clock.ms += 3_600_000
  life.clock.advance(1_000)
  await until(() => log.logStartOffset > 0)
  t.ok(log.logStartOffset > 0)
  await settle(life)
  t.equal(log.producers.size, 1, 'an hour is not a day')
  producerIdExpirationMs = 3_600_000
  life.clock.advance(600_000)
  await settle(life)
  t.equal(log.producers.size, 0, 'but an hour is an hour')
  life.clock.advance(60_000)
  await until(() => existsSync(join(life.directory, 'log-start-offset-checkpoint')))
  await catalog.close({ brokerEpoch: 1 })
  t.match(read(life, 'log-start-offset-checkpoint'), `orders 0 ${log.logStartOffset}\n`)
})

test('compaction is one task too; where it ended is written down and kept, until the log goes', async t => {
  const life = new Life(t)
  let catalog = await life.begin()
  const compacted = { ...config, deletes: false, compacts: true, segmentBytes: 300 }
  const log = await catalog.getOrCreate(orders(0), topicId(1), compacted)
  for (let count = 0; count < 12; count++) {
    const value = Buffer.from(`${count}`)
    const batch = buildBatch({ records: [{ timestamp: 1_700_000_000_000, key: Buffer.from('same'), value }] })
    log.appendAsLeader(batch, { leaderEpoch: 0, origin: 'client', nowMs: 1_700_000_000_000 })
    await log.flush()
  }
  catalog.recordHighWatermark(orders(0), log.logEndOffset)
  const size = log.sizeInBytes
  life.clock.advance(15_000)
  await until(() => life.eventNames().includes('log-cleaned'))
  await until(() => [...catalog.cleaner.status()].every(each => each.state === 'idle'))
  t.match(read(life, 'cleaner-offset-checkpoint'), /^0\n1\norders 0 \d+\n$/)
  t.ok(log.sizeInBytes < size, 'superseded records are gone')
  t.match([...catalog.cleaner.status()], [{ name: 'orders-0', state: 'idle', lastError: null }])
  const recorded = read(life, 'cleaner-offset-checkpoint')
  await catalog.close({ brokerEpoch: 1 })
  t.equal(read(life, 'cleaner-offset-checkpoint'), recorded)
  catalog = await life.begin()
  await catalog.getOrCreate(orders(0), topicId(1), compacted)
  await catalog.remove(orders(0))
  t.equal(read(life, 'cleaner-offset-checkpoint'), '0\n0\n')
  await catalog.close({ brokerEpoch: 1 })
})

test('below the reserve clients are refused, others are not, and it clears by itself', async t => {
  const life = new Life(t)
  let free = 5_000
  const catalog = await life.begin({ settings: { ...settings, diskReserveBytes: 1_000 } })
  const log = await catalog.getOrCreate(orders(0), topicId(1), config)
  life.files.diskUsage = async () => ({ freeBytes: free, totalBytes: 10_000 })
  t.equal(await append(log), 1)
  free = 999
  t.equal(await append(log), 2, 'asked at most once a second')
  life.clock.ms += 1_000
  t.equal(catalog.diskSpace.isLow, false)
  await catalog.diskSpace.check()
  t.equal(catalog.diskSpace.isLow, true)
  await t.rejects(append(log), /"refused","errorCode":56/)
  t.equal(log.logEndOffset, 2, 'no offset was given')
  free = 1_050
  life.clock.ms += 1_000
  await catalog.diskSpace.check()
  t.equal(catalog.diskSpace.isLow, true, 'a little above the edge is not yet clear')
  free = 1_100
  await catalog.diskSpace.check()
  t.equal(await append(log), 3)
  t.same(life.eventNames(), ['disk-low', 'disk-recovered'])
  t.same(await catalog.volume(), { totalBytes: 10_000, usableBytes: 1_100 })
  await catalog.close({ brokerEpoch: 1 })
})

test('a client that fills the disk faster than it is asked is refused before the reserve is touched', async t => {
  const life = new Life(t)
  let free = 100_000_000
  let asked = 0
  life.files.diskUsage = async () => {
    asked++
    return { freeBytes: free, totalBytes: 200_000_000 }
  }
  const catalog = await life.begin({ settings: { ...settings, diskReserveBytes: 50_000_000 } })
  const log = await catalog.getOrCreate(orders(0), topicId(1), config)
  const batch = batchOf({ valueBytes: 1_000_000 })
  const fill = async () => {
    for (let count = 0; ; count++) {
      const result = log.appendAsLeader(Buffer.from(batch), {
        leaderEpoch: 0,
        origin: 'client',
        nowMs: 1_700_000_000_000
      })
      if (result.kind !== 'appended') return count
      free -= batch.length
      if (count % 8 === 7) await log.flush()
    }
  }
  t.ok((await fill()) <= 51, 'time stands still')
  t.ok(free >= 48_900_000, `${free} bytes left`)
  await settle(life)
  t.ok(asked > 3)
  t.same(life.eventNames(), ['disk-low'])
  await log.flush()
  await catalog.close({ brokerEpoch: 1 })
})
