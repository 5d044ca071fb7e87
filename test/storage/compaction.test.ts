// What compaction decides: the map of keys, the stretch that may be cleaned, which segments become one, and which records
// of a batch stay, compared byte by byte with batches that Kafka's cleaner wrote.
import { readFileSync } from 'node:fs'
import { test } from 'tap'
import * as batch from '../../protocol/records/batch.ts'
import { type BatchDraft, buildBatch } from '../../protocol/records/builder.ts'
import { prepareCompression } from '../../protocol/records/compression.ts'
import { decodeRecords } from '../../protocol/records/records.ts'
import { cleanableOf, compactBatch, groupSegments, holdsLastSequence, type LogView } from '../../storage/compaction.ts'
import { OffsetMap } from '../../storage/offset-map.ts'
import { ProducerStates } from '../../storage/producers.ts'
import { sampleConfig } from './sample-config.ts'

await prepareCompression()

const NOW = 1700000000000
const key = (n: number | string): Buffer => Buffer.from(`k${n}`)

function mapOf(entries: Record<string, number>, latestOffset: number): OffsetMap {
  const map = new OffsetMap(2 ** 16, 0.9)
  for (const [name, offset] of Object.entries(entries)) map.put(Buffer.from(name), offset)
  map.latestOffset = latestOffset
  return map
}

/** Records by key and value; null is a tombstone. */
function batchOf(records: [string | null, string | null][], changes: Partial<BatchDraft> = {}): Buffer {
  return buildBatch({
    baseOffset: 100,
    partitionLeaderEpoch: 3,
    records: records.map(([k, v], i) => ({
      timestamp: NOW + i,
      key: k === null ? null : Buffer.from(k),
      value: v === null ? null : Buffer.from(v)
    })),
    ...changes
  })
}

const rules = (map: OffsetMap, nowMs = NOW, deleteRetentionMs = 1000) => ({ map, nowMs, deleteRetentionMs })
const offsetsOf = (bytes: Buffer | null): number[] =>
  bytes === null ? [] : [...decodeRecords(bytes, 0)].map(record => record.offset)

test('the map keeps the newest offset of each key, and grows up to its size', async t => {
  const map = new OffsetMap(24 * 5000, 0.9)
  t.ok(map.sizeInBytes < 24 * 5000, 'it begins small')
  let refused = 0
  for (let i = 0; i < 4500; i++) if (!map.put(key(i), i)) refused++
  t.equal(refused, 0)
  t.equal(map.put(key('new'), 9), false, 'full')
  t.ok(map.put(key(7), 9000), 'known keys still move')
  t.equal(map.size, 4500)
  t.equal(map.get(key(7)), 9000)
  t.equal(map.get(key(4499)), 4499)
  t.equal(map.get(key('new')), -1)
  t.equal(map.sizeInBytes, 24 * 5000)
  const large = new OffsetMap(24 * 80000, 0.9)
  let count = 0
  while (large.put(key(count), count)) count++
  t.ok(count > 80000 * 0.8 && count <= 80000 * 0.9, `${count} keys in many shards`)
  let wrong = 0
  for (let i = 0; i < count; i++) if (large.get(key(i)) !== i) wrong++
  t.equal(wrong, 0)
  const tiny = new OffsetMap(1, 0.9)
  t.ok(tiny.put(key(1), 1), 'one key always fits')
  t.notOk(tiny.put(key(2), 2))
})

test('the newest record of a key stays, whatever the codec', async t => {
  for (const compression of batch.CODECS) {
    const from = batchOf(
      [
        ['a', '1'],
        ['b', '1'],
        ['a', '2'],
        ['c', '1']
      ],
      { compression }
    )
    const map = mapOf({ a: 102, b: 500, c: 103 }, 600)
    const kept = compactBatch(from, 0, rules(map), false) as Buffer
    batch.checkBatch(kept, 0)
    t.same(offsetsOf(kept), [102, 103], compression)
    t.equal(batch.compressionOf(kept, 0), compression)
    t.equal(batch.baseOffset(kept, 0), 100, 'offsets stay')
    t.equal(batch.lastOffset(kept, 0), 103)
    t.equal(batch.partitionLeaderEpoch(kept, 0), 3)
    t.same(
      [...decodeRecords(kept, 0)].map(record => record.timestamp),
      [NOW + 2, NOW + 3]
    )
    t.equal(batch.maxTimestamp(kept, 0), NOW + 3)
  }
})

test('what is beyond the map is not touched, nor what has no newer one', async t => {
  const from = batchOf([
    ['a', '1'],
    ['a', '2'],
    ['a', '3']
  ])
  t.same(offsetsOf(compactBatch(from, 0, rules(mapOf({ a: 101 }, 101)), false)), [101, 102])
  const untouched = compactBatch(from, 0, rules(mapOf({ z: 1 }, 99)), false) as Buffer
  t.ok(untouched.equals(from), 'the very bytes')
  t.same(
    offsetsOf(
      compactBatch(
        batchOf([
          [null, 'x'],
          ['a', '1']
        ]),
        0,
        rules(mapOf({}, 999)),
        false
      )
    ),
    [101]
  )
})

test('tombstones: a horizon at the first cleaning, gone after it', async t => {
  const from = batchOf([
    ['a', null],
    ['b', '1']
  ])
  const map = mapOf({ a: 100, b: 101 }, 200)
  const marked = compactBatch(from, 0, rules(map), false) as Buffer
  batch.checkBatch(marked, 0)
  t.ok(batch.hasDeleteHorizon(marked, 0))
  t.equal(batch.baseTimestamp(marked, 0), NOW + 1000)
  t.same(
    [...decodeRecords(marked, 0)].map(record => [record.offset, record.timestamp]),
    [
      [100, NOW],
      [101, NOW + 1]
    ]
  )
  const later = compactBatch(marked, 0, rules(map, NOW + 999), false) as Buffer
  t.ok(later.equals(marked), 'a horizon is set once, and what is due later stays')
  const gone = compactBatch(marked, 0, rules(map, NOW + 1000), false) as Buffer
  t.same(offsetsOf(gone), [101])
  t.ok(batch.hasDeleteHorizon(gone, 0), 'the base of its timestamps')
  t.same(
    [...decodeRecords(gone, 0)].map(record => record.timestamp),
    [NOW + 1]
  )
  const forever = compactBatch(from, 0, rules(map, NOW, Number.POSITIVE_INFINITY), false) as Buffer
  t.notOk(batch.hasDeleteHorizon(forever, 0), 'delete.retention.ms without an end')
  t.same(offsetsOf(compactBatch(from, 0, rules(mapOf({ a: 900, b: 101 }, 999)), false)), [101], 'superseded at once')
})

test('an emptied batch: nothing, or its header', async t => {
  const from = batchOf(
    [
      ['a', '1'],
      ['a', '2']
    ],
    { producerId: 4001, producerEpoch: 2, baseSequence: 7, compression: 'gzip' }
  )
  const map = mapOf({ a: 500 }, 999)
  t.equal(compactBatch(from, 0, rules(map), false), null)
  const header = compactBatch(from, 0, rules(map), true) as Buffer
  t.equal(header.length, batch.BATCH_HEADER_BYTES)
  batch.checkBatch(header, 0)
  t.same([batch.baseOffset(header, 0), batch.lastOffset(header, 0)], [100, 101])
  t.same([batch.producerId(header, 0), batch.producerEpoch(header, 0), batch.lastSequence(header, 0)], [4001, 2, 8])
  const again = compactBatch(header, 0, rules(map), true) as Buffer
  t.ok(again.equals(header))
  t.equal(compactBatch(header, 0, rules(map), false), null, 'it goes when its producer has')
})

test('the last batch of a producer is known by its offset', async t => {
  const producers = new ProducerStates({ producerIdExpirationMs: 1000 })
  const first = batchOf([['a', '1']], { producerId: 1, producerEpoch: 0, baseSequence: 0, baseOffset: 0 })
  const second = batchOf([['a', '2']], { producerId: 1, producerEpoch: 0, baseSequence: 1, baseOffset: 1 })
  for (const bytes of [first, second]) producers.update(bytes, 0)
  t.notOk(holdsLastSequence(producers, first, 0))
  t.ok(holdsLastSequence(producers, second, 0))
  t.notOk(holdsLastSequence(producers, batchOf([['a', '1']]), 0))
  producers.expire(NOW * 2)
  t.notOk(holdsLastSequence(producers, second, 0))
})

test('transactions and control records stay as they are', async t => {
  const map = mapOf({ a: 500 }, 999)
  for (const changes of [{ transactional: true }, { control: true }]) {
    const from = batchOf([['a', '1']], { ...changes, producerId: 1 })
    t.ok((compactBatch(from, 0, rules(map), false) as Buffer).equals(from))
  }
})

test('LogAppendTime keeps the time of the batch', async t => {
  const from = batchOf(
    [
      ['a', '1'],
      ['b', null]
    ],
    { timestampType: 'LogAppendTime', maxTimestamp: NOW + 77 }
  )
  const kept = compactBatch(from, 0, rules(mapOf({ a: 500 }, 999)), false) as Buffer
  t.same(
    [...decodeRecords(kept, 0)].map(record => record.timestamp),
    [NOW + 77]
  )
  t.equal(batch.timestampTypeOf(kept, 0), 'LogAppendTime')
})

test('the same bytes as Kafka', async t => {
  const golden = new Map<string, Buffer>()
  for (const line of readFileSync('test/golden/records.jsonl', 'utf8').split('\n').filter(Boolean)) {
    const { name, hex } = JSON.parse(line) as { name: string; hex: string }
    golden.set(name, Buffer.from(hex, 'hex'))
  }
  for (const name of ['compacted-sparse', 'compacted-sparse-zstd', 'compacted-empty', 'delete-horizon']) {
    const bytes = golden.get(name) as Buffer
    const nothingNew = mapOf({}, -1) // Whatever its records are, they stay.
    const early = rules(nothingNew, 0)
    t.equal((compactBatch(bytes, 0, early, true) as Buffer).toString('hex'), bytes.toString('hex'), `${name} stays`)
  }
  const horizon = golden.get('delete-horizon-set-by-cleaner') as Buffer
  const drafts = [...decodeRecords(horizon, 0)].map(record => ({ ...record, offsetDelta: record.offset - 60 }))
  const original = buildBatch({
    baseOffset: 60,
    partitionLeaderEpoch: batch.partitionLeaderEpoch(horizon, 0),
    producerId: batch.producerId(horizon, 0),
    producerEpoch: batch.producerEpoch(horizon, 0),
    baseSequence: batch.baseSequence(horizon, 0),
    lastOffsetDelta: batch.lastOffsetDelta(horizon, 0),
    records: drafts
  })
  const marked = compactBatch(original, 0, rules(mapOf({}, -1), batch.baseTimestamp(horizon, 0), 0), false) as Buffer
  t.equal(marked.toString('hex'), horizon.toString('hex'), 'a horizon is set')
})

const segment = (baseOffset: number, sizeInBytes: number, largestTimestamp = 0, firstTimestamp = largestTimestamp) => ({
  baseOffset,
  sizeInBytes,
  largestTimestamp,
  firstTimestamp,
  indexSizeInBytes: 8
})

function view(changes: Partial<LogView> = {}): LogView {
  return {
    closed: [segment(0, 100, NOW - 50), segment(10, 300, NOW - 20), segment(20, 100, NOW - 10)],
    activeBaseOffset: 30,
    logStartOffset: 0,
    logEndOffset: 35,
    stableOffset: 35,
    ...changes
  }
}

test('which stretch may be cleaned', async t => {
  const config = sampleConfig({ compacts: true })
  const range = (log: LogView, recorded?: number, changes = {}) =>
    cleanableOf(log, recorded, { ...config, ...changes }, NOW)
  t.match(range(view()), { firstDirtyOffset: 0, firstUncleanableOffset: 30, dirtyRatio: 1, isDue: true })
  t.match(range(view(), 20), { firstDirtyOffset: 20, dirtyRatio: 0.2, isDue: false })
  t.match(range(view(), 20, { minCleanableDirtyRatio: 0.1 }), { isDue: true })
  t.match(range(view(), 10), { dirtyRatio: 0.8, cleanableBytes: 400, isDue: true })
  t.match(range(view(), 99), { firstDirtyOffset: 0 }, 'recorded behind the end: from the start')
  t.match(range(view({ logStartOffset: 5 }), 2), { firstDirtyOffset: 5 })
  t.match(range(view({ stableOffset: 15 })), { firstUncleanableOffset: 15 })
  t.match(range(view(), 0, { minCompactionLagMs: 15 }), { firstUncleanableOffset: 20 })
  t.match(range(view(), 20, { minCompactionLagMs: 15 }), { firstUncleanableOffset: 20, isDue: false })
  t.match(range(view(), 20, { maxCompactionLagMs: 9 }), { isDue: true }, 'overdue whatever the ratio')
  t.match(range(view(), 20, { maxCompactionLagMs: 11 }), { isDue: false })
  t.match(range(view(), 30), { isDue: false, cleanableBytes: 0 })
  t.match(range(view({ closed: [], activeBaseOffset: 0 })), { isDue: false, dirtyRatio: 0 })
})

test('small segments become one', async t => {
  const segments = [segment(0, 400), segment(10, 500), segment(20, 200), segment(30, 900), segment(40, 100)]
  const ends = [10, 20, 30, 40, 50]
  const bases = (changes = {}) =>
    groupSegments(segments, ends, sampleConfig({ segmentBytes: 1000, ...changes })).map(g => g.map(s => s.baseOffset))
  t.same(bases(), [[0, 10], [20], [30, 40]])
  t.same(bases({ segmentIndexBytes: 8 }), [[0], [10], [20], [30], [40]])
  const far = groupSegments([segment(0, 1), segment(5, 1)], [5, 2 ** 31 + 1], sampleConfig())
  t.same(far.length, 2, 'relative offsets are 31 bits')
  t.same(groupSegments([], [], sampleConfig()), [])
})
