// A record batch (magic 2) as a view on bytes: (buffer, position of the batch) -> field. Nothing is copied, no object is
// made, and no length is trusted before `checkBatch` has seen the batch. Layout: Kafka's DefaultRecordBatch.java. Base
// offset and leader epoch lie outside of the checksum, so that a leader rewrites them in place.
import { MoldauError } from '../failure.ts'
import type { LeaderEpoch, Offset, TimestampMs } from '../types.ts'
import { crc32c } from './crc32c.ts'

/** Bytes of base offset and length: what precedes the counted bytes. */
export const LOG_OVERHEAD = 12
export const BATCH_HEADER_BYTES = 61
export const NO_TIMESTAMP = -1
export const NO_PRODUCER_ID = -1
export const NO_SEQUENCE = -1
export const NO_LEADER_EPOCH = -1
export const MAGIC = 2
/** The shortest message of magic 0 or 1; less than that is no batch of any kind (Records.java, LegacyRecord.java). */
const SHORTEST_LEGACY = 14

const MAGIC_AT = 16
const CRC_AT = 17
const ATTRIBUTES_AT = 21
const MAX_TIMESTAMP_AT = 35
const TWO_32 = 2 ** 32
const SEQUENCES = 2 ** 31

const CODEC_MASK = 7
const LOG_APPEND_TIME_BIT = 8
const TRANSACTIONAL_BIT = 16
const CONTROL_BIT = 32
const DELETE_HORIZON_BIT = 64

/** In the order of their numbers in the attributes. */
export const CODECS = ['none', 'gzip', 'snappy', 'lz4', 'zstd'] as const
export type Codec = (typeof CODECS)[number]
export type TimestampType = 'CreateTime' | 'LogAppendTime'

export interface AttributeParts {
  readonly compression?: Codec
  readonly timestampType?: TimestampType
  readonly transactional?: boolean
  readonly control?: boolean
  readonly deleteHorizon?: boolean
}

export function attributesOf(of: AttributeParts): number {
  let bits: number = CODECS.indexOf(of.compression ?? 'none')
  if (of.timestampType === 'LogAppendTime') bits |= LOG_APPEND_TIME_BIT
  if (of.transactional) bits |= TRANSACTIONAL_BIT
  if (of.control) bits |= CONTROL_BIT
  if (of.deleteHorizon) bits |= DELETE_HORIZON_BIT
  return bits
}

function int64(buffer: Buffer, at: number): number {
  return buffer.readInt32BE(at) * TWO_32 + buffer.readUInt32BE(at + 4)
}

/** What came in beyond 2^53 is inexact by now, and stays within 64 bits. */
function putInt64(buffer: Buffer, value: number, at: number): void {
  const high = Math.floor(value / TWO_32)
  if (high > 0x7fffffff) {
    buffer.writeInt32BE(0x7fffffff, at)
    buffer.writeInt32BE(-1, at + 4)
    return
  }
  buffer.writeInt32BE(Math.max(high, -0x80000000), at)
  buffer.writeUInt32BE(value - high * TWO_32, at + 4)
}

// What every magic has.
export const baseOffset = (buffer: Buffer, position: number): Offset => int64(buffer, position)
/** Bytes that follow the length field. */
export const batchLength = (buffer: Buffer, position: number): number => buffer.readInt32BE(position + 8)
export const sizeInBytes = (buffer: Buffer, position: number): number => LOG_OVERHEAD + batchLength(buffer, position)
export const magic = (buffer: Buffer, position: number): number => buffer.readInt8(position + MAGIC_AT)

// What magic 2 has.
export const partitionLeaderEpoch = (buffer: Buffer, position: number): LeaderEpoch => buffer.readInt32BE(position + 12)
export const crc = (buffer: Buffer, position: number): number => buffer.readUInt32BE(position + CRC_AT)
export const attributes = (buffer: Buffer, position: number): number => buffer.readInt16BE(position + ATTRIBUTES_AT)
export const lastOffsetDelta = (buffer: Buffer, position: number): number => buffer.readInt32BE(position + 23)
/** The time that record deltas count from; with a delete horizon it is the horizon (KIP-534). */
export const baseTimestamp = (buffer: Buffer, position: number): TimestampMs => int64(buffer, position + 27)
export const maxTimestamp = (buffer: Buffer, position: number): TimestampMs =>
  int64(buffer, position + MAX_TIMESTAMP_AT)
export const producerId = (buffer: Buffer, position: number): number => int64(buffer, position + 43)
export const producerEpoch = (buffer: Buffer, position: number): number => buffer.readInt16BE(position + 51)
export const baseSequence = (buffer: Buffer, position: number): number => buffer.readInt32BE(position + 53)
export const recordCount = (buffer: Buffer, position: number): number => buffer.readInt32BE(position + 57)

export const lastOffset = (buffer: Buffer, position: number): Offset =>
  baseOffset(buffer, position) + lastOffsetDelta(buffer, position)
/** The codec's number; 5 to 7 have no codec. */
export const codecNumber = (buffer: Buffer, position: number): number => attributes(buffer, position) & CODEC_MASK
export const isTransactional = (buffer: Buffer, position: number): boolean =>
  (attributes(buffer, position) & TRANSACTIONAL_BIT) !== 0
export const isControl = (buffer: Buffer, position: number): boolean =>
  (attributes(buffer, position) & CONTROL_BIT) !== 0
export const hasDeleteHorizon = (buffer: Buffer, position: number): boolean =>
  (attributes(buffer, position) & DELETE_HORIZON_BIT) !== 0
export const timestampTypeOf = (buffer: Buffer, position: number): TimestampType =>
  (attributes(buffer, position) & LOG_APPEND_TIME_BIT) !== 0 ? 'LogAppendTime' : 'CreateTime'

/** A number without a codec is a corrupt batch. */
export function compressionOf(buffer: Buffer, position: number): Codec {
  const codec = CODECS[codecNumber(buffer, position)]
  if (codec === undefined) throw corrupt(`no codec has number ${codecNumber(buffer, position)}`)
  return codec
}

/** Sequences count 0 .. 2^31-1 and then begin at 0 again. */
export const sequenceAfter = (sequence: number, steps: number): number => (sequence + steps) % SEQUENCES
/** Of the last record, gone or not; -1 without a sequence. */
export function lastSequence(buffer: Buffer, position: number): number {
  const first = baseSequence(buffer, position)
  return first < 0 ? NO_SEQUENCE : sequenceAfter(first, lastOffsetDelta(buffer, position))
}

export function setBaseOffset(buffer: Buffer, position: number, offset: Offset): void {
  putInt64(buffer, offset, position)
}

export function setPartitionLeaderEpoch(buffer: Buffer, position: number, epoch: LeaderEpoch): void {
  buffer.writeInt32BE(epoch, position + 12)
}

/** Also clears the delete horizon, which is for the cleaner alone to set; the checksum is made anew. */
export function setMaxTimestampAndType(
  buffer: Buffer,
  position: number,
  timestamp: TimestampMs,
  type: TimestampType
): void {
  const others = attributes(buffer, position) & ~(LOG_APPEND_TIME_BIT | DELETE_HORIZON_BIT)
  buffer.writeInt16BE(type === 'LogAppendTime' ? others | LOG_APPEND_TIME_BIT : others, position + ATTRIBUTES_AT)
  putInt64(buffer, timestamp, position + MAX_TIMESTAMP_AT)
  setCrc(buffer, position)
}

export function setCrc(buffer: Buffer, position: number): void {
  buffer.writeUInt32BE(computeCrc(buffer, position), position + CRC_AT)
}

function computeCrc(buffer: Buffer, position: number): number {
  return crc32c(buffer.subarray(position + ATTRIBUTES_AT, position + sizeInBytes(buffer, position)))
}

export interface BatchHeader {
  readonly baseOffset: Offset
  readonly partitionLeaderEpoch: LeaderEpoch
  readonly attributes: number
  readonly lastOffsetDelta: number
  readonly baseTimestamp: TimestampMs
  readonly maxTimestamp: TimestampMs
  readonly producerId: number
  readonly producerEpoch: number
  readonly baseSequence: number
  readonly recordCount: number
}

/** Fills in the header of the one batch in `buffer`, whose records are in place, and its checksum. */
export function writeHeader(buffer: Buffer, header: BatchHeader): void {
  putInt64(buffer, header.baseOffset, 0)
  buffer.writeInt32BE(buffer.length - LOG_OVERHEAD, 8)
  buffer.writeInt32BE(header.partitionLeaderEpoch, 12)
  buffer.writeInt8(MAGIC, MAGIC_AT)
  buffer.writeInt16BE(header.attributes, ATTRIBUTES_AT)
  buffer.writeInt32BE(header.lastOffsetDelta, 23)
  putInt64(buffer, header.baseTimestamp, 27)
  putInt64(buffer, header.maxTimestamp, MAX_TIMESTAMP_AT)
  putInt64(buffer, header.producerId, 43)
  buffer.writeInt16BE(header.producerEpoch, 51)
  buffer.writeInt32BE(header.baseSequence, 53)
  buffer.writeInt32BE(header.recordCount, 57)
  setCrc(buffer, 0)
}

export function corrupt(what: string): MoldauError {
  return new MoldauError('ERR_CORRUPT_BATCH', what)
}

/** Throws ERR_CORRUPT_BATCH unless a whole batch of magic 2 with a sound checksum begins at `position`. */
export function checkBatch(buffer: Buffer, position: number): void {
  const available = buffer.length - position
  if (available < BATCH_HEADER_BYTES) throw corrupt(`a batch header takes 61 bytes, ${available} are there`)
  if (magic(buffer, position) !== MAGIC) throw corrupt(`magic ${magic(buffer, position)} is not 2`)
  const size = sizeInBytes(buffer, position)
  if (size < BATCH_HEADER_BYTES) throw corrupt(`a batch of ${size} bytes is shorter than its header`)
  if (size > available) throw corrupt(`a batch of ${size} bytes has only ${available}`)
  if (computeCrc(buffer, position) !== crc(buffer, position)) throw corrupt('the checksum is wrong')
}

/** Where the next batch begins, or -1 where what is left is no whole batch (a reader sees nothing there). Throws
 *  ERR_CORRUPT_BATCH where what is left cannot be the beginning of one (ByteBufferLogInputStream.java). */
export function endOfBatch(buffer: Buffer, position: number): number {
  const available = buffer.length - position
  if (available < LOG_OVERHEAD) return -1
  const length = batchLength(buffer, position)
  if (length < SHORTEST_LEGACY) throw corrupt(`a batch cannot have ${length} bytes`)
  if (available <= MAGIC_AT) return -1
  const found = magic(buffer, position)
  if (found < 0 || found > MAGIC) throw corrupt(`magic ${found} does not exist`)
  if (found === MAGIC && length < BATCH_HEADER_BYTES - LOG_OVERHEAD)
    throw corrupt(`a batch cannot have ${length} bytes`)
  return length > available - LOG_OVERHEAD ? -1 : position + LOG_OVERHEAD + length
}

/** The position of each whole batch; ends at a partial tail. Checksums are not looked at. */
export function* batchesOf(buffer: Buffer, from = 0): Generator<number, void, undefined> {
  let position = from
  for (;;) {
    const next = endOfBatch(buffer, position)
    if (next < 0) return
    yield position
    position = next
  }
}
