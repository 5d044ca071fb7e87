// What a client may append: Kafka's produce checks, in Kafka's order (ProduceRequest.validateRecords, UnifiedLog.
// analyzeAndValidateRecords, LogValidator.java). A batch stays opaque: its header and checksum are looked at. Its records
// are walked only where a rule needs them: keys of a compacted topic, timestamps out of bounds, another codec.
//
// | Kafka | here |
// |---|---|
// | walks all records: format, count, compressed data | an opaque batch may hide what no reader can read; its sender alone is harmed |
// | sets maxTimestamp to what the records say | believed when it is between baseTimestamp and now + message.timestamp.after.max.ms |
// | numbers the records of a compressed batch anew | only when they are walked, and then of every batch |
// | UNKNOWN_SERVER_ERROR for a bad codec or bad compressed data | INVALID_RECORD: trying again is of no use |
// | MESSAGE_TOO_LARGE for compressed size only | also where the records decompress to more than 100 MiB |
// | keeps the cleaner's delete horizon from a client | cleared: it would drop the sender's tombstones at once |
// | int64 of any size | timestamps beyond 2^53 are INVALID_TIMESTAMP, producer ids beyond it INVALID_RECORD |
import { ErrorCode } from '../protocol/errors.ts'
import { isFailure, type MoldauError } from '../protocol/failure.ts'
import {
  BATCH_HEADER_BYTES,
  baseOffset,
  baseSequence,
  baseTimestamp,
  CODECS,
  type Codec,
  checkBatch,
  codecNumber,
  compressionOf,
  endOfBatch,
  hasDeleteHorizon,
  isControl,
  isTransactional,
  lastOffsetDelta,
  MAGIC,
  magic,
  maxTimestamp,
  NO_TIMESTAMP,
  partitionLeaderEpoch,
  producerEpoch,
  producerId,
  recordCount,
  setMaxTimestampAndType,
  timestampTypeOf
} from '../protocol/records/batch.ts'
import { RecordsWriter, sealBatch } from '../protocol/records/builder.ts'
import { isBadBatch, RecordCursor } from '../protocol/records/records.ts'
import type { TimestampMs } from '../protocol/types.ts'
import type { LogConfig } from './log-config.ts'

export interface RecordError {
  readonly batchIndex: number
  readonly batchIndexErrorMessage: string
}

export interface Refusal {
  readonly kind: 'refused'
  readonly errorCode: number
  readonly errorMessage: string
  readonly recordErrors: readonly RecordError[]
}

export interface ValidBatch {
  readonly kind: 'valid'
  /** The one batch, to be appended as it is but for base offset and leader epoch; a view on what came, or made anew. */
  readonly batch: Buffer
  /** -1 where the records keep the time of their creation. */
  readonly logAppendTimeMs: TimestampMs
}

export interface ValidationOptions {
  /** Walks the records whether a rule needs it or not. */
  readonly deep?: boolean
}

/** Checks what a client sent for one partition. The bytes may be changed in place, and belong to the log from now on. */
export function validateClientBatch(
  records: Buffer,
  config: LogConfig,
  nowMs: TimestampMs,
  options: ValidationOptions = {}
): ValidBatch | Refusal {
  const found = findBatch(records, config) ?? checkHeader(records)
  if (found !== undefined) return found
  const end = endOfBatch(records, 0)
  const batch = end === records.length ? records : records.subarray(0, end)
  const isWalked = options.deep === true || needsWalk(batch, config, nowMs)
  const walked = isWalked ? walk(batch, config, nowMs) : { batch, maxTimestamp: maxTimestamp(batch, 0) }
  if ('kind' in walked) return walked
  return finish(walked, config, nowMs)
}

/** Zstandard came with Produce 7 (KIP-110): older requests get UNSUPPORTED_COMPRESSION_TYPE. */
export function usesZstd(records: Buffer): boolean {
  return records.length >= BATCH_HEADER_BYTES && CODECS[codecNumber(records, 0)] === 'zstd'
}

function refuse(errorCode: number, errorMessage: string, recordErrors: readonly RecordError[] = []): Refusal {
  return { kind: 'refused', errorCode, errorMessage, recordErrors }
}

const invalid = (message: string): Refusal => refuse(ErrorCode.INVALID_RECORD, message)

/** That the bytes hold exactly one whole batch of magic 2, small enough and undamaged. */
function findBatch(records: Buffer, config: LogConfig): Refusal | undefined {
  try {
    const end = endOfBatch(records, 0)
    if (end < 0) return invalid('a produce request needs one whole record batch for each partition')
    if (magic(records, 0) !== MAGIC)
      return invalid(`record batches of magic ${magic(records, 0)} are not taken any more`)
    if (endOfBatch(records, end) >= 0)
      return invalid('a produce request may hold only one record batch for a partition')
    if (baseOffset(records, 0) !== 0) return invalid(`the base offset is ${baseOffset(records, 0)} and has to be 0`)
    if (end > config.maxMessageBytes) return tooLarge(end, config)
    checkBatch(records, 0)
  } catch (error) {
    if (!isFailure(error, 'ERR_CORRUPT_BATCH')) throw error
    return refuse(ErrorCode.CORRUPT_MESSAGE, error.message)
  }
  return undefined
}

function tooLarge(size: number, config: LogConfig): Refusal {
  const message = `the record batch has ${size} bytes, max.message.bytes is ${config.maxMessageBytes}`
  return refuse(ErrorCode.MESSAGE_TOO_LARGE, message)
}

/** LogValidator.validateBatch. */
function checkHeader(batch: Buffer): Refusal | undefined {
  const count = recordCount(batch, 0)
  const delta = lastOffsetDelta(batch, 0)
  if (count <= 0 || count !== delta + 1) {
    return invalid(`the batch counts ${count} records, and its last offset delta is ${delta}`)
  }
  if (isControl(batch, 0)) return invalid('clients may not write control records')
  const id = producerId(batch, 0)
  if (id >= 0 && baseSequence(batch, 0) < 0) return invalid(`producer ${id} sent no sequence number`)
  if (!Number.isSafeInteger(id)) return invalid('producer ids end at 2^53')
  if (!Number.isSafeInteger(baseTimestamp(batch, 0)) || !Number.isSafeInteger(maxTimestamp(batch, 0))) {
    return refuse(ErrorCode.INVALID_TIMESTAMP, 'timestamps end at 2^53')
  }
  if (CODECS[codecNumber(batch, 0)] === undefined) return invalid(`no codec has number ${codecNumber(batch, 0)}`)
  if (isTransactional(batch, 0)) {
    return refuse(ErrorCode.TRANSACTIONAL_ID_AUTHORIZATION_FAILED, 'this broker does not offer transactions')
  }
  return undefined
}

function targetCodec(batch: Buffer, config: LogConfig): Codec {
  const { compressionType } = config
  if (compressionType === 'producer') return compressionOf(batch, 0)
  return compressionType === 'uncompressed' ? 'none' : compressionType
}

/** Whether a rule can only be kept by looking at each record. */
function needsWalk(batch: Buffer, config: LogConfig, nowMs: TimestampMs): boolean {
  if (config.compacts || targetCodec(batch, config) !== compressionOf(batch, 0)) return true
  const isAppendTime = timestampTypeOf(batch, 0) === 'LogAppendTime'
  if (isAppendTime || config.messageTimestampType === 'LogAppendTime') return isAppendTime
  const largest = maxTimestamp(batch, 0)
  // No honest client sends a largest timestamp below the first one.
  if (largest < baseTimestamp(batch, 0) || largest - nowMs > config.messageTimestampAfterMaxMs) return true
  return config.messageTimestampBeforeMaxMs !== Number.POSITIVE_INFINITY
}

/** A batch whose records are in order, as far as anyone looked. */
interface Checked {
  readonly batch: Buffer
  readonly maxTimestamp: TimestampMs
}

/** LogValidator.validateRecord, for each record; a batch with one bad record is refused whole. */
function walk(batch: Buffer, config: LogConfig, nowMs: TimestampMs): Checked | Refusal {
  const errors = new RecordErrors()
  const fromClient = timestampTypeOf(batch, 0) === 'LogAppendTime' ? maxTimestamp(batch, 0) : undefined
  const base = baseTimestamp(batch, 0)
  let largest = NO_TIMESTAMP
  let isNumbered = true
  try {
    const cursor = new RecordCursor(batch, 0)
    for (let index = 0; cursor.next(); index++) {
      if (config.compacts && cursor.keyLength < 0) errors.add(index, 'a compacted topic takes no record without a key')
      const timestamp = fromClient ?? base + cursor.timestampDelta
      const wrong = timestampError(timestamp, fromClient !== undefined, config, nowMs)
      if (wrong !== undefined) errors.addTimestamp(index, wrong)
      largest = Math.max(largest, base + cursor.timestampDelta)
      isNumbered &&= cursor.offsetDelta === index
    }
    if (errors.list.length > 0) return errors.refusal()
    const codec = targetCodec(batch, config)
    if (isNumbered && codec === compressionOf(batch, 0)) return { batch, maxTimestamp: largest }
    return { batch: rebuild(batch, codec, config), maxTimestamp: largest }
  } catch (error) {
    if (!isBadBatch(error)) throw error
    const code = isFailure(error, 'ERR_TOO_LARGE') ? ErrorCode.MESSAGE_TOO_LARGE : ErrorCode.INVALID_RECORD
    return refuse(code, (error as MoldauError).message)
  }
}

class RecordErrors {
  readonly list: RecordError[] = []
  #isTimestamp = false

  add(batchIndex: number, batchIndexErrorMessage: string): void {
    this.list.push({ batchIndex, batchIndexErrorMessage })
  }

  addTimestamp(batchIndex: number, message: string): void {
    this.#isTimestamp = true
    this.add(batchIndex, message)
  }

  refusal(): Refusal {
    const code = this.#isTimestamp ? ErrorCode.INVALID_TIMESTAMP : ErrorCode.INVALID_RECORD
    const what = this.#isTimestamp ? 'timestamps that their topic does not allow' : 'records that their topic refuses'
    return refuse(code, `the batch has ${what}: ${this.list[0]?.batchIndexErrorMessage}`, this.list)
  }
}

/** LogValidator.validateTimestamp. */
function timestampError(
  timestamp: TimestampMs,
  isAppendTime: boolean,
  config: LogConfig,
  nowMs: TimestampMs
): string | undefined {
  if (!Number.isSafeInteger(timestamp)) return 'a timestamp beyond 2^53'
  if (config.messageTimestampType === 'LogAppendTime') {
    return isAppendTime ? 'only the broker sets the time of append' : undefined
  }
  if (timestamp === NO_TIMESTAMP) return undefined
  const { messageTimestampBeforeMaxMs: before, messageTimestampAfterMaxMs: after } = config
  if (nowMs - timestamp <= before && timestamp - nowMs <= after) return undefined
  return `timestamp ${timestamp} is not within [${nowMs - before}, ${nowMs + after}]`
}

/** The same records, numbered 0, 1, 2 ... and in the codec of the topic. */
function rebuild(batch: Buffer, codec: Codec, config: LogConfig): Buffer {
  const cursor = new RecordCursor(batch, 0)
  const writer = new RecordsWriter(cursor.payload.length + 64)
  let index = 0
  while (cursor.next()) {
    writer.recordOf(cursor.timestampDelta, index++, cursor.payload.subarray(cursor.bodyAt, cursor.end))
  }
  const level =
    codec === 'gzip' ? config.compressionGzipLevel : codec === 'zstd' ? config.compressionZstdLevel : undefined
  return sealBatch(
    {
      partitionLeaderEpoch: partitionLeaderEpoch(batch, 0),
      compression: codec,
      ...(level === undefined ? {} : { level }),
      producerId: producerId(batch, 0),
      producerEpoch: producerEpoch(batch, 0),
      baseSequence: baseSequence(batch, 0)
    },
    {
      lastOffsetDelta: index - 1,
      baseTimestamp: baseTimestamp(batch, 0),
      maxTimestamp: maxTimestamp(batch, 0),
      recordCount: index
    },
    writer.written
  )
}

/** Sets time and type where the topic wants others than the batch says, and checks the size that came out. */
function finish(
  { batch, maxTimestamp: largest }: Checked,
  config: LogConfig,
  nowMs: TimestampMs
): ValidBatch | Refusal {
  if (batch.length > config.maxMessageBytes) return tooLarge(batch.length, config)
  if (batch.length > config.segmentBytes) {
    const message = `the record batch has ${batch.length} bytes, segment.bytes is ${config.segmentBytes}`
    return refuse(ErrorCode.RECORD_LIST_TOO_LARGE, message)
  }
  const type = config.messageTimestampType
  const timestamp = type === 'LogAppendTime' ? nowMs : largest
  if (timestamp !== maxTimestamp(batch, 0) || type !== timestampTypeOf(batch, 0) || hasDeleteHorizon(batch, 0)) {
    setMaxTimestampAndType(batch, 0, timestamp, type)
  }
  return { kind: 'valid', batch, logAppendTimeMs: type === 'LogAppendTime' ? nowMs : NO_TIMESTAMP }
}
