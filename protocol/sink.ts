// Where encoders write: slabs of memory that are filled once and never rewound, so that a slice given out stays true
// for as long as someone holds it. A message that does not fit is begun again in a larger slab: writers throw FULL.

import assert from 'node:assert/strict'
import { MoldauError } from './failure.ts'
import { INT64_MAX } from './schema.ts'

const SLAB_BYTES = 64 * 1024
const TWO_32 = 2 ** 32
/** A message up to this size is one piece: a copy of what is passed on costs less than a gather, or a join later. */
const COPIED_BYTES_MAX = 16 * 1024
/** With less than this left a slab is at its end. */
const ROOM_BYTES = 512

/** Thrown, always this very object, by a writer that needs more room; encoders catch it, enlarge and begin again. */
export const FULL: Error = new Error('the slab is full')

/** Writes a text with its length before it and gives the position behind it. */
export function putText(bytes: Buffer, position: number, limit: number, value: string, compact: boolean): number {
  const n = value.length
  const at = position + (compact ? 1 : 2)
  if (n > 63) return putLongText(bytes, position, limit, value, compact)
  if (at + n > limit) throw FULL
  for (let i = 0; i < n; i++) {
    const char = value.charCodeAt(i)
    if (char > 127) return putLongText(bytes, position, limit, value, compact)
    bytes[at + i] = char
  }
  if (compact) bytes[position] = n + 1
  else {
    bytes[position] = 0
    bytes[position + 1] = n
  }
  return at + n
}

function putLongText(bytes: Buffer, position: number, limit: number, value: string, compact: boolean): number {
  const n = Buffer.byteLength(value)
  // Kafka refuses longer ones in both directions (MessageDataGenerator), in compact form as well.
  if (n > 0x7fff) throw new MoldauError('ERR_TOO_LARGE', `a text of ${n} bytes does not fit a message (32767)`)
  if (position + 5 + n > limit) throw FULL
  const at = compact ? putUvarint(bytes, position, limit, n + 1) : position + 2
  if (!compact) bytes.writeInt16BE(n, position)
  bytes.write(value, at, 'utf8')
  return at + n
}

export function putUvarint(bytes: Buffer, position: number, limit: number, value: number): number {
  if (position + 5 > limit) throw FULL
  let rest = value >>> 0
  while (rest > 127) {
    bytes[position++] = (rest & 0x7f) | 0x80
    rest >>>= 7
  }
  bytes[position++] = rest
  return position
}

export function putUuid(bytes: Buffer, position: number, value: string): void {
  assert(value.length === 22, `not a uuid: ${value}`)
  bytes.write(value, position, 16, 'base64url')
}

/** Writes bytes without a length; the caller wrote that. */
export function putBytes(bytes: Buffer, position: number, limit: number, value: Uint8Array): number {
  if (position + value.length > limit) throw FULL
  bytes.set(value, position)
  return position + value.length
}

/** Closes a tagged field whose content begins one byte behind `at`: writes its size there, moving the content where
 *  one byte does not hold the size. Gives the position behind it. */
export function closeTag(bytes: Buffer, at: number, position: number, limit: number): number {
  const size = position - at - 1
  if (size < 128) {
    bytes[at] = size
    return position
  }
  const width = size < 1 << 14 ? 2 : size < 1 << 21 ? 3 : size < 1 << 28 ? 4 : 5
  if (at + width + size + 5 > limit) throw FULL
  bytes.copyWithin(at + width, at + 1, position)
  putUvarint(bytes, at, limit, size)
  return at + width + size
}

export class Sink {
  bytes: Buffer
  view: DataView
  limit: number
  position = 0
  #message = 0
  #segment = 0
  /** Null while nothing was passed by reference. */
  #parts: Buffer[] | null = null
  /** The next message begins in another slab. */
  #isFull = false

  constructor() {
    this.bytes = Buffer.allocUnsafeSlow(SLAB_BYTES)
    this.view = new DataView(this.bytes.buffer)
    this.limit = SLAB_BYTES
  }

  /** Begins a message, dropping what an abandoned one wrote. */
  begin(): void {
    this.position = this.#message
    this.#segment = this.#message
    this.#parts = null
  }

  /** After FULL: a fresh slab, at least twice what the message had. */
  enlarge(): void {
    this.#slab(Math.max(SLAB_BYTES, 2 * (this.limit - this.#message)))
  }

  /** Bytes that go out as they are: in pieces of their own, or copied where that costs less than a piece. */
  pass(value: Buffer | readonly Buffer[]): void {
    if (this.#takeIn(value)) return
    this.#parts ??= []
    if (this.position > this.#segment) this.#parts.push(this.bytes.subarray(this.#segment, this.position))
    if (Array.isArray(value)) for (const part of value as Buffer[]) this.#parts.push(part)
    else this.#parts.push(value as Buffer)
    this.#segment = this.position
  }

  #takeIn(value: Buffer | readonly Buffer[]): boolean {
    let size = 0
    if (Array.isArray(value)) for (const part of value as Buffer[]) size += part.length
    else size = (value as Buffer).length
    const at = this.position
    if (at - this.#message + size > COPIED_BYTES_MAX) return false
    if (at + size + ROOM_BYTES > this.limit) {
      this.#isFull = true
      return false
    }
    this.position = at + size
    if (Array.isArray(value)) {
      let to = at
      for (const part of value as Buffer[]) {
        this.bytes.set(part, to)
        to += part.length
      }
    } else this.bytes.set(value as Buffer, at)
    return true
  }

  /** Ends the message and gives its bytes, in pieces where some were passed by reference. */
  finish(): Buffer[] {
    let parts = this.#parts
    if (parts === null) parts = [this.bytes.subarray(this.#segment, this.position)]
    else if (this.position > this.#segment) parts.push(this.bytes.subarray(this.#segment, this.position))
    this.#parts = null
    this.#message = this.position
    if (this.#isFull || this.limit - this.position < ROOM_BYTES) this.#slab(SLAB_BYTES)
    return parts
  }

  #slab(size: number): void {
    this.#isFull = false
    this.bytes = Buffer.allocUnsafeSlow(size)
    this.view = new DataView(this.bytes.buffer)
    this.limit = size
    this.#message = 0
  }

  #room(n: number): number {
    const at = this.position
    if (at + n > this.limit) throw FULL
    this.position = at + n
    return at
  }

  i8(value: number): void {
    this.view.setInt8(this.#room(1), value)
  }

  i16(value: number): void {
    this.view.setInt16(this.#room(2), value)
  }

  i32(value: number): void {
    this.view.setInt32(this.#room(4), value)
  }

  i64(value: number): void {
    const at = this.#room(8)
    this.view.setInt32(at, value === INT64_MAX ? 0x7fffffff : Math.floor(value / TWO_32))
    this.view.setUint32(at + 4, value === INT64_MAX ? 0xffffffff : value >>> 0)
  }

  hash64(value: bigint): void {
    this.view.setBigInt64(this.#room(8), value)
  }

  f64(value: number): void {
    this.view.setFloat64(this.#room(8), value)
  }

  uuid(value: string): void {
    putUuid(this.bytes, this.#room(16), value)
  }

  uvarint(value: number): void {
    this.position = putUvarint(this.bytes, this.position, this.limit, value)
  }

  /** Zigzag, 32 bits. */
  varint(value: number): void {
    this.uvarint((value << 1) ^ (value >> 31))
  }

  /** Zigzag, 64 bits on the wire. */
  varlong(value: number): void {
    // The low six bits are kept apart from the rest: twice the value would not be exact beyond 2^52.
    let magnitude = value < 0 ? -(value + 1) : value
    let byte = ((magnitude % 64) << 1) | (value < 0 ? 1 : 0)
    magnitude = Math.floor(magnitude / 64)
    for (; magnitude > 0; magnitude = Math.floor(magnitude / 128)) {
      this.i8(byte | 0x80)
      byte = magnitude % 128
    }
    this.i8(byte)
  }

  text(value: string, compact: boolean): void {
    this.position = putText(this.bytes, this.position, this.limit, value, compact)
  }

  /** What `write` writes, with its size before it: the content of a tagged field. */
  tagged(write: () => void): void {
    const at = this.#room(1)
    write()
    this.position = closeTag(this.bytes, at, this.position, this.limit)
  }

  raw(value: Uint8Array): void {
    this.position = putBytes(this.bytes, this.position, this.limit, value)
  }
}
