// The produce checks against what a real Kafka 4.3.1 answered to the same bytes (corrupt.jsonl), and what our rules do
// beyond them.
import { readFileSync } from 'node:fs'
import { test } from 'tap'
import { errorName } from '../../protocol/errors.ts'
import * as batch from '../../protocol/records/batch.ts'
import { type BatchDraft, buildBatch } from '../../protocol/records/builder.ts'
import { prepareCompression } from '../../protocol/records/compression.ts'
import { decodeRecords } from '../../protocol/records/records.ts'
import { type Refusal, usesZstd, type ValidBatch, validateClientBatch } from '../../storage/validate.ts'
import { sampleConfig } from './sample-config.ts'

interface Corrupt {
  name: string
  hex: string
  produce: string
  produceCompacted?: string
  iterate: string[]
}

const NOW = 1700000000100
const vectors = readFileSync('test/golden/corrupt.jsonl', 'utf8')
  .split('\n')
  .filter(Boolean)
  .map(line => JSON.parse(line) as Corrupt)
const answer = (result: ValidBatch | Refusal): string =>
  result.kind === 'valid' ? 'NONE' : errorName(result.errorCode)

/** What Kafka finds by walking the records of an opaque batch: unseen without a rule that needs the walk. */
const OPAQUE = /^(count-|record-|bytes-after-records|(gzip|snappy|lz4|zstd)-)/
const BETTER = ['CORRUPT_MESSAGE', 'INVALID_RECORD']

await prepareCompression()

function draft(changes: Partial<BatchDraft> = {}): Buffer {
  return buildBatch({
    records: [
      { timestamp: NOW - 5, key: Buffer.from('k'), value: Buffer.from('v') },
      { timestamp: NOW, key: Buffer.from('l'), value: null, headers: [{ key: 'h', value: null }] }
    ],
    ...changes
  })
}

test('Kafka answers the same when all records are walked', async t => {
  for (const { name, hex, produce } of vectors) {
    const ours = answer(validateClientBatch(Buffer.from(hex, 'hex'), sampleConfig(), NOW, { deep: true }))
    if (produce === 'UNKNOWN_SERVER_ERROR') t.ok(BETTER.includes(ours), `${name}: ${ours}`)
    else t.equal(ours, produce, name)
  }
})

test('a compacted topic walks them always', async t => {
  for (const { name, hex, produce, produceCompacted } of vectors) {
    const expected = produceCompacted ?? produce
    const ours = answer(validateClientBatch(Buffer.from(hex, 'hex'), sampleConfig({ compacts: true }), NOW))
    // Kafka's column holds only what changes with keys; all other vectors without a key are refused for it.
    const hasKeys = ours !== 'INVALID_RECORD' || expected === 'INVALID_RECORD'
    if (expected === 'UNKNOWN_SERVER_ERROR') t.ok(BETTER.includes(ours), `${name}: ${ours}`)
    else if (hasKeys) t.equal(ours, expected, name)
  }
})

test('an opaque batch hides what only a walk would find, and nothing else', async t => {
  const unseen: string[] = []
  for (const { name, hex, produce } of vectors) {
    const ours = answer(validateClientBatch(Buffer.from(hex, 'hex'), sampleConfig(), NOW))
    if (ours === produce || (produce === 'UNKNOWN_SERVER_ERROR' && BETTER.includes(ours))) continue
    t.equal(ours, 'NONE', name)
    t.match(name, OPAQUE)
    unseen.push(name)
  }
  t.notOk(unseen.some(name => /^(crc|length|magic|base|last-offset|cut|two|codec)/.test(name)))
  t.not(unseen.length, 0)
})

test('header and bytes of an accepted batch stay as they came', async t => {
  const sent = draft({ producerId: 7, producerEpoch: 0, baseSequence: 3 })
  const copy = Buffer.from(sent)
  const result = validateClientBatch(sent, sampleConfig(), NOW) as ValidBatch
  t.equal(result.batch.buffer, sent.buffer, 'no copy')
  t.ok(result.batch.equals(copy))
  t.equal(result.logAppendTimeMs, -1)
  const behind = Buffer.concat([copy, Buffer.from('junk')])
  t.ok((validateClientBatch(behind, sampleConfig(), NOW) as ValidBatch).batch.equals(copy), 'what follows is cut off')
})

test('sizes', async t => {
  const sent = draft()
  const limit = (changes: object): string => answer(validateClientBatch(Buffer.from(sent), sampleConfig(changes), NOW))
  t.equal(limit({ maxMessageBytes: sent.length }), 'NONE')
  t.equal(limit({ maxMessageBytes: sent.length - 1 }), 'MESSAGE_TOO_LARGE')
  t.equal(limit({ segmentBytes: sent.length - 1 }), 'RECORD_LIST_TOO_LARGE')
  const zeros = draft({ compression: 'gzip', records: [{ timestamp: NOW, key: null, value: Buffer.alloc(9000) }] })
  const unpacked = validateClientBatch(
    zeros,
    sampleConfig({ compressionType: 'uncompressed', maxMessageBytes: 9000 }),
    NOW
  )
  t.equal(answer(unpacked), 'MESSAGE_TOO_LARGE', 'also after recompression')
})

test('timestamps', async t => {
  const at = (timestamps: number[], changes: object = {}): ValidBatch | Refusal => {
    const records = timestamps.map(timestamp => ({ timestamp, key: Buffer.from('k'), value: null }))
    return validateClientBatch(buildBatch({ records }), sampleConfig(changes), NOW)
  }
  t.equal(answer(at([NOW, NOW + 3600000])), 'NONE')
  const future = at([NOW, NOW + 3600001, NOW, NOW + 3600002]) as Refusal
  t.equal(answer(future), 'INVALID_TIMESTAMP')
  t.same(
    future.recordErrors.map(error => error.batchIndex),
    [1, 3]
  )
  t.equal(answer(at([0])), 'NONE', 'the past has no bound by default')
  const old = at([NOW - 10, NOW - 11, NOW], { messageTimestampBeforeMaxMs: 10 }) as Refusal
  t.equal(answer(old), 'INVALID_TIMESTAMP')
  t.same(
    old.recordErrors.map(error => error.batchIndex),
    [1]
  )
  t.equal(answer(at([-1], { messageTimestampBeforeMaxMs: 10 })), 'NONE', 'no timestamp is no wrong one')
  t.equal(answer(at([2 ** 53], { messageTimestampAfterMaxMs: Infinity })), 'INVALID_TIMESTAMP')
})

test('LogAppendTime', async t => {
  const config = sampleConfig({ messageTimestampType: 'LogAppendTime' })
  const valid = validateClientBatch(draft({ compression: 'lz4' }), config, NOW + 9) as ValidBatch
  batch.checkBatch(valid.batch, 0)
  t.equal(valid.logAppendTimeMs, NOW + 9)
  t.same(
    [...decodeRecords(valid.batch, 0)].map(record => record.timestamp),
    [NOW + 9, NOW + 9]
  )
  const claimed = validateClientBatch(draft({ timestampType: 'LogAppendTime' }), config, NOW) as Refusal
  t.equal(answer(claimed), 'INVALID_TIMESTAMP')
  t.equal(claimed.recordErrors.length, 2)
})

test('what a client may not say is set right', async t => {
  const claimed = validateClientBatch(draft({ timestampType: 'LogAppendTime' }), sampleConfig(), NOW) as ValidBatch
  batch.checkBatch(claimed.batch, 0)
  t.equal(batch.timestampTypeOf(claimed.batch, 0), 'CreateTime')
  const tooSmall = validateClientBatch(draft({ maxTimestamp: -1 }), sampleConfig(), NOW) as ValidBatch
  batch.checkBatch(tooSmall.batch, 0)
  t.equal(batch.maxTimestamp(tooSmall.batch, 0), NOW)
  const horizon = validateClientBatch(draft({ deleteHorizonMs: NOW - 5 }), sampleConfig(), NOW) as ValidBatch
  batch.checkBatch(horizon.batch, 0)
  t.equal(batch.hasDeleteHorizon(horizon.batch, 0), false)
})

test('a topic with a codec of its own', async t => {
  for (const compressionType of ['uncompressed', 'gzip', 'snappy', 'lz4', 'zstd'] as const) {
    const codec = compressionType === 'uncompressed' ? 'none' : compressionType
    for (const sent of batch.CODECS) {
      const from = draft({ compression: sent, producerId: 9, producerEpoch: 1, baseSequence: 4 })
      const { batch: to } = validateClientBatch(Buffer.from(from), sampleConfig({ compressionType }), NOW) as ValidBatch
      batch.checkBatch(to, 0)
      t.equal(batch.compressionOf(to, 0), codec)
      t.same([...decodeRecords(to, 0)], [...decodeRecords(from, 0)], `${sent} to ${codec}`)
      t.same([batch.producerId(to, 0), batch.producerEpoch(to, 0), batch.baseSequence(to, 0)], [9, 1, 4])
      t.equal(batch.lastOffsetDelta(to, 0), 1)
    }
  }
})

test('records of a compacted topic are numbered without holes', async t => {
  const records = [3, 0].map(offsetDelta => ({ timestamp: NOW, key: Buffer.from('k'), value: null, offsetDelta }))
  const sent = buildBatch({ records, lastOffsetDelta: 1 })
  const { batch: kept } = validateClientBatch(sent, sampleConfig({ compacts: true }), NOW) as ValidBatch
  t.same(
    [...decodeRecords(kept, 0)].map(record => record.offset),
    [0, 1]
  )
})

test('a bomb, a codec by number, a producer id beyond 2^53', async t => {
  const value = Buffer.alloc(110 * 1024 * 1024)
  const bomb = buildBatch({ compression: 'gzip', records: [{ timestamp: NOW, key: Buffer.from('k'), value }] })
  t.equal(answer(validateClientBatch(bomb, sampleConfig({ compacts: true }), NOW)), 'MESSAGE_TOO_LARGE')
  const far = draft({ producerId: 2 ** 53, baseSequence: 0 })
  t.equal(answer(validateClientBatch(far, sampleConfig(), NOW)), 'INVALID_RECORD')
  t.ok(usesZstd(draft({ compression: 'zstd' })))
  t.notOk(usesZstd(Buffer.alloc(10)))
})
