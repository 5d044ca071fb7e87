// Fuzz targets of record batches: what a client may send, with the checksum set right so that what lies behind it is
// reached, in a topic where nothing, and in one where everything is looked at; each codec; and what compaction makes of it.
import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import * as batch from '../../protocol/records/batch.ts'
import { type Codec, compress, decompress, prepareCompression } from '../../protocol/records/compression.ts'
import { decodeRecords } from '../../protocol/records/records.ts'
import { compactBatch } from '../../storage/compaction.ts'
import { OffsetMap } from '../../storage/offset-map.ts'
import { ProducerStates } from '../../storage/producers.ts'
import { validateClientBatch } from '../../storage/validate.ts'
import { sampleConfig } from '../storage/sample-config.ts'
import type { Target } from './targets.ts'

await prepareCompression()

const NOW = 1700000000100
/** Of what a sample may decompress to. */
const MAX_BYTES = 1024 * 1024

export function recordsTargets(): Target[] {
  const samples = batches().filter(bytes => bytes.length <= 4096)
  const checked = sampleConfig({ compacts: true, messageTimestampBeforeMaxMs: 10 ** 13 })
  const rewritten = sampleConfig({ compressionType: 'uncompressed', messageTimestampType: 'LogAppendTime' })
  return [
    { name: 'batches', samples, decode: walk },
    { name: 'produce', samples, decode: bytes => produce(bytes, sampleConfig()) },
    { name: 'produce, checksum right', samples, decode: bytes => produce(sealed(bytes), sampleConfig()) },
    { name: 'produce, compacted', samples, decode: bytes => produce(sealed(bytes), checked) },
    { name: 'produce, rewritten', samples, decode: bytes => produce(sealed(bytes), rewritten) },
    { name: 'compaction', samples, decode: bytes => compact(sealed(bytes)) },
    ...batch.CODECS.slice(1).map(codec => decompression(codec))
  ]
}

function batches(): Buffer[] {
  const lines = ['records', 'corrupt'].flatMap(name => {
    return readFileSync(`test/golden/${name}.jsonl`, 'utf8').split('\n').filter(Boolean)
  })
  return lines.map(line => Buffer.from((JSON.parse(line) as { hex: string }).hex, 'hex'))
}

/** The mutant with lengths and a checksum that pass, where it is long enough. */
function sealed(bytes: Buffer): Buffer {
  const copy = Buffer.from(bytes)
  if (copy.length < batch.BATCH_HEADER_BYTES) return copy
  copy.writeInt32BE(copy.length - batch.LOG_OVERHEAD, 8)
  copy.writeInt8(batch.MAGIC, 16)
  batch.setBaseOffset(copy, 0, 0)
  batch.setCrc(copy, 0)
  return copy
}

function walk(bytes: Buffer): unknown {
  for (const at of batch.batchesOf(bytes)) {
    batch.checkBatch(bytes, at)
    count(bytes, at)
  }
  return undefined
}

/** A bomb would show here: each record costs a byte of what the limit allows. */
function count(bytes: Buffer, at: number): void {
  let records = 0
  for (const record of decodeRecords(bytes, at, { maxBytes: MAX_BYTES })) {
    records++
    assert(record.headers.length <= MAX_BYTES)
  }
  assert(records <= MAX_BYTES)
}

/** What is accepted can be read, when it was walked; and a log can take it. */
function produce(bytes: Buffer, config: Parameters<typeof validateClientBatch>[1]): unknown {
  const result = validateClientBatch(Buffer.from(bytes), config, NOW)
  if (result.kind === 'refused') return result.errorCode
  batch.checkBatch(result.batch, 0)
  assert.equal(batch.recordCount(result.batch, 0), batch.lastOffsetDelta(result.batch, 0) + 1)
  if (config.compacts || config.compressionType !== 'producer') count(result.batch, 0)
  const producers = new ProducerStates({ producerIdExpirationMs: 1 })
  if (producers.check(result.batch, 0, 'client').kind === 'ok') producers.update(result.batch, 0)
  return undefined
}

function compact(bytes: Buffer): unknown {
  batch.checkBatch(bytes, 0)
  const map = new OffsetMap(24 * 64, 0.9)
  map.put(Buffer.from('6b6579', 'hex'), 50)
  map.latestOffset = 100
  const kept = compactBatch(bytes, 0, { map, nowMs: NOW, deleteRetentionMs: 1000 }, true)
  if (kept === null || batch.isControl(kept, 0) || batch.isTransactional(kept, 0)) return undefined
  batch.checkBatch(kept, 0)
  assert.equal(batch.lastOffset(kept, 0), batch.lastOffset(bytes, 0))
  count(kept, 0)
  return undefined
}

function decompression(codec: Codec): Target {
  const plain = [Buffer.from('a'), Buffer.from('to be or not to be, to be or not '.repeat(90)), Buffer.alloc(70_000)]
  const samples = plain.map(bytes => compress(codec, bytes)).filter(bytes => bytes.length <= 4096)
  const decode = (bytes: Buffer): unknown => {
    assert(decompress(codec, bytes, MAX_BYTES).length <= MAX_BYTES)
    return undefined
  }
  return { name: `decompression of ${codec}`, samples, decode }
}
