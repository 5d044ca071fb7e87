// LZ4 frames as Kafka's Java client takes them (KafkaLZ4BlockInputStream.java): version 1, independent blocks. The frame
// is walked before anything is decompressed: the native package has no limit on what comes out, this does.
import { MoldauError } from '../failure.ts'
import { optional } from './native.ts'

const MAGIC = 0x184d2204
const UNCOMPRESSED_BIT = 0x80000000
/** FLG: version 1, independent blocks. BD: blocks of at most 64 KB, as KafkaLZ4BlockOutputStream. */
const OUR_FLAGS = 0x60
const OUR_BLOCK_SIZE = 0x40
const OUR_BLOCK_BYTES = 65536
const MIN_MATCH = 4

interface Native {
  compressFrameSync(data: Buffer): Buffer
  decompressFrameSync(data: Buffer): Buffer
}

interface Block {
  readonly bytes: Buffer
  readonly isCompressed: boolean
}

interface Frame {
  readonly blocks: Block[]
  readonly maxBlockBytes: number
  /** Where the frame ends; Kafka ignores what follows. */
  readonly end: number
}

const native = optional<Native>('lz4-napi')

function damaged(what: string, cause?: unknown): MoldauError {
  return new MoldauError('ERR_COMPRESSION', `lz4: ${what}`, { cause })
}

export function compressLz4(bytes: Buffer): Buffer {
  return native()?.compressFrameSync(bytes) ?? storedFrame(bytes)
}

export function decompressLz4(bytes: Buffer, maxBytes: number): Buffer {
  const frame = parseFrame(bytes)
  checkSize(frame, maxBytes)
  const use = native()
  if (use === undefined) return decompressInJavaScript(frame, maxBytes)
  try {
    return use.decompressFrameSync(bytes.subarray(0, frame.end))
  } catch (error) {
    throw damaged('the frame is damaged', error)
  }
}

function parseFrame(bytes: Buffer): Frame {
  const need = (at: number, length: number): number => {
    if (at + length > bytes.length) throw damaged('the frame ends too early')
    return at
  }
  if (bytes.readUInt32LE(need(0, 7)) !== MAGIC) throw damaged('the magic is wrong')
  const flags = bytes[4] as number
  const sizeCode = ((bytes[5] as number) >> 4) & 7
  if (flags >> 6 !== 1) throw damaged('the version is not 1')
  if ((flags & 3) !== 0) throw damaged('reserved bits or a dictionary')
  if ((flags & 0x20) === 0) throw damaged('blocks that depend on each other')
  if (sizeCode < 4 || ((bytes[5] as number) & 0x8f) !== 0) throw damaged('the block size is not valid')
  const checksumAt = need(flags & 8 ? 14 : 6, 1)
  if (bytes[checksumAt] !== headerChecksum(bytes.subarray(4, checksumAt))) throw damaged('the header checksum is wrong')
  const maxBlockBytes = 2 ** (8 + 2 * sizeCode)
  const blocks: Block[] = []
  let at = checksumAt + 1
  for (;;) {
    const word = bytes.readUInt32LE(need(at, 4))
    at += 4
    if (word === 0) break
    const size = word % UNCOMPRESSED_BIT
    if (size > maxBlockBytes) throw damaged(`a block of ${size} bytes, at most ${maxBlockBytes} are allowed`)
    need(at, size)
    blocks.push({ bytes: bytes.subarray(at, at + size), isCompressed: word < UNCOMPRESSED_BIT })
    at += size + (flags & 0x10 ? 4 : 0)
  }
  at += flags & 4 ? 4 : 0
  return { blocks, maxBlockBytes, end: need(at, 0) }
}

/** Counts what comes out only where the sum of the largest possible blocks would break the limit. */
function checkSize(frame: Frame, maxBytes: number): void {
  if (frame.blocks.length * frame.maxBlockBytes <= maxBytes) return
  let total = 0
  for (const block of frame.blocks) {
    total += block.isCompressed ? decompressedSize(block.bytes) : block.bytes.length
    if (total > maxBytes) throw new MoldauError('ERR_TOO_LARGE', 'lz4: more bytes than the limit allows')
  }
}

/** Steps over the sequences of a block: literals are skipped, matches counted. */
function decompressedSize(block: Buffer): number {
  let at = 0
  let size = 0
  const extended = (length: number): number => {
    let sum = length
    if (length !== 15) return sum
    for (let byte = 255; byte === 255; sum += byte) {
      if (at >= block.length) throw damaged('a block ends too early')
      byte = block[at++] as number
    }
    return sum
  }
  while (at < block.length) {
    const token = block[at++] as number
    const literals = extended(token >> 4)
    at += literals
    size += literals
    if (at >= block.length) break
    at += 2
    size += extended(token & 15) + MIN_MATCH
  }
  return size
}

function decompressInJavaScript(frame: Frame, maxBytes: number): Buffer {
  let total = 0
  const parts = frame.blocks.map(block => {
    const part = block.isCompressed ? decompressBlock(block.bytes, frame.maxBlockBytes) : block.bytes
    total += part.length
    if (total > maxBytes) throw new MoldauError('ERR_TOO_LARGE', 'lz4: more bytes than the limit allows')
    return part
  })
  return parts.length === 1 ? (parts[0] as Buffer) : Buffer.concat(parts)
}

function decompressBlock(block: Buffer, maxBytes: number): Buffer {
  const size = decompressedSize(block)
  if (size > maxBytes) throw damaged(`a block grows to ${size} bytes, at most ${maxBytes} are allowed`)
  const out = Buffer.allocUnsafe(size)
  let at = 0
  let length = 0
  const extended = (short: number): number => {
    let sum = short
    if (short !== 15) return sum
    for (let byte = 255; byte === 255; sum += byte) byte = block[at++] as number
    return sum
  }
  while (at < block.length) {
    const token = block[at++] as number
    const literals = extended(token >> 4)
    if (literals > block.length - at) throw damaged('a literal is too long')
    block.copy(out, length, at, at + literals)
    at += literals
    length += literals
    if (at === block.length) break
    if (at + 2 > block.length) throw damaged('a block ends too early')
    const back = block.readUInt16LE(at)
    at += 2
    const end = length + extended(token & 15) + MIN_MATCH
    if (back === 0 || back > length) throw damaged('a match points out of the block')
    for (; length < end; length++) out[length] = out[length - back] as number
  }
  return out
}

/** Sound, though not smaller: every block stored as it is. */
function storedFrame(bytes: Buffer): Buffer {
  const head = Buffer.from([4, 34, 77, 24, OUR_FLAGS, OUR_BLOCK_SIZE, 0])
  head[6] = headerChecksum(head.subarray(4, 6))
  const parts: Buffer[] = [head]
  for (let from = 0; from < bytes.length; from += OUR_BLOCK_BYTES) {
    const block = bytes.subarray(from, from + OUR_BLOCK_BYTES)
    const word = Buffer.allocUnsafe(4)
    word.writeUInt32LE(block.length + UNCOMPRESSED_BIT)
    parts.push(word, block)
  }
  return Buffer.concat([...parts, Buffer.alloc(4)])
}

/** The second byte of xxHash32 with seed 0, for fewer than 16 bytes. */
function headerChecksum(bytes: Buffer): number {
  const rotated = (value: number, by: number): number => (value << by) | (value >>> (32 - by))
  let hash = (0x165667b1 + bytes.length) | 0
  let at = 0
  for (; at + 4 <= bytes.length; at += 4) {
    hash = Math.imul(rotated((hash + Math.imul(bytes.readInt32LE(at), 0xc2b2ae3d)) | 0, 17), 0x27d4eb2f)
  }
  for (; at < bytes.length; at++) {
    hash = Math.imul(rotated((hash + Math.imul(bytes[at] as number, 0x165667b1)) | 0, 11), 0x9e3779b1)
  }
  hash = Math.imul(hash ^ (hash >>> 15), 0x85ebca77)
  hash = Math.imul(hash ^ (hash >>> 13), 0xc2b2ae3d)
  return ((hash ^ (hash >>> 16)) >>> 8) & 255
}

/** The ways without the native package. */
export const inJavaScript = {
  compress: storedFrame,
  decompress: (bytes: Buffer, maxBytes: number): Buffer => decompressInJavaScript(parseFrame(bytes), maxBytes)
}
