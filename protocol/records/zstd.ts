// Zstandard: node:zlib where it has it (Node 22.15 and later), else WebAssembly, which takes about 10 ms to load.
// The WebAssembly package believes the size that a frame declares: the frame is walked first.
import zlib from 'node:zlib'
import { MoldauError } from '../failure.ts'

const MAGIC = 0xfd2fb528
const SKIPPABLE = 0x184d2a50
const MAX_BLOCK_BYTES = 131072
/** Kafka's default level, and zstd's. */
const DEFAULT_LEVEL = 3

interface Engine {
  compress(bytes: Buffer, level: number): Buffer
  decompress(bytes: Buffer, maxBytes: number): Buffer
}

/** What @types/node of Node 20 does not know yet. */
interface ZlibWithZstd {
  zstdCompressSync(bytes: Buffer, options: { params: Record<number, number> }): Buffer
  zstdDecompressSync(bytes: Buffer, options: { maxOutputLength: number }): Buffer
  constants: { ZSTD_c_compressionLevel: number }
}

function damaged(what: string, cause?: unknown): MoldauError {
  return new MoldauError('ERR_COMPRESSION', `zstd: ${what}`, { cause })
}

function tooLarge(): MoldauError {
  return new MoldauError('ERR_TOO_LARGE', 'zstd: more bytes than the limit allows')
}

function engineOfNode(): Engine | undefined {
  if (!('zstdDecompressSync' in zlib)) return undefined
  const own = zlib as unknown as ZlibWithZstd
  return {
    compress: (bytes, level) =>
      own.zstdCompressSync(bytes, { params: { [own.constants.ZSTD_c_compressionLevel]: level } }),
    decompress: (bytes, maxBytes) => own.zstdDecompressSync(bytes, { maxOutputLength: Math.max(1, maxBytes) })
  }
}

async function loadWasm(): Promise<Engine> {
  const { init, compress, decompress } = await import('@bokuweb/zstd-wasm')
  await init()
  return {
    compress: (bytes, level) => asBuffer(compress(bytes, level)),
    // At least one byte: the package's allocator gives none for a size of 0.
    decompress: (bytes, maxBytes) => asBuffer(decompress(bytes, { defaultHeapSize: Math.max(1, maxBytes) }))
  }
}

const asBuffer = (bytes: Uint8Array): Buffer => Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength)

let engine = engineOfNode()
let loading: Promise<void> | undefined

/** Resolves when zstd can be used; called once at the broker's start, and where it may not have been. */
export function prepareZstd(): Promise<void> {
  if (engine !== undefined) return Promise.resolve()
  loading ??= loadWasm().then(loaded => {
    engine = loaded
  })
  return loading
}

function ready(): Engine {
  if (engine === undefined) throw damaged('not loaded yet')
  return engine
}

export function compressZstd(bytes: Buffer, level = DEFAULT_LEVEL): Buffer {
  return ready().compress(bytes, level)
}

export function decompressZstd(bytes: Buffer, maxBytes: number): Buffer {
  const largest = largestSize(bytes, maxBytes)
  if (largest > maxBytes && declaredSize(bytes) > maxBytes) throw tooLarge()
  try {
    return ready().decompress(bytes, Math.min(largest, maxBytes))
  } catch (error) {
    if (error instanceof MoldauError) throw error
    // Without a declared size only the attempt says that it would have been more.
    throw largest > maxBytes ? tooLarge() : damaged('the frame is damaged', error)
  }
}

/** Of the first frame; 0 where it does not say. */
function declaredSize(bytes: Buffer): number {
  return frameHeader(bytes, 0).contentSize ?? 0
}

interface FrameHeader {
  readonly end: number
  readonly contentSize: number | undefined
  readonly maxBlockBytes: number
  readonly hasChecksum: boolean
}

function frameHeader(bytes: Buffer, at: number): FrameHeader {
  if (bytes.length - at < 6 || bytes.readUInt32LE(at) !== MAGIC) throw damaged('the magic is wrong')
  const descriptor = bytes[at + 4] as number
  const isSingle = (descriptor & 0x20) !== 0
  const sizeBytes = [isSingle ? 1 : 0, 2, 4, 8][descriptor >> 6] as number
  const dictionaryBytes = [0, 1, 2, 4][descriptor & 3] as number
  const windowAt = at + 5
  const sizeAt = windowAt + (isSingle ? 0 : 1) + dictionaryBytes
  const end = sizeAt + sizeBytes
  if (end > bytes.length) throw damaged('the frame ends too early')
  const contentSize = sizeBytes === 0 ? undefined : contentSizeAt(bytes, sizeAt, sizeBytes)
  const window = isSingle ? (contentSize as number) : windowOf(bytes[windowAt] as number)
  return { end, contentSize, maxBlockBytes: Math.min(window, MAX_BLOCK_BYTES), hasChecksum: (descriptor & 4) !== 0 }
}

function windowOf(byte: number): number {
  const base = 2 ** (10 + (byte >> 3))
  return base + (base / 8) * (byte & 7)
}

function contentSizeAt(bytes: Buffer, at: number, length: number): number {
  if (length === 1) return bytes[at] as number
  if (length === 2) return bytes.readUInt16LE(at) + 256
  const low = bytes.readUInt32LE(at)
  return length === 4 ? low : low + bytes.readUInt32LE(at + 4) * 2 ** 32
}

/** The most that all frames can give, from the headers of their blocks. A frame that declares more is damaged. */
function largestSize(bytes: Buffer, maxBytes: number): number {
  let total = 0
  let at = 0
  do {
    if (bytes.length - at >= 8 && bytes.readUInt32LE(at) - (bytes.readUInt32LE(at) % 16) === SKIPPABLE) {
      at += 8 + bytes.readUInt32LE(at + 4)
      continue
    }
    const header = frameHeader(bytes, at)
    let size = 0
    at = header.end
    for (let isLast = false; !isLast; ) {
      if (bytes.length - at < 3) throw damaged('the frame ends too early')
      const word = bytes.readUIntLE(at, 3)
      isLast = (word & 1) === 1
      const kind = (word >> 1) & 3
      if (kind === 3) throw damaged('a block of a kind that does not exist')
      size += kind === 2 ? header.maxBlockBytes : word >> 3
      at += 3 + (kind === 1 ? 1 : word >> 3)
    }
    at += header.hasChecksum ? 4 : 0
    if (at > bytes.length) throw damaged('the frame ends too early')
    if ((header.contentSize ?? 0) > size)
      throw (header.contentSize as number) > maxBytes ? tooLarge() : damaged('the declared size is wrong')
    total += header.contentSize ?? size
  } while (at < bytes.length)
  return total
}
