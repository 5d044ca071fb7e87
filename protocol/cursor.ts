// Reading primitives off received bytes. Every length is checked against the bytes left before anything is taken;
// whatever does not fit is a MoldauError ERR_MALFORMED, never another exception.

import { MoldauError } from './failure.ts'
import { INT64_MAX } from './schema.ts'
import { type Uuid, ZERO_UUID } from './types.ts'

const LARGEST = Number.MAX_SAFE_INTEGER
const TWO_32 = 2 ** 32
/** Names of topics, groups, members and clients come again and again: so many of them are kept, up to this length. */
const KNOWN_TEXTS = 1024
const KNOWN_BYTES_MAX = 64
const known: string[] = new Array(KNOWN_TEXTS).fill('')

export function malformed(what: string, position: number): MoldauError {
  return new MoldauError('ERR_MALFORMED', `${what} at byte ${position}`)
}

/** Text of n bytes at a position known to hold them. What was read before is found again, and costs no new string. */
export function textAt(bytes: Buffer, position: number, n: number): string {
  if (n === 0) return ''
  const end = position + n
  if (n > KNOWN_BYTES_MAX) return bytes.toString('utf8', position, end)
  let hash = n
  let bits = 0
  for (let i = position; i < end; i++) {
    const byte = bytes[i] as number
    bits |= byte
    hash = Math.imul(hash ^ byte, 0x01000193)
  }
  if (bits > 127) return bytes.toString('utf8', position, end)
  const slot = (hash ^ (hash >>> 15)) & (KNOWN_TEXTS - 1)
  const candidate = known[slot] as string
  if (isTextAt(candidate, bytes, position, n)) return candidate
  const text = bytes.toString('latin1', position, end)
  known[slot] = text
  return text
}

function isTextAt(text: string, bytes: Buffer, position: number, n: number): boolean {
  if (text.length !== n) return false
  for (let i = 0; i < n; i++) if (text.charCodeAt(i) !== bytes[position + i]) return false
  return true
}

/** The uuid at a position known to hold 16 bytes. */
export function uuidAt(bytes: Buffer, position: number): Uuid {
  // Most absent topic ids are zero: they cost no string.
  if (bytes.readInt32BE(position) === 0 && bytes.readInt32BE(position + 12) === 0) {
    if (bytes.readInt32BE(position + 4) === 0 && bytes.readInt32BE(position + 8) === 0) return ZERO_UUID
  }
  return bytes.toString('base64url', position, position + 16)
}

export class Cursor {
  readonly bytes: Buffer
  readonly end: number
  position: number

  constructor(bytes: Buffer, position = 0) {
    this.bytes = bytes
    this.end = bytes.length
    this.position = position
  }

  get remaining(): number {
    return this.end - this.position
  }

  /** Steps over n bytes and gives where they begin. */
  skip(n: number): number {
    const at = this.position
    if (n < 0 || n > this.end - at) throw malformed(`${n} bytes are due, ${this.end - at} are left`, at)
    this.position = at + n
    return at
  }

  bool(): boolean {
    return this.i8() !== 0
  }

  i8(): number {
    return this.bytes.readInt8(this.skip(1))
  }

  u8(): number {
    return this.bytes.readUInt8(this.skip(1))
  }

  i16(): number {
    return this.bytes.readInt16BE(this.skip(2))
  }

  u16(): number {
    return this.bytes.readUInt16BE(this.skip(2))
  }

  i32(): number {
    return this.bytes.readInt32BE(this.skip(4))
  }

  u32(): number {
    return this.bytes.readUInt32BE(this.skip(4))
  }

  i64(): number {
    const at = this.skip(8)
    const value = this.bytes.readInt32BE(at) * TWO_32 + this.bytes.readUInt32BE(at + 4)
    if (value > LARGEST || value < -LARGEST) throw malformed('an int64 beyond 2^53-1', at)
    return value
  }

  i64max(): number {
    const at = this.position
    if (this.remaining >= 8 && this.bytes.readInt32BE(at) === 0x7fffffff && this.bytes.readInt32BE(at + 4) === -1) {
      this.position = at + 8
      return INT64_MAX
    }
    return this.i64()
  }

  hash64(): bigint {
    return this.bytes.readBigInt64BE(this.skip(8))
  }

  f64(): number {
    return this.bytes.readDoubleBE(this.skip(8))
  }

  uuid(): Uuid {
    return uuidAt(this.bytes, this.skip(16))
  }

  /** Up to 32 bits, 7 a byte, lowest first. As Kafka's ByteUtils: need not be the shortest form, and what the fifth
   *  byte holds beyond bit 31 is dropped; a sixth byte is an error. */
  uvarint(): number {
    const start = this.position
    let value = 0
    for (let shift = 0; shift < 35; shift += 7) {
      const byte = this.u8()
      value |= (byte & 0x7f) << shift
      if (byte < 128) return value >>> 0
    }
    throw malformed('a varint of more than 5 bytes', start)
  }

  /** Zigzag, 32 bits. */
  varint(): number {
    const value = this.uvarint()
    return (value >>> 1) ^ -(value & 1)
  }

  /** Zigzag, 64 bits on the wire, at most 10 bytes; a number beyond 2^53-1 is malformed. */
  varlong(): number {
    const start = this.position
    let byte = this.u8()
    const isNegative = (byte & 1) === 1
    let magnitude = (byte & 0x7f) >>> 1
    let scale = 64
    for (let count = 1; byte > 127; count++) {
      if (count === 10) throw malformed('a varlong of more than 10 bytes', start)
      byte = this.u8()
      magnitude += (count === 9 ? byte & 1 : byte & 0x7f) * scale
      scale *= 128
    }
    const value = isNegative ? -magnitude - 1 : magnitude
    if (value > LARGEST || value < -LARGEST) throw malformed('a varlong beyond 2^53-1', start)
    return value
  }

  /** A view on the next n bytes. */
  take(n: number): Buffer {
    const at = this.skip(n)
    return this.bytes.subarray(at, at + n)
  }

  text(n: number): string {
    return textAt(this.bytes, this.skip(n), n)
  }

  /** The tagged fields at the end of a flexible struct, none of which is known (KIP-482). */
  skipTags(): void {
    for (let count = this.uvarint(); count > 0; count--) {
      this.uvarint()
      this.skip(this.uvarint())
    }
  }
}
