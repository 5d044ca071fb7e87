// Writes one record batch (magic 2): what the coordinators, the metadata log, tools and tests append. What a client sent
// is never built again, unless its topic asks for another codec.
import { MoldauError } from '../failure.ts'
import type { LeaderEpoch, Offset, TimestampMs } from '../types.ts'
import {
  attributesOf,
  BATCH_HEADER_BYTES,
  type Codec,
  NO_LEADER_EPOCH,
  NO_PRODUCER_ID,
  NO_SEQUENCE,
  NO_TIMESTAMP,
  type TimestampType,
  writeHeader
} from './batch.ts'
import { compress } from './compression.ts'

export interface RecordDraft {
  readonly timestamp: TimestampMs
  readonly key: Uint8Array | null
  readonly value: Uint8Array | null
  readonly headers?: readonly { readonly key: string; readonly value: Uint8Array | null }[]
  /** From the base offset; by default the record's place in the list. */
  readonly offsetDelta?: number
}

export interface BatchDraft {
  readonly baseOffset?: Offset
  readonly partitionLeaderEpoch?: LeaderEpoch
  readonly compression?: Codec
  readonly level?: number
  readonly timestampType?: TimestampType
  /** With LogAppendTime: the time of all records. By default the largest of theirs. */
  readonly maxTimestamp?: TimestampMs
  readonly producerId?: number
  readonly producerEpoch?: number
  readonly baseSequence?: number
  readonly transactional?: boolean
  readonly control?: boolean
  /** Set by the cleaner: when the tombstones in here may go (KIP-534). */
  readonly deleteHorizonMs?: TimestampMs
  /** By default that of the last record; more where the cleaner took records away. */
  readonly lastOffsetDelta?: number
  readonly records: readonly RecordDraft[]
}

/** Bytes that grow: records of any size, one after the other. */
export class RecordsWriter {
  #bytes: Buffer
  #length = 0

  constructor(sizeHint = 256) {
    this.#bytes = Buffer.allocUnsafe(sizeHint)
  }

  get sizeInBytes(): number {
    return this.#length
  }

  /** A view on what was written. */
  get written(): Buffer {
    return this.#bytes.subarray(0, this.#length)
  }

  record(timestampDelta: number, offsetDelta: number, draft: RecordDraft): void {
    const { key, value, headers = [] } = draft
    let size = 1 + sizeOfVarlong(timestampDelta) + sizeOfVarint(offsetDelta)
    size += sizeOfBytes(key) + sizeOfBytes(value) + sizeOfVarint(headers.length)
    const names = headers.map(header => Buffer.from(header.key))
    for (let i = 0; i < headers.length; i++)
      size += sizeOfBytes(names[i] ?? null) + sizeOfBytes(headers[i]?.value ?? null)
    this.#begin(size, timestampDelta, offsetDelta)
    this.#lengthAndBytes(key)
    this.#lengthAndBytes(value)
    this.#varint(headers.length)
    for (let i = 0; i < headers.length; i++) {
      this.#lengthAndBytes(names[i] ?? null)
      this.#lengthAndBytes(headers[i]?.value ?? null)
    }
  }

  /** A record whose key, value and headers are already in their bytes. */
  recordOf(timestampDelta: number, offsetDelta: number, body: Uint8Array): void {
    this.#begin(
      1 + sizeOfVarlong(timestampDelta) + sizeOfVarint(offsetDelta) + body.length,
      timestampDelta,
      offsetDelta
    )
    this.#put(body)
  }

  #begin(size: number, timestampDelta: number, offsetDelta: number): void {
    this.#reserve(size + 5)
    this.#varint(size)
    this.#bytes[this.#length++] = 0
    this.#varlong(timestampDelta)
    this.#varint(offsetDelta)
  }

  #reserve(more: number): void {
    if (this.#length + more <= this.#bytes.length) return
    const larger = Buffer.allocUnsafe(Math.max(this.#length + more, this.#bytes.length * 2))
    this.#bytes.copy(larger, 0, 0, this.#length)
    this.#bytes = larger
  }

  #varint(value: number): void {
    let rest = ((value << 1) ^ (value >> 31)) >>> 0
    while (rest > 127) {
      this.#bytes[this.#length++] = (rest & 127) | 128
      rest >>>= 7
    }
    this.#bytes[this.#length++] = rest
  }

  #varlong(value: number): void {
    if (value >= -0x40000000 && value <= 0x3fffffff) {
      this.#varint(value)
      return
    }
    // Zigzag would need 65 bits of a double: the lowest bit is written apart.
    const magnitude = value < 0 ? -value - 1 : value
    let rest = Math.floor(magnitude / 64)
    this.#bytes[this.#length++] = (magnitude % 64) * 2 + (value < 0 ? 1 : 0) + (rest > 0 ? 128 : 0)
    while (rest > 0) {
      const low = rest % 128
      rest = Math.floor(rest / 128)
      this.#bytes[this.#length++] = low + (rest > 0 ? 128 : 0)
    }
  }

  #lengthAndBytes(bytes: Uint8Array | null): void {
    this.#varint(bytes === null ? -1 : bytes.length)
    if (bytes !== null) this.#put(bytes)
  }

  #put(bytes: Uint8Array): void {
    this.#bytes.set(bytes, this.#length)
    this.#length += bytes.length
  }
}

function sizeOfVarint(value: number): number {
  let rest = ((value << 1) ^ (value >> 31)) >>> 0
  let size = 1
  for (; rest > 127; rest >>>= 7) size++
  return size
}

function sizeOfVarlong(value: number): number {
  let size = 1
  for (let rest = Math.floor((value < 0 ? -value - 1 : value) / 64); rest > 0; rest = Math.floor(rest / 128)) size++
  return size
}

function sizeOfBytes(bytes: Uint8Array | null): number {
  return bytes === null ? 1 : sizeOfVarint(bytes.length) + bytes.length
}

/** A whole batch around records that are written already. */
export function sealBatch(draft: Omit<BatchDraft, 'records'>, header: BatchFrame, records: Buffer): Buffer {
  const codec = draft.compression ?? 'none'
  const body = codec === 'none' || header.recordCount === 0 ? records : compress(codec, records, draft.level)
  const size = BATCH_HEADER_BYTES + body.length
  if (size > 0x7fffffff) throw new MoldauError('ERR_TOO_LARGE', `a batch of ${size} bytes`)
  const batch = Buffer.allocUnsafe(size)
  body.copy(batch, BATCH_HEADER_BYTES)
  writeHeader(batch, {
    baseOffset: draft.baseOffset ?? 0,
    partitionLeaderEpoch: draft.partitionLeaderEpoch ?? NO_LEADER_EPOCH,
    attributes: attributesOf({
      compression: codec,
      timestampType: draft.timestampType ?? 'CreateTime',
      transactional: draft.transactional ?? false,
      control: draft.control ?? false,
      deleteHorizon: draft.deleteHorizonMs !== undefined
    }),
    producerId: draft.producerId ?? NO_PRODUCER_ID,
    producerEpoch: draft.producerEpoch ?? -1,
    baseSequence: draft.baseSequence ?? NO_SEQUENCE,
    ...header
  })
  return batch
}

/** The part of a header that its records decide. */
export interface BatchFrame {
  readonly lastOffsetDelta: number
  readonly baseTimestamp: TimestampMs
  readonly maxTimestamp: TimestampMs
  readonly recordCount: number
}

/** One batch of the given records; a batch without any keeps offsets and sequences, as the cleaner needs. */
export function buildBatch(draft: BatchDraft): Buffer {
  const { records } = draft
  const baseTimestamp = draft.deleteHorizonMs ?? records[0]?.timestamp ?? NO_TIMESTAMP
  const writer = new RecordsWriter()
  let maxTimestamp = NO_TIMESTAMP
  let lastOffsetDelta = -1
  records.forEach((record, index) => {
    const offsetDelta = record.offsetDelta ?? index
    writer.record(record.timestamp - baseTimestamp, offsetDelta, record)
    maxTimestamp = Math.max(maxTimestamp, record.timestamp)
    lastOffsetDelta = Math.max(lastOffsetDelta, offsetDelta)
  })
  const frame = {
    lastOffsetDelta: draft.lastOffsetDelta ?? lastOffsetDelta,
    baseTimestamp,
    maxTimestamp: draft.maxTimestamp ?? maxTimestamp,
    recordCount: records.length
  }
  return sealBatch(draft, frame, writer.written)
}
