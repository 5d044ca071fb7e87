// Cuts a stream of received bytes into size-prefixed frames. The bytes of a chunk are the stream's again when its
// listener returns (network.ts), so each frame gets memory of its own: from the pool where the one who takes frames says
// that he keeps no slice of them, else fresh. Memory for a large frame grows with the bytes that come, unless there is
// room for it as a whole: it is never taken on the word of a size that the peer only claims.
import { MoldauError } from '../../protocol/failure.ts'
import { memoryPool } from '../../protocol/memory-pool.ts'

const SIZE_BYTES = 4
/** Size, and the two bytes that say what a request is. */
const HEAD_BYTES = 6
/** A frame up to this size gets its memory at once. */
const TRUSTED_BYTES = 1024 * 1024
/** With room for a frame, its memory is taken as a whole once this share of it has come. */
const MEANT_SHARE = 16
const NOTHING = Buffer.alloc(0)

export interface FrameOptions {
  /** socket.request.max.bytes */
  readonly maxBytes: number
  /** Whether frames that begin with this int16 (a request's API key) lie in pooled memory. Such a frame is good until the
   *  next call of this reader: whoever keeps slices of it holds their slab. Every other frame is the caller's. */
  readonly isPooled?: (firstInt16: number) => boolean
  /** Whether a frame of this size, of which a part is here, may get its memory at once. */
  readonly hasRoom?: (size: number) => boolean
}

export class FrameReader {
  readonly #o: FrameOptions
  /** Bytes that are not in a frame yet, from `#at` on; the stream's own until `keep`. */
  #rest: Buffer = NOTHING
  #at = 0
  #isRestOurs = true
  /** The frame that is being filled: its size, and as much memory as its bytes needed so far. */
  #size = -1
  #frame: Buffer = NOTHING
  #filled = 0
  #isFramePooled = false
  /** A pooled frame that was given out. */
  #given: Buffer | null = null
  /** Whose bytes come slowly fills memory of its own. */
  readonly #leave = (): void => {
    if (this.#size < 0 || !this.#isFramePooled) return
    const before = this.#frame
    const slab = memoryPool.slabOf(before)
    // A slab of its own is in nobody's way.
    if (slab !== null && slab.bytes.length < 2 * before.length) return
    this.#isFramePooled = false
    this.#frame = Buffer.allocUnsafeSlow(before.length)
    before.copy(this.#frame, 0, 0, this.#filled)
    slab?.letGo()
  }

  constructor(options: FrameOptions) {
    this.#o = options
  }

  get bufferedBytes(): number {
    return this.#rest.length - this.#at + (this.#size < 0 ? 0 : this.#filled)
  }

  push(chunk: Buffer): void {
    this.#letGo()
    if (chunk.length === 0) return
    const from = this.#size < 0 ? 0 : this.#fill(chunk, 0)
    if (from === chunk.length) return
    if (this.#at < this.#rest.length) {
      this.#rest = Buffer.concat([this.#rest.subarray(this.#at), chunk.subarray(from)])
      this.#at = 0
      this.#isRestOurs = true
      return
    }
    this.#rest = chunk
    this.#at = from
    this.#isRestOurs = false
  }

  /** The next whole frame without its size, or null. Throws ERR_MALFORMED for a size that no request may have. */
  next(): Buffer | null {
    this.#letGo()
    if (this.#size < 0 && !this.#begin()) return null
    if (this.#filled < this.#size) return null
    const frame = this.#frame
    if (this.#isFramePooled) {
      memoryPool.offFull(this.#leave)
      this.#given = frame
    }
    this.#size = -1
    this.#frame = NOTHING
    return frame
  }

  /** Before the listener of a chunk returns: what is left of it is copied. */
  keep(): void {
    this.#letGo()
    if (this.#size >= 0 && this.#isFramePooled) memoryPool.onFull(this.#leave)
    if (this.#at === this.#rest.length) {
      this.#rest = NOTHING
      this.#at = 0
    } else if (!this.#isRestOurs) {
      this.#rest = Buffer.from(this.#rest.subarray(this.#at))
      this.#at = 0
    }
    this.#isRestOurs = true
  }

  /** No more will be read. */
  close(): void {
    this.#letGo()
    memoryPool.offFull(this.#leave)
    if (this.#size >= 0 && this.#isFramePooled) memoryPool.letGo(this.#frame)
    this.#size = -1
    this.#frame = this.#rest = NOTHING
    this.#at = this.#filled = 0
    this.#isRestOurs = true
  }

  #letGo(): void {
    if (this.#given === null) return
    memoryPool.letGo(this.#given)
    this.#given = null
  }

  /** Begins the next frame with what is here of it; false while its head is not. */
  #begin(): boolean {
    const available = this.#rest.length - this.#at
    if (available < SIZE_BYTES) return false
    const size = checkedSize(this.#rest.readInt32BE(this.#at), this.#o.maxBytes)
    if (size >= 2 && available < HEAD_BYTES) return false
    const here = Math.min(size, available - SIZE_BYTES)
    this.#isFramePooled = size >= 2 && this.#o.isPooled?.(this.#rest.readInt16BE(this.#at + SIZE_BYTES)) === true
    this.#size = size
    this.#filled = 0
    this.#frame = this.#memory(here === size ? size : this.#firstMemory(here))
    this.#at += SIZE_BYTES
    this.#at = this.#fill(this.#rest, this.#at)
    return true
  }

  /** Puts the bytes from `from` on into the frame; gives where those begin that belong to the next. */
  #fill(bytes: Buffer, from: number): number {
    const count = Math.min(bytes.length - from, this.#size - this.#filled)
    const needed = this.#filled + count
    if (needed > this.#frame.length) this.#grow(this.#nextMemory(needed))
    bytes.copy(this.#frame, this.#filled, from, from + count)
    this.#filled = needed
    return from + count
  }

  #firstMemory(here: number): number {
    const { hasRoom } = this.#o
    if (hasRoom?.(this.#size) === false) return here
    return this.#isMeant(here) ? this.#size : Math.min(this.#size, Math.max(TRUSTED_BYTES, here))
  }

  /** Enough of it is here for the rest to be believed: most peers who claim much and send little get little. */
  #isMeant(here: number): boolean {
    return this.#o.hasRoom !== undefined && here >= this.#size / MEANT_SHARE
  }

  #nextMemory(needed: number): number {
    if (this.#isMeant(needed) && this.#o.hasRoom?.(this.#size)) return this.#size
    return Math.min(this.#size, Math.max(needed, 2 * this.#frame.length))
  }

  #grow(size: number): void {
    const before = this.#frame
    // The pool may end a slab for this: it must not tell a frame to leave that is on its way.
    if (this.#isFramePooled) memoryPool.offFull(this.#leave)
    this.#frame = this.#memory(size)
    before.copy(this.#frame, 0, 0, this.#filled)
    if (this.#isFramePooled) memoryPool.letGo(before)
  }

  #memory(size: number): Buffer {
    return this.#isFramePooled ? memoryPool.take(size) : Buffer.allocUnsafe(size)
  }
}

function checkedSize(size: number, maxBytes: number): number {
  if (size >= 0 && size <= maxBytes) return size
  const foreign = foreignProtocol(size)
  throw new MoldauError(
    'ERR_MALFORMED',
    foreign
      ? `the peer speaks ${foreign}, not Kafka's protocol`
      : `a frame of ${size} bytes is outside of 0 to ${maxBytes} (socket.request.max.bytes)`
  )
}

/** What other protocols put where Kafka has the size: people do point browsers and TLS clients at this port. */
function foreignProtocol(size: number): string | null {
  const head = Buffer.alloc(SIZE_BYTES)
  head.writeInt32BE(size)
  if (/^(GET |POST|PUT |HEAD|DELE|OPTI|PATC|CONN|PRI )/.test(head.toString('latin1'))) return 'HTTP'
  if (head[0] === 0x16 && head[1] === 0x03) return 'TLS'
  return null
}
