// Snappy as Kafka's clients use it: the Java client frames blocks as xerial's SnappyOutputStream does (a 16-byte header,
// then [int32 length][raw block] ...), others send one raw block. Both are read; xerial is written. A block declares how
// long it will be, so that a bomb is refused before any memory is taken.
import { MoldauError } from '../failure.ts'
import { optional } from './native.ts'

const MAGIC = Buffer.from([0x82, 0x53, 0x4e, 0x41, 0x50, 0x50, 0x59, 0x00])
const HEADER = Buffer.concat([MAGIC, Buffer.from([0, 0, 0, 1, 0, 0, 0, 1])])
/** What a frame begins with, read as a block length: a second frame may follow the first. */
const MAGIC_AS_LENGTH = MAGIC.readInt32BE(0)
/** SnappyOutputStream's default. */
const BLOCK_BYTES = 32768
/** Three bytes (a copy with a 2-byte offset) give at most 64. */
const LARGEST_RATIO = 22

interface Native {
  compressSync(input: Uint8Array, options: { copyOutputData: boolean }): Buffer
  uncompressSync(input: Uint8Array, options: { copyOutputData: boolean; asBuffer: boolean }): Buffer
}

const native = optional<Native>('snappy')

function damaged(what: string, cause?: unknown): MoldauError {
  return new MoldauError('ERR_COMPRESSION', `snappy: ${what}`, { cause })
}

export function compressSnappy(bytes: Buffer): Buffer {
  const parts: Buffer[] = [HEADER]
  for (let from = 0; from < bytes.length; from += BLOCK_BYTES) {
    const plain = bytes.subarray(from, from + BLOCK_BYTES)
    // The external memory of the package's other way of returning costs five times more than a copy.
    const block = native()?.compressSync(plain, { copyOutputData: true }) ?? literalBlock(plain)
    const length = Buffer.allocUnsafe(4)
    length.writeInt32BE(block.length)
    parts.push(length, block)
  }
  return Buffer.concat(parts)
}

export function decompressSnappy(bytes: Buffer, maxBytes: number): Buffer {
  if (bytes.length < MAGIC.length || !bytes.subarray(0, MAGIC.length).equals(MAGIC)) {
    checkDeclared(declaredLength(bytes), bytes.length, maxBytes)
    return decompressBlock(bytes)
  }
  const blocks: Buffer[] = []
  let total = 0
  let at = skipHeader(bytes, 0)
  while (at < bytes.length) {
    if (bytes.length - at < 4) throw damaged('it ends within a block length')
    const length = bytes.readInt32BE(at)
    if (length === MAGIC_AS_LENGTH) {
      at = skipHeader(bytes, at)
      continue
    }
    if (length <= 0 || length > bytes.length - at - 4) throw damaged(`a block of ${length} bytes is not there`)
    const block = bytes.subarray(at + 4, at + 4 + length)
    at += 4 + length
    const declared = declaredLength(block)
    total += declared
    checkDeclared(declared, length, maxBytes - total + declared)
    blocks.push(block)
  }
  return blocks.length === 1 ? decompressBlock(blocks[0] as Buffer) : Buffer.concat(blocks.map(decompressBlock))
}

function skipHeader(bytes: Buffer, at: number): number {
  if (bytes.length - at < HEADER.length) throw damaged('it ends within the header')
  if (!bytes.subarray(at, at + MAGIC.length).equals(MAGIC)) throw damaged('the magic of a frame is wrong')
  return at + HEADER.length
}

function checkDeclared(declared: number, compressed: number, maxBytes: number): void {
  if (declared > compressed * LARGEST_RATIO + 64) throw damaged(`${compressed} bytes cannot hold ${declared}`)
  if (declared > maxBytes) throw new MoldauError('ERR_TOO_LARGE', 'snappy: more bytes than the limit allows')
}

function decompressBlock(block: Buffer): Buffer {
  const use = native()
  if (use === undefined) return decompressBlockInJavaScript(block)
  try {
    return use.uncompressSync(block, { copyOutputData: true, asBuffer: true })
  } catch (error) {
    throw damaged('the block is damaged', error)
  }
}

/** The varint that a block begins with, and in the low bits nothing else. */
function declaredLength(block: Buffer): number {
  let value = 0
  for (let i = 0; i < 5; i++) {
    const byte = block[i]
    if (byte === undefined) break
    value += (byte & 127) * 2 ** (7 * i)
    if (byte < 128) return value
  }
  throw damaged('a block does not say how long it is')
}

/** Sound, though not smaller: literals only. */
export function literalBlock(plain: Buffer): Buffer {
  const head: number[] = []
  let rest = plain.length
  for (; rest > 127; rest = Math.floor(rest / 128)) head.push((rest % 128) | 128)
  head.push(rest)
  // Tag 62 in the upper six bits: a literal whose length minus one follows in three bytes.
  const last = plain.length - 1
  head.push(62 << 2, last & 255, (last >> 8) & 255, (last >> 16) & 255)
  return Buffer.concat([Buffer.from(head), plain])
}

export function decompressBlockInJavaScript(block: Buffer): Buffer {
  const out = Buffer.allocUnsafe(declaredLength(block))
  let at = block.findIndex(byte => byte < 128) + 1
  let length = 0
  const bits = (bytes: number): number => {
    if (at + bytes > block.length) throw damaged('the block ends too early')
    let value = 0
    for (let i = 0; i < bytes; i++) value += (block[at++] as number) * 2 ** (8 * i)
    return value
  }
  while (at < block.length) {
    const tag = bits(1)
    const kind = tag & 3
    if (kind === 0) {
      const short = tag >> 2
      const size = (short < 60 ? short : bits(short - 59)) + 1
      if (size > block.length - at || size > out.length - length) throw damaged('a literal is too long')
      block.copy(out, length, at, at + size)
      at += size
      length += size
      continue
    }
    const size = kind === 1 ? ((tag >> 2) & 7) + 4 : (tag >> 2) + 1
    const back = kind === 1 ? (tag >> 5) * 256 + bits(1) : bits(kind === 2 ? 2 : 4)
    if (back === 0 || back > length || size > out.length - length) throw damaged('a copy points out of the block')
    for (const end = length + size; length < end; length++) out[length] = out[length - back] as number
  }
  if (length !== out.length) throw damaged(`the block says ${out.length} bytes and has ${length}`)
  return out
}
