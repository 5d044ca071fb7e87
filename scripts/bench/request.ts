// Requests as bytes made before: only what must differ from request to request is patched in place, the correlation id and
// the sequence of an idempotent producer, whose checksum is corrected without reading the batch again.
import { encodeRequest } from '../../protocol/frame.ts'
import { produce } from '../../protocol/messages/produce.ts'
import { sequenceAfter, setCrc } from '../../protocol/records/batch.ts'
import { buildBatch } from '../../protocol/records/builder.ts'
import type { Codec } from '../../protocol/records/compression.ts'

/** Size, key and version come before it. */
export const CORRELATION_ID_AT = 8
/** What comes before the body that all requests share. */
const HEAD_BYTES = 12
/** Larger frames are sent as a head of their own and a body that all share. */
const COPY_UP_TO = 4096
export const PRODUCE_VERSION = 9
const BASE_SEQUENCE_AT = 53
const CRC_AT = 17

let correlationId = 0

/** The bytes of one request that is on its way, on top of a frame that many share. */
export class Slot {
  readonly #head: Buffer
  #frame: Buffer | null = null
  #buffers: readonly Buffer[] = []

  constructor() {
    this.#head = Buffer.allocUnsafe(HEAD_BYTES)
  }

  /** The correlation id of the last `of`. */
  correlationId = 0

  /** `isNew`: the frame's bytes are others than last time. */
  of(frame: Buffer, isNew = false): readonly Buffer[] {
    if (isNew || this.#frame !== frame) {
      this.#frame = frame
      if (frame.length <= COPY_UP_TO) this.#buffers = [Buffer.from(frame)]
      else {
        frame.copy(this.#head, 0, 0, HEAD_BYTES)
        this.#buffers = [this.#head, frame.subarray(HEAD_BYTES)]
      }
    }
    this.correlationId = correlationId = (correlationId + 1) & 0x7fffffff
    this.#buffers[0]?.writeInt32BE(this.correlationId, CORRELATION_ID_AT)
    return this.#buffers
  }

  /** Of an answer: it must be the one to what was sent. */
  check(frame: Buffer): void {
    const answered = frame.readInt32BE(0)
    if (answered !== this.correlationId) throw new Error(`answer ${answered} to request ${this.correlationId}`)
  }
}

export interface BatchShape {
  readonly recordBytes: number
  readonly recordsPerBatch: number
  readonly codec?: Codec
  readonly producerId?: number
  readonly producerEpoch?: number
}

/** Text that a codec makes about three times smaller, as real records are; without one the bytes do not matter. */
function textOf(bytes: number, seed: number): Buffer {
  const value = Buffer.allocUnsafe(bytes)
  let state = seed * 2654435761 + 1
  for (let i = 0; i < bytes; i++) {
    if (i % 16 < 10) value[i] = 'moldau flows '.charCodeAt(i % 13)
    else {
      state = (Math.imul(state, 1103515245) + 12345) & 0x7fffffff
      value[i] = 32 + ((state >>> 16) % 64)
    }
  }
  return value
}

export function batchOf(shape: BatchShape): Buffer {
  const timestamp = Date.now()
  const { codec = 'none', producerId, producerEpoch } = shape
  const records = Array.from({ length: shape.recordsPerBatch }, (_, n) => ({
    timestamp,
    key: null,
    value: textOf(shape.recordBytes, n)
  }))
  const producer = producerId === undefined ? {} : { producerId, producerEpoch: producerEpoch ?? 0, baseSequence: 0 }
  return buildBatch({ records, compression: codec, ...producer })
}

/** A produce request for some partitions of one topic, with the same batch for each. */
export function produceFrame(topic: string, partitions: readonly number[], acks: number, batch: Buffer): Buffer {
  return Buffer.concat(
    encodeRequest(produce, PRODUCE_VERSION, 0, 'bench', {
      acks,
      timeoutMs: 30_000,
      topicData: [{ name: topic, partitionData: partitions.map(index => ({ index, records: batch })) }]
    })
  )
}

/** Where a batch begins in a frame that was made with it; the search is over, one after the other. */
export function placesOf(frame: Buffer, batch: Buffer, count: number): number[] {
  const places: number[] = []
  for (let at = 0; places.length < count; at += batch.length) {
    at = frame.indexOf(batch, at)
    if (at < 0) throw new Error('the batch is not in its frame')
    places.push(at)
  }
  return places
}

/**
 * Sequences of a batch that is sent again and again. CRC-32C is linear: flipping a bit changes the checksum by a constant
 * that depends on the bit's place alone, so that 32 constants, made once, correct it for any sequence.
 */
export class SequencePatch {
  readonly #constants: Uint32Array
  readonly #recordCount: number

  constructor(batch: Buffer, recordCount: number) {
    this.#recordCount = recordCount
    const copy = Buffer.from(batch)
    setCrc(copy, 0)
    const before = copy.readUInt32BE(CRC_AT)
    const sequence = copy.readInt32BE(BASE_SEQUENCE_AT)
    this.#constants = Uint32Array.from({ length: 32 }, (_, bit) => {
      copy.writeInt32BE(sequence ^ (1 << bit), BASE_SEQUENCE_AT)
      setCrc(copy, 0)
      return (copy.readUInt32BE(CRC_AT) ^ before) >>> 0
    })
  }

  /** Gives the batch at this place its sequence; the next one follows. */
  put(frame: Buffer, at: number, sequence: number): number {
    let flipped = frame.readInt32BE(at + BASE_SEQUENCE_AT) ^ sequence
    let crc = frame.readUInt32BE(at + CRC_AT)
    for (let bit = 0; flipped !== 0; bit++, flipped >>>= 1) {
      if (flipped & 1) crc ^= this.#constants[bit] as number
    }
    frame.writeInt32BE(sequence, at + BASE_SEQUENCE_AT)
    frame.writeUInt32BE(crc >>> 0, at + CRC_AT)
    return sequenceAfter(sequence, this.#recordCount)
  }
}
