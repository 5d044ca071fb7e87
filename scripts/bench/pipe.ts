// One pipelined connection of the load: requests leave as bytes made before, answers come in the order of the requests and
// are looked at where they were received. It costs little, so that two cores are enough for a broker and its load.
import { connect, type Socket } from 'node:net'

const RECEIVE_BYTES = 256 * 1024

/** `frame` is the answer without its size, or its first bytes, and is only good during the call; `size` is the whole. */
export type Answered = (frame: Buffer, size: number) => void

export class Pipe {
  sentBytes = 0
  receivedBytes = 0
  readonly #socket: Socket
  readonly #waiting: Answered[] = []
  /** So much of an answer is kept when it does not come in one piece. */
  readonly #keep: number
  #first = 0
  #size = -1
  #sizeBytes = 0
  #sizeSoFar = 0
  #filled = 0
  #partial: Buffer | null = null
  #isClosed = false

  private constructor(address: string, keep: number) {
    this.#keep = keep
    const at = address.lastIndexOf(':')
    this.#socket = connect({
      host: address.slice(0, at),
      port: Number(address.slice(at + 1)),
      noDelay: true,
      onread: {
        buffer: Buffer.allocUnsafe(RECEIVE_BYTES),
        callback: (length, bytes) => {
          this.#received(bytes as Buffer, length)
          return true
        }
      }
    })
  }

  static async open(address: string, keep = Number.POSITIVE_INFINITY): Promise<Pipe> {
    const pipe = new Pipe(address, keep)
    await new Promise((resolve, reject) => pipe.#socket.once('connect', resolve).once('error', reject))
    const fail = (error: Error) => {
      if (!pipe.#isClosed) throw error
    }
    pipe.#socket.on('error', fail).on('close', () => fail(new Error(`${address} closed the connection`)))
    return pipe
  }

  /** The buffers must stay as they are until the answer has come. */
  send(buffers: readonly Buffer[], answered: Answered): void {
    this.#waiting.push(answered)
    this.write(buffers)
  }

  /** Bytes that nobody answers; `taken` is called when the system has them. */
  write(buffers: readonly Buffer[], taken?: () => void): void {
    const last = buffers.length - 1
    if (last > 0) this.#socket.cork()
    for (let i = 0; i <= last; i++) {
      const buffer = buffers[i] as Buffer
      this.sentBytes += buffer.length
      this.#socket.write(buffer, i === last ? taken : undefined)
    }
    if (last > 0) this.#socket.uncork()
  }

  close(): void {
    this.#isClosed = true
    this.#socket.destroy()
  }

  /** What is sent in answer to one piece leaves in one piece. */
  #received(bytes: Buffer, length: number): void {
    this.receivedBytes += length
    this.#socket.cork()
    for (let at = 0; at < length; ) at = this.#size < 0 ? this.#readSize(bytes, at) : this.#readBody(bytes, at, length)
    this.#socket.uncork()
  }

  #readSize(bytes: Buffer, at: number): number {
    this.#sizeSoFar = this.#sizeSoFar * 256 + (bytes[at] as number)
    if (++this.#sizeBytes === 4) {
      this.#size = this.#sizeSoFar
      this.#sizeBytes = 0
      this.#sizeSoFar = 0
    }
    return at + 1
  }

  #readBody(bytes: Buffer, at: number, length: number): number {
    const size = this.#size
    if (this.#partial === null && length - at >= size) {
      this.#deliver(bytes.subarray(at, at + size), size)
      return at + size
    }
    this.#partial ??= Buffer.allocUnsafe(Math.min(size, this.#keep))
    const taken = Math.min(length - at, size - this.#filled)
    if (this.#filled < this.#partial.length) bytes.copy(this.#partial, this.#filled, at, at + taken)
    this.#filled += taken
    if (this.#filled === size) {
      const partial = this.#partial
      this.#partial = null
      this.#filled = 0
      this.#deliver(partial, size)
    }
    return at + taken
  }

  #deliver(frame: Buffer, size: number): void {
    this.#size = -1
    const answered = this.#waiting[this.#first]
    if (answered === undefined) throw new Error('an answer that nobody asked for')
    this.#waiting[this.#first++] = NOBODY
    if (this.#first === this.#waiting.length || this.#first > 1024) {
      this.#waiting.splice(0, this.#first)
      this.#first = 0
    }
    answered(frame, size)
  }
}

const NOBODY: Answered = () => {}
