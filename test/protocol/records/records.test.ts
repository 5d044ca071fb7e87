// Record batches against what Kafka's own Java client wrote: every header field, every record, and the way back to the
// same bytes where the bytes are determined (codecs may differ in theirs). Then limits, fallbacks and broken bytes.
import { readFileSync } from 'node:fs'
import { gzipSync } from 'node:zlib'
import { test } from 'tap'
import { isFailure } from '../../../protocol/failure.ts'
import * as batch from '../../../protocol/records/batch.ts'
import { type BatchDraft, buildBatch } from '../../../protocol/records/builder.ts'
import { compress, decompress, prepareCompression } from '../../../protocol/records/compression.ts'
import { crc32c, crc32cInJavaScript } from '../../../protocol/records/crc32c.ts'
import * as lz4 from '../../../protocol/records/lz4.ts'
import { decodeRecords, isBadBatch, type LogRecord } from '../../../protocol/records/records.ts'
import { decompressBlockInJavaScript, decompressSnappy, literalBlock } from '../../../protocol/records/snappy.ts'

interface GoldenRecord {
  offset: number
  timestamp: number
  key: HexOrNull
  value: HexOrNull
  headers: [string, HexOrNull][]
}
type HexOrNull = string | null | { repeat: string; times: number }
interface GoldenBatch {
  [field: string]: unknown
  baseOffset: number
  magic: number
  compression: batch.Codec
  timestampType: batch.TimestampType
  transactional: boolean
  control: boolean
  hasDeleteHorizon: boolean
  count: number
  records: GoldenRecord[]
}
interface GoldenBatches {
  name: string
  hex: string
  batches: GoldenBatch[]
}
interface Corrupt {
  name: string
  hex: string
  batches: number
  batchesError?: string
  ensureValid: string[]
  iterate: string[]
}

function lines<T>(name: string): T[] {
  const text = readFileSync(`test/golden/${name}.jsonl`, 'utf8')
  return text
    .split('\n')
    .filter(Boolean)
    .map(line => JSON.parse(line) as T)
}

function fromHex(hex: HexOrNull): Buffer | null {
  if (hex === null) return null
  return typeof hex === 'string' ? Buffer.from(hex, 'hex') : Buffer.from(hex.repeat.repeat(hex.times), 'hex')
}

const toHex = (bytes: Buffer | null): string | null => (bytes === null ? null : bytes.toString('hex'))

function plain(record: LogRecord): unknown {
  const headers = record.headers.map(({ key, value }) => [key, toHex(value)])
  return {
    offset: record.offset,
    timestamp: record.timestamp,
    key: toHex(record.key),
    value: toHex(record.value),
    headers
  }
}

function golden(record: GoldenRecord): unknown {
  const { offset, timestamp, headers } = record
  return { offset, timestamp, key: toHex(fromHex(record.key)), value: toHex(fromHex(record.value)), headers }
}

function headerOf(bytes: Buffer, at: number, expected: GoldenBatch): Record<string, unknown> {
  return {
    baseOffset: batch.baseOffset(bytes, at),
    magic: batch.magic(bytes, at),
    batchLength: batch.batchLength(bytes, at),
    partitionLeaderEpoch: batch.partitionLeaderEpoch(bytes, at),
    crc: batch.crc(bytes, at),
    attributes: batch.attributes(bytes, at),
    compression: batch.compressionOf(bytes, at),
    timestampType: batch.timestampTypeOf(bytes, at),
    transactional: batch.isTransactional(bytes, at),
    control: batch.isControl(bytes, at),
    hasDeleteHorizon: batch.hasDeleteHorizon(bytes, at),
    lastOffsetDelta: batch.lastOffsetDelta(bytes, at),
    baseTimestamp: batch.baseTimestamp(bytes, at),
    maxTimestamp: batch.maxTimestamp(bytes, at),
    producerId: batch.producerId(bytes, at),
    producerEpoch: batch.producerEpoch(bytes, at),
    baseSequence: batch.baseSequence(bytes, at),
    count: batch.recordCount(bytes, at),
    ...(expected.hasDeleteHorizon ? { deleteHorizonMs: batch.baseTimestamp(bytes, at) } : {}),
    records: undefined
  }
}

function draftOf(of: GoldenBatch): BatchDraft {
  return {
    baseOffset: of.baseOffset,
    partitionLeaderEpoch: of.partitionLeaderEpoch as number,
    compression: of.compression,
    timestampType: of.timestampType,
    maxTimestamp: of.maxTimestamp as number,
    producerId: of.producerId as number,
    producerEpoch: of.producerEpoch as number,
    baseSequence: of.baseSequence as number,
    transactional: of.transactional,
    control: of.control,
    ...(of.hasDeleteHorizon ? { deleteHorizonMs: of.baseTimestamp as number } : {}),
    lastOffsetDelta: of.lastOffsetDelta as number,
    records: of.records.map((record, index) => ({
      // LogAppendTime hides the times of the records; the batch begins with its base timestamp, and the vectors' second
      // and third records are 5 and 3 ms later.
      timestamp:
        of.timestampType === 'LogAppendTime'
          ? (of.baseTimestamp as number) + ([0, 5, 3][index] ?? 0)
          : record.timestamp,
      offsetDelta: record.offset - of.baseOffset,
      key: fromHex(record.key),
      value: fromHex(record.value),
      headers: record.headers.map(([key, value]) => ({ key, value: fromHex(value) }))
    }))
  }
}

const vectors = lines<GoldenBatches>('records')
await prepareCompression()

test('batches of the Java client', async t => {
  for (const { name, hex, batches } of vectors.filter(each => each.batches.every(one => one.magic === 2))) {
    const bytes = Buffer.from(hex, 'hex')
    const positions = [...batch.batchesOf(bytes)]
    t.equal(positions.length, batches.length, `${name}: all batches are seen`)
    positions.forEach((at, index) => {
      const expected = batches[index] as GoldenBatch
      batch.checkBatch(bytes, at)
      const { records, lastOffset, nextOffset, control, ...fields } = { ...expected }
      t.match(headerOf(bytes, at, expected), { ...fields, control }, `${name}: header`)
      if (control && expected.records[0] && !('key' in expected.records[0])) return
      const decoded = [...decodeRecords(bytes, at)].map(plain)
      t.same(decoded, records.map(golden), `${name}: records`)
      const built = buildBatch(draftOf(expected))
      const original = bytes.subarray(at, at + batch.sizeInBytes(bytes, at))
      if (expected.compression === 'none') t.equal(toHex(built), toHex(original), `${name}: the same bytes`)
      batch.checkBatch(built, 0)
      t.same([...decodeRecords(built, 0)].map(plain), decoded, `${name}: built again`)
    })
  }
})

test('messages of magic 0 and 1 are seen and refused', async t => {
  const old = vectors.filter(each => each.batches.some(one => one.magic < 2))
  t.not(old.length, 0)
  for (const { name, hex } of old) {
    t.throws(() => batch.checkBatch(Buffer.from(hex, 'hex'), 0), { code: 'ERR_CORRUPT_BATCH' }, name)
  }
})

test('broken batches', async t => {
  for (const vector of lines<Corrupt>('corrupt')) {
    const bytes = Buffer.from(vector.hex, 'hex')
    let error: unknown
    const positions: number[] = []
    try {
      for (const at of batch.batchesOf(bytes)) positions.push(at)
    } catch (caught) {
      error = caught
    }
    const isLegacy = /magic-[01]/.test(vector.name)
    const isShort = ['length-14', 'length-48'].includes(vector.name) // Kafka shows those, and then fails to read them.
    const isCut = vector.name === 'length-max-int' // Kafka's sum of lengths overflows.
    if (!isCut)
      t.equal(error !== undefined, vector.batchesError !== undefined, `${vector.name}: walked to an error or not`)
    if (error !== undefined) t.ok(isFailure(error, 'ERR_CORRUPT_BATCH'), `${vector.name}: which is ours`)
    if (!isShort) t.equal(positions.length, vector.batches, `${vector.name}: batches`)
    positions.forEach((at, index) => {
      let isValid = true
      try {
        batch.checkBatch(bytes, at)
      } catch (caught) {
        isValid = false
        t.ok(isFailure(caught, 'ERR_CORRUPT_BATCH'))
      }
      if (!isLegacy) t.equal(isValid, vector.ensureValid[index] === 'ok', `${vector.name}: checked`)
      if (isLegacy || isShort) return
      let seen = 0
      let failed = false
      try {
        for (const _ of decodeRecords(bytes, at)) seen++
      } catch (caught) {
        failed = true
        t.ok(isBadBatch(caught), `${vector.name}: the error is ours`)
      }
      const [, , then] = /^(\d+) records(, then .*)?$/.exec(vector.iterate[index] as string) ?? []
      // Kafka looks no further when the header counts no records.
      const mayFail = vector.name === 'count-zero' || then !== undefined
      t.equal(failed, mayFail, `${vector.name}: records (${vector.iterate[index]}), ${seen} seen`)
    })
  }
})

test('checksums', async t => {
  for (const { hash, hex, value } of lines<{ hash: string; hex: string; value: number }>('hashes')) {
    if (hash !== 'crc32c') continue
    const bytes = Buffer.from(hex, 'hex')
    t.equal(crc32c(bytes), value)
    t.equal(crc32cInJavaScript(bytes), value)
    const cut = bytes.length >> 1
    t.equal(crc32c(bytes.subarray(cut), crc32c(bytes.subarray(0, cut))), value, 'in two pieces')
    t.equal(crc32cInJavaScript(bytes.subarray(cut), crc32cInJavaScript(bytes.subarray(0, cut))), value)
  }
})

test('fields outside of the checksum are patched in place, others with a new checksum', async t => {
  const bytes = buildBatch({ records: [{ timestamp: 5, key: null, value: Buffer.from('v') }], deleteHorizonMs: 9 })
  const before = batch.crc(bytes, 0)
  batch.setBaseOffset(bytes, 0, 2 ** 53 - 1)
  batch.setPartitionLeaderEpoch(bytes, 0, 2 ** 31 - 1)
  batch.checkBatch(bytes, 0)
  t.equal(batch.baseOffset(bytes, 0), 2 ** 53 - 1)
  t.equal(batch.partitionLeaderEpoch(bytes, 0), 2 ** 31 - 1)
  t.equal(batch.crc(bytes, 0), before)
  batch.setMaxTimestampAndType(bytes, 0, 77, 'LogAppendTime')
  batch.checkBatch(bytes, 0)
  t.not(batch.crc(bytes, 0), before)
  t.equal(batch.timestampTypeOf(bytes, 0), 'LogAppendTime')
  t.equal(batch.hasDeleteHorizon(bytes, 0), false)
  batch.setMaxTimestampAndType(bytes, 0, -1, 'CreateTime')
  t.equal(batch.maxTimestamp(bytes, 0), -1)
  t.equal(batch.timestampTypeOf(bytes, 0), 'CreateTime')
})

test('sequences wrap at 2^31', async t => {
  const bytes = buildBatch({ baseSequence: 2 ** 31 - 1, producerId: 1, lastOffsetDelta: 2, records: [] })
  t.equal(batch.lastSequence(bytes, 0), 1)
  t.equal(batch.sequenceAfter(2 ** 31 - 1, 1), 0)
})

test('times of every size', async t => {
  const times = [
    0,
    -1,
    1,
    2 ** 30 - 1,
    2 ** 30,
    -(2 ** 30),
    -(2 ** 30) - 1,
    2 ** 31,
    2 ** 40 + 3,
    -(2 ** 40),
    2 ** 52,
    -(2 ** 52)
  ]
  const bytes = buildBatch({ records: [0, ...times].map(timestamp => ({ timestamp, key: null, value: null })) })
  t.same(
    [...decodeRecords(bytes, 0)].map(record => record.timestamp),
    [0, ...times]
  )
})

const samples = {
  empty: Buffer.alloc(0),
  short: Buffer.from('to be, or not to be, to be, or not'),
  long: Buffer.from(Array.from({ length: 300_000 }, (_, i) => (i * i) >> 7)),
  zeros: Buffer.alloc(1_000_000)
}

test('every codec out and in, by the package and by its fallback', async t => {
  for (const codec of batch.CODECS) {
    for (const [name, bytes] of Object.entries(samples)) {
      if (codec === 'snappy' && bytes.length === 0) continue // No block: Kafka too writes none for no records.
      const packed = compress(codec, bytes)
      t.ok(decompress(codec, packed, bytes.length).equals(bytes), `${codec} ${name}`)
      if (codec === 'lz4') {
        t.ok(lz4.inJavaScript.decompress(packed, bytes.length).equals(bytes), `lz4 ${name} without the package`)
        t.ok(decompress('lz4', lz4.inJavaScript.compress(bytes), bytes.length).equals(bytes), `lz4 ${name} stored`)
      }
      if (codec === 'snappy' && bytes.length <= 32768) {
        const block = packed.subarray(20)
        t.ok(decompressBlockInJavaScript(block).equals(bytes), `snappy ${name} without the package`)
        t.ok(decompressSnappy(literalBlock(bytes), bytes.length).equals(bytes), `snappy ${name} raw, literals only`)
      }
    }
  }
})

test('golden batches without the packages', async t => {
  for (const { name, hex, batches } of vectors.filter(each => /^(lz4|snappy)-/.test(each.name))) {
    const bytes = Buffer.from(hex, 'hex')
    const body = bytes.subarray(61)
    const expected = decompress(batches[0]?.compression as batch.Codec, body, 2 ** 27)
    if (name.startsWith('lz4')) {
      t.ok(lz4.inJavaScript.decompress(body, 2 ** 27).equals(expected), name)
      continue
    }
    const blocks: Buffer[] = []
    for (let at = 16; at < body.length; at += 4 + body.readInt32BE(at)) {
      blocks.push(decompressBlockInJavaScript(body.subarray(at + 4, at + 4 + body.readInt32BE(at))))
    }
    t.ok(Buffer.concat(blocks).equals(expected), name)
  }
})

test('a bomb is refused, by every codec', async t => {
  const zeros = Buffer.alloc(8 * 1024 * 1024)
  for (const codec of batch.CODECS.slice(1)) {
    const packed = compress(codec, zeros)
    t.ok(packed.length < zeros.length / 10, `${codec} packs it`)
    t.throws(() => decompress(codec, packed, zeros.length - 1), { code: 'ERR_TOO_LARGE' }, codec)
    t.equal(decompress(codec, packed, zeros.length).length, zeros.length)
    const whole = buildBatch({ compression: codec, records: [{ timestamp: 0, key: null, value: zeros }] })
    t.throws(() => [...decodeRecords(whole, 0, { maxBytes: 4096 })], { code: 'ERR_TOO_LARGE' }, `${codec} in a batch`)
  }
  const lying = Buffer.from([0xff, 0xff, 0xff, 0xff, 0x0f, 0x00, 0x61])
  t.throws(() => decompress('snappy', lying, 2 ** 40), { code: 'ERR_COMPRESSION' }, 'a declared size that cannot be')
  t.throws(() => decompress('zstd', Buffer.from('28b52ffde0ffffffffffffff00010000', 'hex'), 2 ** 27), {
    code: 'ERR_TOO_LARGE'
  })
  t.throws(() => decompress('zstd', Buffer.from('28b52ffda0ffff0000010000', 'hex'), 2 ** 27), {
    code: 'ERR_COMPRESSION'
  })
})

test('cut, garbled and lengthened data never throws anything else', async t => {
  for (const codec of batch.CODECS.slice(1)) {
    const packed = compress(codec, samples.long.subarray(0, 5000))
    for (let i = 0; i < packed.length; i += 7) {
      const garbled = Buffer.from(packed)
      garbled[i] = (garbled[i] as number) ^ (1 << (i % 8))
      for (const bytes of [packed.subarray(0, i), garbled]) {
        try {
          t.ok(decompress(codec, bytes, 65536).length <= 65536)
        } catch (error) {
          if (!isFailure(error)) t.fail(`${codec} at ${i}`, { error })
        }
      }
    }
  }
  t.equal(decompress('gzip', Buffer.concat([gzipSync('a'), gzipSync('b')]), 2).toString(), 'ab', 'two gzip members')
  const framed = compress('snappy', samples.short)
  t.same(decompress('snappy', Buffer.concat([framed, framed]), 1000), Buffer.concat([samples.short, samples.short]))
})
