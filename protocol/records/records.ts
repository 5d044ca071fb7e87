// The records inside one batch, read one after the other and never all at once. Keys and values are views on the bytes
// of the batch, or on its decompressed bytes. A record that breaks the format is ERR_CORRUPT_BATCH, bad compressed data
// ERR_COMPRESSION, and more than the caller's limit ERR_TOO_LARGE. Format: Kafka's DefaultRecord.java.
import { isFailure } from '../failure.ts'
import type { Offset, TimestampMs } from '../types.ts'
import {
  BATCH_HEADER_BYTES,
  baseOffset,
  baseTimestamp,
  compressionOf,
  corrupt,
  maxTimestamp,
  recordCount,
  sizeInBytes,
  timestampTypeOf
} from './batch.ts'
import { decompress } from './compression.ts'

/** What a batch may grow to: as much as a client could have sent uncompressed (socket.request.max.bytes). */
export const MAX_DECOMPRESSED_BYTES = 104857600

export interface RecordHeader {
  readonly key: string
  readonly value: Buffer | null
}

export interface LogRecord {
  readonly offset: Offset
  readonly timestamp: TimestampMs
  readonly key: Buffer | null
  readonly value: Buffer | null
  readonly headers: RecordHeader[]
}

export interface DecodeLimits {
  /** Of the records when decompressed. */
  readonly maxBytes?: number
}

/** Steps through the records of one batch; the fields are those of the record that `next()` stepped on. For the loops
 *  that need no object a record; `decodeRecords` is the comfortable way. */
export class RecordCursor {
  /** All records, decompressed. */
  readonly payload: Buffer
  /** Where the record begins, its length included, and where it ends. */
  start = 0
  end = 0
  timestampDelta = 0
  offsetDelta = 0
  /** Where what follows the offset delta begins: key, value and headers. */
  bodyAt = 0
  keyAt = 0
  /** -1: no key. */
  keyLength = -1
  valueAt = 0
  /** -1: no value (in a compacted topic a tombstone). */
  valueLength = -1
  headersAt = 0
  headerCount = 0
  readonly #count: number
  #seen = 0
  #at = 0
  /** Reading beyond it is an error: the end of the record, or of the payload while its length is read. */
  #limit = 0

  constructor(buffer: Buffer, position: number, limits: DecodeLimits = {}) {
    const body = buffer.subarray(position + BATCH_HEADER_BYTES, position + sizeInBytes(buffer, position))
    const codec = compressionOf(buffer, position)
    this.#count = recordCount(buffer, position)
    if (this.#count < 0) throw corrupt(`a batch cannot have ${this.#count} records`)
    // Kafka's cleaner writes emptied batches without a payload, whatever their codec.
    const isPlain = codec === 'none' || (this.#count === 0 && body.length === 0)
    this.payload = isPlain ? body : decompress(codec, body, limits.maxBytes ?? MAX_DECOMPRESSED_BYTES)
  }

  /** False after the last record, once it is sure that nothing follows it. */
  next(): boolean {
    const payload = this.payload
    if (this.#seen === this.#count) {
      if (this.end !== payload.length) throw corrupt(`${payload.length - this.end} bytes follow the last record`)
      return false
    }
    this.start = this.end
    this.#at = this.start
    this.#limit = payload.length
    const length = this.#varint()
    if (length < 0 || length > payload.length - this.#at) {
      throw corrupt(`record ${this.#seen} of ${this.#count} has ${length} bytes, ${payload.length - this.#at} are left`)
    }
    this.end = this.#limit = this.#at + length
    this.#byte() // Attributes: all bits unused.
    this.timestampDelta = this.#varlong()
    this.offsetDelta = this.#varint()
    this.bodyAt = this.#at
    this.keyLength = this.#length()
    this.keyAt = this.#skip(this.keyLength)
    this.valueLength = this.#length()
    this.valueAt = this.#skip(this.valueLength)
    this.headerCount = this.#varint()
    this.headersAt = this.#at
    if (this.headerCount < 0) throw corrupt(`a record cannot have ${this.headerCount} headers`)
    this.#skipHeaders()
    if (this.#at !== this.end) throw corrupt(`${this.end - this.#at} bytes of a record are left over`)
    this.#seen++
    return true
  }

  /** Before the first record again; nothing is decompressed twice. */
  rewind(): void {
    this.#seen = 0
    this.start = this.end = 0
  }

  get key(): Buffer | null {
    return this.keyLength < 0 ? null : this.payload.subarray(this.keyAt, this.keyAt + this.keyLength)
  }

  get value(): Buffer | null {
    return this.valueLength < 0 ? null : this.payload.subarray(this.valueAt, this.valueAt + this.valueLength)
  }

  get headers(): RecordHeader[] {
    const headers: RecordHeader[] = []
    this.#at = this.headersAt
    this.#limit = this.end
    for (let i = 0; i < this.headerCount; i++) {
      const keyLength = this.#varint()
      const keyAt = this.#skip(keyLength)
      const length = this.#length()
      const at = this.#skip(length)
      const value = length < 0 ? null : this.payload.subarray(at, at + length)
      headers.push({ key: this.payload.toString('utf8', keyAt, keyAt + keyLength), value })
    }
    return headers
  }

  #skipHeaders(): void {
    for (let i = 0; i < this.headerCount; i++) {
      const keyLength = this.#varint()
      if (keyLength < 0) throw corrupt('a record header has no key')
      this.#skip(keyLength)
      this.#skip(this.#length())
    }
  }

  /** As Kafka: every negative length is null. */
  #length(): number {
    const length = this.#varint()
    return length < 0 ? -1 : length
  }

  #skip(length: number): number {
    const at = this.#at
    if (length > this.#limit - at) throw corrupt(`${length} bytes are due in a record, ${this.#limit - at} are left`)
    if (length > 0) this.#at = at + length
    return at
  }

  #byte(): number {
    if (this.#at >= this.#limit) throw corrupt('a record ends too early')
    return this.payload[this.#at++] as number
  }

  /** Zigzag, at most 5 bytes, shortest form or not (ByteUtils.java). */
  #varint(): number {
    let byte = this.#byte()
    let value = byte & 127
    for (let shift = 7; byte > 127; shift += 7) {
      if (shift > 28) throw corrupt('a varint of more than 5 bytes')
      byte = this.#byte()
      value |= (byte & 127) << shift
    }
    return (value >>> 1) ^ -(value & 1)
  }

  /** Zigzag, at most 10 bytes. What lies beyond 2^53 comes out inexact, and Infinity is impossible: callers that keep
   *  the time check it with Number.isSafeInteger. */
  #varlong(): number {
    let byte = this.#byte()
    const isNegative = (byte & 1) === 1
    let magnitude = (byte & 127) >>> 1
    let scale = 64
    for (let count = 1; byte > 127; count++) {
      if (count === 10) throw corrupt('a varlong of more than 10 bytes')
      byte = this.#byte()
      magnitude += (count === 9 ? byte & 1 : byte & 127) * scale
      scale *= 128
    }
    return isNegative ? -magnitude - 1 : magnitude
  }
}

/** Yields the records of the batch at `position`. A batch that no one has checked may throw after some records. */
export function* decodeRecords(
  buffer: Buffer,
  position: number,
  limits?: DecodeLimits
): Generator<LogRecord, void, undefined> {
  const cursor = new RecordCursor(buffer, position, limits)
  const firstOffset = baseOffset(buffer, position)
  const firstTimestamp = baseTimestamp(buffer, position)
  const appendTime = timestampTypeOf(buffer, position) === 'LogAppendTime' ? maxTimestamp(buffer, position) : undefined
  while (cursor.next()) {
    yield {
      offset: firstOffset + cursor.offsetDelta,
      timestamp: appendTime ?? firstTimestamp + cursor.timestampDelta,
      key: cursor.key,
      value: cursor.value,
      headers: cursor.headers
    }
  }
}

/** Whether an error says that the bytes of a batch are bad, not that something else failed. */
export function isBadBatch(error: unknown): boolean {
  return (
    isFailure(error, 'ERR_CORRUPT_BATCH') || isFailure(error, 'ERR_COMPRESSION') || isFailure(error, 'ERR_TOO_LARGE')
  )
}
