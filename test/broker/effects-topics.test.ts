// What the settings of topics, and the broker settings behind them, do to the logs of a running broker: set at creation,
// set for all topics by a file or at run time, and changed while records come in.
import { existsSync, readdirSync, readFileSync, statSync } from 'node:fs'
import { test } from 'tap'
import { ErrorCode } from '../../protocol/errors.ts'
import { deleteRecords } from '../../protocol/messages/delete-records.ts'
import { compressionOf } from '../../protocol/records/batch.ts'
import { EARLIEST, LATEST, until, type World, worldOf } from './broker-fixture.ts'

const TOPIC = 2
const BROKER = 4
const MINUTE_MS = 60_000
const DAY_MS = 24 * 60 * MINUTE_MS

/** The error code of a produce with these settings and this timestamp. */
async function taken(world: World, topic: string, timestamp: number): Promise<number> {
  return (await world.produce(topic, [{ value: 'v', timestamp }])).errorCode
}

test('segment.bytes: also live, and by log.segment.bytes', async t => {
  const world = await worldOf(t, 'log.segment.bytes=1048576')
  await world.create('a')
  await world.create('b', { 'segment.bytes': '4194304' })
  for (const topic of ['a', 'b']) {
    for (let n = 0; n < 3; n++) await world.produce(topic, [{ value: 'x'.repeat(600_000) }])
  }
  t.equal(world.logFiles('a').length, 3)
  t.equal(world.logFiles('b').length, 1)
  await world.set(TOPIC, 'b', 'segment.bytes', '1048576')
  await world.produce('b', [{ value: 'x'.repeat(600_000) }])
  t.equal(world.logFiles('b').length, 2)
})

test('segment.ms and segment.jitter.ms: by age of the records', async t => {
  const world = await worldOf(t, 'log.roll.hours=1')
  await world.create('a')
  await world.create('b', { 'segment.ms': String(10 * MINUTE_MS) })
  for (const topic of ['a', 'b']) await world.produce(topic, [{ value: '1' }])
  world.clock.advance(20 * MINUTE_MS)
  for (const topic of ['a', 'b']) await world.produce(topic, [{ value: '2' }])
  t.equal(world.logFiles('a').length, 1)
  t.equal(world.logFiles('b').length, 2)

  const early = { 'segment.jitter.ms': String(60 * MINUTE_MS) }
  const topics = Array.from({ length: 8 }, (_, n) => `c${n}`)
  for (const topic of topics) await world.create(topic, early)
  const counts = async () => {
    for (const topic of topics) await world.produce(topic, [{ value: '1' }])
    return topics.filter(topic => world.logFiles(topic).length > 2).length
  }
  // The first segment has no jitter: the one that follows it has.
  await counts()
  world.clock.advance(61 * MINUTE_MS)
  t.equal(await counts(), 0)
  world.clock.advance(45 * MINUTE_MS)
  t.ok((await counts()) > 0, 'three of four roll before their time')
})

test('segment.index.bytes and index.interval.bytes: the index rolls a segment when it is full', async t => {
  const world = await worldOf(t)
  await world.create('a', { 'segment.index.bytes': '24', 'index.interval.bytes': '100' })
  await world.create('b', { 'segment.index.bytes': '24', 'index.interval.bytes': '1000000' })
  await world.create('c', { 'index.interval.bytes': '100' })
  for (const topic of ['a', 'b', 'c'])
    for (let n = 0; n < 8; n++) await world.produce(topic, [{ value: 'x'.repeat(200) }])
  t.ok(world.logFiles('a').length > 1)
  t.equal(world.logFiles('b').length, 1)
  t.equal(world.logFiles('c').length, 1)
})

test('preallocate: the bytes of a segment are reserved when it is made, and given back when it is full', async t => {
  const world = await worldOf(t, 'log.preallocate=true', 'log.segment.bytes=1048576')
  await world.create('a')
  await world.create('b', { preallocate: 'false' })
  for (const topic of ['a', 'b'])
    for (let n = 0; n < 2; n++) await world.produce(topic, [{ value: 'x'.repeat(600_000) }])
  const sizes = (topic: string) =>
    world.logFiles(topic).map(each => statSync(`${world.directory}/${topic}-0/${each}`).size > 1_000_000)
  t.same(sizes('a'), [false, true])
  t.same(sizes('b'), [false, false])
})

test('max.message.bytes and message.max.bytes', async t => {
  const world = await worldOf(t, 'message.max.bytes=1000')
  await world.create('a')
  await world.create('b', { 'max.message.bytes': '3000' })
  const sent = async (topic: string) => (await world.produce(topic, [{ value: 'x'.repeat(2000) }])).errorCode
  t.equal(await sent('a'), ErrorCode.MESSAGE_TOO_LARGE)
  t.equal(await sent('b'), 0)
  await world.set(BROKER, '', 'message.max.bytes', '5000')
  t.equal(await sent('a'), 0, 'live')
  await world.set(BROKER, '', 'message.max.bytes', null)
  t.equal(await sent('a'), ErrorCode.MESSAGE_TOO_LARGE, 'undone live')
})

test('message.timestamp.type, .before.max.ms, .after.max.ms', async t => {
  const world = await worldOf(t, 'log.message.timestamp.after.max.ms=1000')
  const now = world.clock.nowMs()
  await world.create('a')
  await world.create('b', { 'message.timestamp.before.max.ms': '1000', 'message.timestamp.after.max.ms': '5000' })
  t.equal(await taken(world, 'a', now + 2000), ErrorCode.INVALID_TIMESTAMP)
  t.equal(await taken(world, 'a', now - DAY_MS), 0)
  t.equal(await taken(world, 'b', now + 2000), 0)
  t.equal(await taken(world, 'b', now - 2000), ErrorCode.INVALID_TIMESTAMP)
  await world.create('c', { 'message.timestamp.type': 'LogAppendTime' })
  t.equal((await world.produce('c', [{ value: 'v', timestamp: 5 }])).logAppendTimeMs, now)
  t.equal((await world.produce('a', [{ value: 'v', timestamp: 5 }])).logAppendTimeMs, -1)
})

test('compression.type and the levels', async t => {
  const world = await worldOf(t, 'compression.type=gzip')
  const value = Array.from({ length: 2000 }, (_, n) => String(n * n)).join(' ')
  const stored = async (topic: string, configs: { [key: string]: string }) => {
    await world.create(topic, configs)
    t.match(await world.produce(topic, [{ value }]), { errorCode: 0 }, topic)
    const { records } = await world.fetch(topic, 0)
    return { codec: compressionOf(records as Buffer, 0), size: records?.length ?? 0 }
  }
  t.equal((await stored('inherited', {})).codec, 'gzip')
  t.equal((await stored('producer', { 'compression.type': 'producer' })).codec, 'none')
  t.equal((await stored('snappy', { 'compression.type': 'snappy' })).codec, 'snappy')
  for (const [codec, low, high] of [
    ['gzip', '1', '9'],
    ['zstd', '1', '19']
  ] as const) {
    const key = `compression.${codec}.level`
    const sizeAt = async (level: string) =>
      (await stored(`${codec}${level}`, { 'compression.type': codec, [key]: level })).size
    const [loose, tight] = await Promise.all([sizeAt(low), sizeAt(high)])
    t.not(tight, loose, `${key}: ${loose} and ${tight} bytes`)
  }
})

test('retention.bytes, log.retention.bytes; the check comes after log.initial.task.delay.ms and at log.retention.check.interval.ms', async t => {
  const world = await worldOf(
    t,
    'log.retention.check.interval.ms=7000',
    'log.initial.task.delay.ms=1000',
    'log.segment.bytes=1048576'
  )
  await world.create('a', { 'retention.bytes': '1500000' })
  await world.create('b')
  for (const topic of ['a', 'b']) {
    for (let n = 0; n < 4; n++) await world.produce(topic, [{ value: 'x'.repeat(900_000) }])
  }
  world.clock.advance(1000)
  await until(async () => (await world.offset('a', EARLIEST)) === 2, 'two segments of a are gone')
  t.equal(await world.offset('b', EARLIEST), 0)
  await world.set(BROKER, '', 'log.retention.bytes', '1500000')
  world.clock.advance(7000)
  await until(async () => (await world.offset('b', EARLIEST)) === 2, 'live for all topics')
})

test('retention.ms by log.retention.hours, .minutes and .ms; file.delete.delay.ms', async t => {
  const world = await worldOf(t, 'log.retention.hours=2', 'log.roll.ms=1000', 'log.segment.delete.delay.ms=60000')
  await world.create('a')
  await world.create('b', { 'retention.ms': '-1' })
  const start = world.clock.nowMs()
  for (const topic of ['a', 'b']) await world.produce(topic, [{ value: 'old' }])
  world.clock.advance(90 * MINUTE_MS)
  for (const topic of ['a', 'b']) await world.produce(topic, [{ value: 'new' }])
  t.equal(await world.offset('a', EARLIEST), 0)
  world.clock.advance(25 * MINUTE_MS)
  await until(async () => {
    world.clock.advance(10_000)
    return (await world.offset('a', EARLIEST)) === 1
  }, 'the old segment is gone')
  const age = world.clock.nowMs() - start
  t.ok(age > 120 * MINUTE_MS && age < 130 * MINUTE_MS, `after ${age / MINUTE_MS} minutes`)
  t.equal(await world.offset('b', EARLIEST), 0)
  t.ok(
    world.filesOf('a').some(each => each.endsWith('.log.deleted')),
    'its file stays for those who read it'
  )
  world.clock.advance(MINUTE_MS)
  await until(() => !world.filesOf('a').some(each => each.endsWith('.deleted')), 'and goes later')
})

test('cleanup.policy: compacted topics need keys; none of both keeps for ever (KIP-1161)', async t => {
  const world = await worldOf(t, 'log.retention.ms=1000', 'log.roll.ms=1000')
  await world.create('compacted', { 'cleanup.policy': 'compact' })
  await world.create('kept', { 'cleanup.policy': '' })
  await world.create('plain')
  t.equal((await world.produce('compacted', [{ value: 'v' }])).errorCode, ErrorCode.INVALID_RECORD)
  t.equal((await world.produce('compacted', [{ key: 'k', value: 'v' }])).errorCode, 0)
  for (const topic of ['kept', 'plain']) await world.produce(topic, [{ value: 'v' }])
  world.clock.advance(10 * MINUTE_MS)
  await until(async () => (await world.offset('plain', EARLIEST)) === 1, 'plain is empty')
  t.equal(await world.offset('kept', EARLIEST), 0)
  t.equal(await world.offset('compacted', EARLIEST), 0)
  await world.set(BROKER, '1', 'log.cleanup.policy', 'compact')
  t.equal(
    (await world.produce('plain', [{ value: 'v' }])).errorCode,
    ErrorCode.INVALID_RECORD,
    'live, for topics without their own'
  )
  await world.set(BROKER, '1', 'log.cleanup.policy', null)
  t.equal((await world.produce('plain', [{ value: 'v' }])).errorCode, 0)
})

test('moldau.log.flush.policy, flush.messages, flush.ms: when a log is synced', async t => {
  const syncsOf = (world: World, topic: string) =>
    world.files.log.filter(
      each => each.operation === 'fdatasync' && each.path.includes(`/${topic}-0/`) && each.path.endsWith('.log')
    ).length
  const group = await worldOf(t)
  await group.create('a')
  await group.produce('a', [{ value: 'v' }])
  t.ok(syncsOf(group, 'a') > 0, 'group-commit: before it is acknowledged')

  const cached = await worldOf(t, 'moldau.log.flush.policy=page-cache', 'log.flush.scheduler.interval.ms=1000')
  await cached.create('a')
  await cached.create('b', { 'flush.messages': '3', 'flush.ms': '9223372036854775807' })
  await cached.create('c', { 'flush.ms': '5000' })
  for (const topic of ['a', 'b', 'c']) await cached.produce(topic, [{ value: 'v' }])
  t.same(
    ['a', 'b', 'c'].map(topic => syncsOf(cached, topic)),
    [0, 0, 0],
    'page-cache: not before'
  )
  for (let n = 0; n < 2; n++) await cached.produce('b', [{ value: 'v' }])
  await until(() => syncsOf(cached, 'b') > 0, 'after three records')
  cached.clock.advance(1000)
  await until(() => syncsOf(cached, 'a') > 0, 'log.flush.scheduler.interval.ms is the default of flush.ms')
  t.equal(syncsOf(cached, 'c'), 0)
  cached.clock.advance(4000)
  await until(() => syncsOf(cached, 'c') > 0, 'after flush.ms')
})

test('min.insync.replicas: no more than there are replicas', async t => {
  const world = await worldOf(t, 'min.insync.replicas=2')
  await world.create('a')
  t.equal((await world.produce('a', [{ value: 'v' }])).errorCode, 0)
})

test('replica.high.watermark.checkpoint.interval.ms, log.flush.offset.checkpoint.interval.ms: what is written down when', async t => {
  const world = await worldOf(
    t,
    'replica.high.watermark.checkpoint.interval.ms=5000',
    'log.flush.offset.checkpoint.interval.ms=60000'
  )
  await world.create('a')
  await world.produce('a', [{ value: 'v' }])
  t.equal(await world.offset('a', LATEST), 1)
  const says = (file: string) => {
    try {
      return /^a 0 1$/m.test(readFileSync(`${world.directory}/${file}`, 'utf8'))
    } catch {
      return false
    }
  }
  t.notOk(says('replication-offset-checkpoint'))
  world.clock.advance(5000)
  await until(() => says('replication-offset-checkpoint'), 'the high watermark')
  t.notOk(says('recovery-point-offset-checkpoint'))
  world.clock.advance(55_000)
  await until(() => says('recovery-point-offset-checkpoint'), 'the recovery point')
})

test('log.flush.start.offset.checkpoint.interval.ms: deleted records stay deleted', async t => {
  const world = await worldOf(t, 'log.flush.start.offset.checkpoint.interval.ms=5000')
  await world.create('a')
  for (let n = 0; n < 3; n++) await world.produce('a', [{ value: 'v' }])
  const topics = [{ name: 'a', partitions: [{ partitionIndex: 0, offset: 2 }] }]
  await (await world.client()).send(deleteRecords, 2, { topics, timeoutMs: 10_000 })
  t.equal(await world.offset('a', EARLIEST), 2)
  const written = () => {
    const path = `${world.directory}/log-start-offset-checkpoint`
    return existsSync(path) && /^a 0 2$/m.test(readFileSync(path, 'utf8'))
  }
  t.notOk(written())
  await until(() => {
    world.clock.advance(1000)
    return written()
  }, 'the log start offset is written down')
})

test('metadata.log.max.record.bytes.between.snapshots, metadata.log.max.snapshot.interval.ms', async t => {
  const snapshots = (world: World) =>
    readdirSync(`${world.directory}/__cluster_metadata-0`).filter(each => each.endsWith('.checkpoint')).length
  const bySize = await worldOf(t, 'metadata.log.max.record.bytes.between.snapshots=1500')
  const before = snapshots(bySize)
  for (let n = 0; n < 10; n++) await bySize.create(`topic-${n}`, { 'retention.ms': '1000' })
  await until(() => {
    bySize.clock.advance(10)
    return snapshots(bySize) > before
  }, 'a snapshot after 1500 bytes')

  const byTime = await worldOf(t, 'metadata.log.max.snapshot.interval.ms=60000')
  await byTime.create('a')
  byTime.clock.advance(30_000)
  t.equal(snapshots(byTime), 0)
  await until(() => {
    byTime.clock.advance(1000)
    return snapshots(byTime) > 0
  }, 'a snapshot after a minute')
  t.ok(byTime.clock.nowMs() - 1_700_000_000_000 >= 60_000)
})

test('moldau.disk.reserve.bytes: below it clients may not append, and may read on', async t => {
  const world = await worldOf(t, `moldau.disk.reserve.bytes=${2 ** 52}`)
  await world.create('a')
  t.equal((await world.produce('a', [{ value: 'v' }])).errorCode, ErrorCode.KAFKA_STORAGE_ERROR)
  t.equal((await world.fetch('a', 0)).errorCode, 0)
  t.ok(world.lines.some(each => each.msg === 'disk-low'))
})
