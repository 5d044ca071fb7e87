// CRC-32C (Castagnoli), the checksum of record batches and producer snapshots. The native package is used where it
// was installed (4-8 GB/s); without it a table in JavaScript gives the same values at a tenth of the speed.
import { optional } from './native.ts'

type Checksum = (bytes: Uint8Array, previous?: number) => number

const POLYNOMIAL = 0x82f63b78
let tables: Uint32Array | undefined

/** Eight tables, so that one step takes eight bytes ("slicing by 8"). */
function makeTables(): Uint32Array {
  const made = new Uint32Array(8 * 256)
  for (let n = 0; n < 256; n++) {
    let crc = n
    for (let bit = 0; bit < 8; bit++) crc = crc & 1 ? (crc >>> 1) ^ POLYNOMIAL : crc >>> 1
    made[n] = crc >>> 0
  }
  for (let n = 256; n < made.length; n++) {
    const shorter = made[n - 256] as number
    made[n] = (shorter >>> 8) ^ (made[shorter & 255] as number)
  }
  return made
}

/** The same checksum without native code. */
export function crc32cInJavaScript(bytes: Uint8Array, previous = 0): number {
  tables ??= makeTables()
  const table = tables
  const at = (row: number, byte: number): number => table[row * 256 + byte] as number
  let crc = ~previous
  let i = 0
  for (const wholeEnd = bytes.length - 7; i < wholeEnd; i += 8) {
    const low =
      crc ^
      ((bytes[i] as number) |
        ((bytes[i + 1] as number) << 8) |
        ((bytes[i + 2] as number) << 16) |
        ((bytes[i + 3] as number) << 24))
    crc =
      at(7, low & 255) ^
      at(6, (low >>> 8) & 255) ^
      at(5, (low >>> 16) & 255) ^
      at(4, low >>> 24) ^
      at(3, bytes[i + 4] as number) ^
      at(2, bytes[i + 5] as number) ^
      at(1, bytes[i + 6] as number) ^
      at(0, bytes[i + 7] as number)
  }
  for (; i < bytes.length; i++) crc = at(0, (crc ^ (bytes[i] as number)) & 255) ^ (crc >>> 8)
  return ~crc >>> 0
}

/** Of `bytes`; `previous` is the checksum of the bytes before them, so that pieces need no joining. */
export const crc32c: Checksum = optional<{ crc32c: Checksum }>('@node-rs/crc32')()?.crc32c ?? crc32cInJavaScript
