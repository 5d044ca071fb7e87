// One room for all codecs of record batches: gzip, snappy, lz4 and zstd, synchronous, each with a limit on what comes
// out that is known before memory is taken. Damaged data is ERR_COMPRESSION, more than the limit ERR_TOO_LARGE.
import { gunzipSync, gzipSync } from 'node:zlib'
import { MoldauError } from '../failure.ts'
import type { Codec } from './batch.ts'
import { compressLz4, decompressLz4 } from './lz4.ts'
import { compressSnappy, decompressSnappy } from './snappy.ts'
import { compressZstd, decompressZstd, prepareZstd } from './zstd.ts'

export type { Codec }

/** Resolves when every codec can be used. zstd may still be loading in the first milliseconds of a process. */
export function prepareCompression(): Promise<void> {
  return prepareZstd()
}

/** `level` as in compression.gzip.level and compression.zstd.level; snappy has none, lz4 only its default. */
export function compress(codec: Codec, bytes: Buffer, level?: number): Buffer {
  switch (codec) {
    case 'none':
      return bytes
    case 'gzip':
      return level === undefined ? gzipSync(bytes) : gzipSync(bytes, { level })
    case 'snappy':
      return compressSnappy(bytes)
    case 'lz4':
      return compressLz4(bytes)
    case 'zstd':
      return compressZstd(bytes, level)
  }
}

export function decompress(codec: Codec, bytes: Buffer, maxBytes: number): Buffer {
  switch (codec) {
    case 'none':
      return bytes
    case 'gzip':
      return decompressGzip(bytes, maxBytes)
    case 'snappy':
      return decompressSnappy(bytes, maxBytes)
    case 'lz4':
      return decompressLz4(bytes, maxBytes)
    case 'zstd':
      return decompressZstd(bytes, maxBytes)
  }
}

function decompressGzip(bytes: Buffer, maxBytes: number): Buffer {
  try {
    return gunzipSync(bytes, { maxOutputLength: Math.max(1, maxBytes) })
  } catch (error) {
    if ((error as { code?: string }).code === 'ERR_BUFFER_TOO_LARGE') {
      throw new MoldauError('ERR_TOO_LARGE', 'gzip: more bytes than the limit allows')
    }
    throw new MoldauError('ERR_COMPRESSION', 'gzip: the data is damaged', { cause: error })
  }
}
