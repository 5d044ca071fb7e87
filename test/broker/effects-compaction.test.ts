// What the settings of compaction do to a running broker: when a log is cleaned, and what is left of it.
import { test } from 'tap'
import { batchesOf } from '../../protocol/records/batch.ts'
import { decodeRecords } from '../../protocol/records/records.ts'
import { EARLIEST, LATEST, until, type World, worldOf } from './broker-fixture.ts'

const MINUTE_MS = 60_000
const ALWAYS = { 'cleanup.policy': 'compact', 'min.cleanable.dirty.ratio': '0.01', 'segment.ms': '1000' }

/** Offsets of the records that a consumer from the beginning gets. */
async function offsets(world: World, topic: string): Promise<number[]> {
  const found: number[] = []
  const end = await world.offset(topic, LATEST)
  for (let from = await world.offset(topic, EARLIEST); from < end; from = (found.at(-1) as number) + 1) {
    const records = (await world.fetch(topic, from)).records as Buffer
    for (const position of batchesOf(records)) {
      for (const { offset } of decodeRecords(records, position, { maxBytes: 1 << 20 })) found.push(offset)
    }
  }
  return found
}

/** Three versions of one key, each in a segment of its own, and a last one that stays active. */
async function fill(world: World, topic: string): Promise<void> {
  for (const value of ['1', '2', '3', '4']) {
    await world.produce(topic, [{ key: 'k', value }])
    world.clock.advance(2000)
  }
}

/** Lets time pass until these offsets are left; gives the minutes that it took. */
async function cleanedTo(world: World, topic: string, wanted: number[]): Promise<number> {
  const began = world.clock.nowMs()
  const { cleaner } = world.broker.services.catalog
  await until(async () => {
    // Time that passes while the disk works is not the cleaner's waiting.
    if (![...cleaner.status()].some(each => each.state === 'cleaning')) world.clock.advance(1000)
    return (await offsets(world, topic)).join() === wanted.join()
  }, `${topic} is cleaned to ${wanted}`)
  return (world.clock.nowMs() - began) / MINUTE_MS
}

test('log.cleaner.backoff.ms: how long the cleaner rests', async t => {
  const soon = await worldOf(t, 'log.cleaner.backoff.ms=15000')
  await soon.create('a', ALWAYS)
  await fill(soon, 'a')
  // Time runs on while the disk works, so the bound leaves it room.
  t.ok((await cleanedTo(soon, 'a', [2, 3])) < 30)
  const late = await worldOf(t, `log.cleaner.backoff.ms=${60 * MINUTE_MS}`)
  await late.create('a', ALWAYS)
  await fill(late, 'a')
  t.ok((await cleanedTo(late, 'a', [2, 3])) > 50)
})

test('min.cleanable.dirty.ratio and log.cleaner.min.cleanable.ratio', async t => {
  const world = await worldOf(t, 'log.cleaner.min.cleanable.ratio=0.9')
  await world.create('eager', ALWAYS)
  await world.create('lazy', { 'cleanup.policy': 'compact', 'segment.ms': '1000' })
  for (const topic of ['eager', 'lazy']) await fill(world, topic)
  for (const topic of ['eager', 'lazy']) await cleanedTo(world, topic, [2, 3])
  // Now half of what may be cleaned is clean.
  for (const topic of ['eager', 'lazy']) {
    await world.produce(topic, [{ key: 'k', value: '5' }])
  }
  await cleanedTo(world, 'eager', [3, 4])
  t.same(await offsets(world, 'lazy'), [2, 3, 4])
})

test('min.compaction.lag.ms and max.compaction.lag.ms: not before, and at the latest', async t => {
  const world = await worldOf(t)
  await world.create('young', { ...ALWAYS, 'min.compaction.lag.ms': String(20 * MINUTE_MS) })
  await fill(world, 'young')
  t.ok((await cleanedTo(world, 'young', [2, 3])) > 15)
  await world.create('old', {
    'cleanup.policy': 'compact',
    'min.cleanable.dirty.ratio': '1',
    'segment.ms': '1000',
    'max.compaction.lag.ms': String(10 * MINUTE_MS)
  })
  await fill(world, 'old')
  const took = await cleanedTo(world, 'old', [2, 3])
  t.ok(took > 8 && took < 60, `${took} minutes`)
})

test('delete.retention.ms: how long a tombstone stays', async t => {
  const world = await worldOf(t)
  await world.create('a', { ...ALWAYS, 'delete.retention.ms': String(20 * MINUTE_MS) })
  await world.produce('a', [{ key: 'gone', value: 'v' }])
  world.clock.advance(2000)
  await world.produce('a', [{ key: 'gone', value: null }])
  world.clock.advance(2000)
  await world.produce('a', [{ key: 'k', value: '1' }])
  await cleanedTo(world, 'a', [1, 2])
  world.clock.advance(10 * MINUTE_MS)
  await world.produce('a', [{ key: 'k', value: '2' }])
  world.clock.advance(2000)
  await world.produce('a', [{ key: 'k', value: '3' }])
  await cleanedTo(world, 'a', [1, 3, 4])
  world.clock.advance(15 * MINUTE_MS)
  for (const value of ['4', '5']) {
    await world.produce('a', [{ key: 'k', value }])
    world.clock.advance(2000)
  }
  await cleanedTo(world, 'a', [5, 6])
})
