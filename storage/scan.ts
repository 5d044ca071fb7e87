// Walking the batches of a segment file in slices: each slice holds whole batches and is read with one system call; the
// event loop runs between slices, but for small ones that the caller wants at once. The structure is followed, nothing is
// verified: that is the caller's part.
import { BATCH_HEADER_BYTES, sizeInBytes } from '../protocol/records/batch.ts'
import type { Files } from './files.ts'

const SLICE_BYTES = 1024 * 1024

/** Whole batches as they lie in the file at `position`. */
export interface Slice {
  readonly buffer: Buffer
  readonly position: number
}

/** Slices of whole batches from `from` up to `upto`; ends early where a length makes no sense or a batch is cut off. */
export async function* slicesOf(
  files: Files,
  fd: number,
  from: number,
  upto: number,
  sliceBytes = SLICE_BYTES,
  atOnceBytes = 0
): AsyncGenerator<Slice, void, undefined> {
  let position = from
  let wanted = sliceBytes
  while (upto - position >= BATCH_HEADER_BYTES) {
    const size = Math.min(wanted, upto - position)
    const isSmall = size <= atOnceBytes
    const buffer = isSmall ? Buffer.allocUnsafe(size) : Buffer.allocUnsafeSlow(size)
    const read = isSmall ? files.readSync(fd, buffer, position) : await files.read(fd, buffer, position)
    const bytes = buffer.subarray(0, read)
    const whole = wholeBytes(bytes)
    if (whole > 0) {
      yield { buffer: bytes.subarray(0, whole), position }
      position += whole
      wanted = sliceBytes
      continue
    }
    if (read < BATCH_HEADER_BYTES) return
    wanted = sizeInBytes(bytes, 0)
    if (wanted < BATCH_HEADER_BYTES || wanted <= read || wanted > upto - position) return
  }
}

/** How many bytes at the start of `bytes` are whole batches by their lengths. */
export function wholeBytes(bytes: Buffer): number {
  let end = 0
  while (bytes.length - end >= BATCH_HEADER_BYTES) {
    const size = sizeInBytes(bytes, end)
    if (size < BATCH_HEADER_BYTES || size > bytes.length - end) break
    end += size
  }
  return end
}

/** Positions of the batches in bytes that `wholeBytes` measured. */
export function* positionsIn(bytes: Buffer): Generator<number, void, undefined> {
  for (let at = 0; at < bytes.length; at += sizeInBytes(bytes, at)) yield at
}
