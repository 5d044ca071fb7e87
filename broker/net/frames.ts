// Cuts a stream of received chunks into size-prefixed frames. Bytes are kept as received and joined once, when the
// frame is whole, so memory is never taken on the word of a length that the peer only claims.
import { MoldauError } from '../../protocol/failure.ts'

const SIZE_BYTES = 4
/** Chunks smaller than this are joined with the one before while that is not larger than the other limit: a peer that
 *  sends byte by byte must not cost a buffer for each. */
const SMALL_CHUNK_BYTES = 1024
const JOINED_BYTES = 16 * 1024

export class FrameReader {
  readonly #maxBytes: number
  #chunks: Buffer[] = []
  #buffered = 0
  /** Size of the frame at the front, -1 while its four bytes are not here. */
  #size = -1

  /** `maxBytes`: socket.request.max.bytes. */
  constructor(maxBytes: number) {
    this.#maxBytes = maxBytes
  }

  get bufferedBytes(): number {
    return this.#buffered
  }

  /** In how many buffers those bytes lie. */
  get pieces(): number {
    return this.#chunks.length
  }

  push(chunk: Buffer): void {
    if (chunk.length === 0) return
    this.#buffered += chunk.length
    const last = this.#chunks.at(-1)
    if (last !== undefined && chunk.length < SMALL_CHUNK_BYTES && last.length < JOINED_BYTES) {
      this.#chunks[this.#chunks.length - 1] = Buffer.concat([last, chunk])
    } else this.#chunks.push(chunk)
  }

  /** The next whole frame without its size, or null. Throws ERR_MALFORMED for a size that no request may have. */
  next(): Buffer | null {
    if (this.#size < 0) {
      if (this.#buffered < SIZE_BYTES) return null
      this.#size = this.#checkedSize(this.#peekSize())
    }
    if (this.#buffered < SIZE_BYTES + this.#size) return null
    const frame = this.#take(SIZE_BYTES + this.#size).subarray(SIZE_BYTES)
    this.#size = -1
    return frame
  }

  #peekSize(): number {
    const first = this.#chunks[0] as Buffer
    if (first.length >= SIZE_BYTES) return first.readInt32BE(0)
    return Buffer.concat(this.#chunks, this.#buffered).readInt32BE(0)
  }

  #checkedSize(size: number): number {
    if (size >= 0 && size <= this.#maxBytes) return size
    const foreign = foreignProtocol(size)
    throw new MoldauError(
      'ERR_MALFORMED',
      foreign
        ? `the peer speaks ${foreign}, not Kafka's protocol`
        : `a frame of ${size} bytes is outside of 0 to ${this.#maxBytes} (socket.request.max.bytes)`
    )
  }

  #take(count: number): Buffer {
    const first = this.#chunks[0] as Buffer
    this.#buffered -= count
    if (first.length === count) {
      this.#chunks.shift()
      return first
    }
    if (first.length > count) {
      this.#chunks[0] = first.subarray(count)
      return first.subarray(0, count)
    }
    const whole = Buffer.allocUnsafeSlow(count)
    let filled = 0
    let used = 0
    while (filled < count) {
      const chunk = this.#chunks[used] as Buffer
      const wanted = Math.min(chunk.length, count - filled)
      chunk.copy(whole, filled, 0, wanted)
      filled += wanted
      if (wanted < chunk.length) this.#chunks[used] = chunk.subarray(wanted)
      else used++
    }
    this.#chunks.splice(0, used)
    return whole
  }
}

/** What other protocols put where Kafka has the size: people do point browsers and TLS clients at this port. */
function foreignProtocol(size: number): string | null {
  const head = Buffer.alloc(SIZE_BYTES)
  head.writeInt32BE(size)
  if (/^(GET |POST|PUT |HEAD|DELE|OPTI|PATC|CONN|PRI )/.test(head.toString('latin1'))) return 'HTTP'
  if (head[0] === 0x16 && head[1] === 0x03) return 'TLS'
  return null
}
