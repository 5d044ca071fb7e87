// A raw Kafka connection: typed requests out, typed responses back in order, as many in flight as the caller likes. No
// retries, no metadata, no batching: for tests, tools and load, where every byte and every answer must be seen.
import net from 'node:net'
import { FrameReader } from '../broker/net/frames.ts'
import { MoldauError } from '../protocol/failure.ts'
import { decodeResponse, encodeRequest } from '../protocol/frame.ts'
import type { Api, RequestDraft, ResponseOf } from '../protocol/schema.ts'

export interface ConnectionOptions {
  readonly clientId?: string | null
  /** Largest response that is taken. */
  readonly maxResponseBytes?: number
}

/** Behind the frame's size, the key and the version. */
const CORRELATION_AT = 8

interface Waiting {
  readonly correlationId: number
  readonly resolve: (frame: Buffer) => void
  readonly reject: (error: Error) => void
}

export class Connection {
  readonly #socket: net.Socket
  readonly #clientId: string | null
  readonly #reader: FrameReader
  /** Kafka answers the requests of a connection in their order. */
  #waiting: Waiting[] = []
  #waitingFrom = 0
  #nextCorrelationId = 0
  #failure: Error | null = null

  constructor(socket: net.Socket, options: ConnectionOptions = {}) {
    this.#socket = socket
    this.#clientId = options.clientId === undefined ? 'moldau' : options.clientId
    this.#reader = new FrameReader(options.maxResponseBytes ?? 0x7fffffff)
    socket.on('data', chunk => this.#receive(chunk))
    socket.on('error', error => this.#fail(new MoldauError('ERR_CLOSED', error.message, { cause: error })))
    socket.on('close', () => this.#fail(new MoldauError('ERR_CLOSED', 'the broker closed the connection')))
  }

  get inFlight(): number {
    return this.#waiting.length - this.#waitingFrom
  }

  /** Bytes that the system has not taken yet: a sender of load waits for `drained` when it grows. */
  get unsentBytes(): number {
    return this.#socket.writableLength
  }

  /** Sends one request and gives its response. */
  async send<A extends Api>(api: A, version: number, request: RequestDraft<A>): Promise<ResponseOf<A>> {
    const parts = encodeRequest(api, version, this.#correlate(), this.#clientId, request)
    return decodeResponse(api, version, await this.exchange(parts)).body
  }

  /** Sends a request that is never answered: Produce with acks=0. */
  sendOneWay<A extends Api>(api: A, version: number, request: RequestDraft<A>): void {
    this.write(encodeRequest(api, version, this.#correlate(), this.#clientId, request))
  }

  /** Sends a frame made before (its size and header are in the first buffer) and gives the response frame without its
   *  size. The correlation ids of frames made elsewhere may be what they like. */
  exchange(frame: Buffer | readonly Buffer[]): Promise<Buffer> {
    if (this.#failure) return Promise.reject(this.#failure)
    const correlationId = (Buffer.isBuffer(frame) ? frame : (frame[0] as Buffer)).readInt32BE(CORRELATION_AT)
    return new Promise((resolve, reject) => {
      this.#waiting.push({ correlationId, resolve, reject })
      this.write(frame)
    })
  }

  /** Puts bytes on the wire, whatever they are. */
  write(bytes: Buffer | readonly Buffer[]): void {
    if (Buffer.isBuffer(bytes)) {
      this.#socket.write(bytes)
      return
    }
    this.#socket.cork()
    for (const each of bytes) this.#socket.write(each)
    this.#socket.uncork()
  }

  /** Resolves when the system has taken everything that was written. */
  drained(): Promise<void> {
    if (this.#socket.writableLength === 0 || this.#failure) return Promise.resolve()
    return new Promise(resolve => this.#socket.write('', () => resolve()))
  }

  /** Resolves when the connection is gone, with the reason. */
  get closed(): Promise<Error> {
    if (this.#failure) return Promise.resolve(this.#failure)
    return new Promise(resolve => this.#socket.once('close', () => resolve(this.#failure as Error)))
  }

  /** Orderly: what was written is still sent. Requests in flight fail. */
  close(): Promise<Error> {
    const closed = this.closed
    this.#socket.end()
    this.#fail(new MoldauError('ERR_CLOSED', 'the connection was closed'))
    return closed
  }

  /** With a reset, as a process that dies. */
  destroy(): void {
    this.#socket.resetAndDestroy()
    this.#fail(new MoldauError('ERR_CLOSED', 'the connection was closed'))
  }

  #correlate(): number {
    const correlationId = this.#nextCorrelationId
    this.#nextCorrelationId = (correlationId + 1) & 0x7fffffff
    return correlationId
  }

  #receive(chunk: Buffer): void {
    try {
      this.#reader.push(chunk)
      for (let frame = this.#reader.next(); frame !== null; frame = this.#reader.next()) this.#answer(frame)
    } catch (error) {
      this.#fail(error as Error)
      this.#socket.destroy()
    }
  }

  #answer(frame: Buffer): void {
    const waiting = this.#waiting[this.#waitingFrom]
    if (waiting === undefined || frame.length < 4 || frame.readInt32BE(0) !== waiting.correlationId) {
      throw new MoldauError('ERR_MALFORMED', 'a response that answers no request')
    }
    this.#waitingFrom++
    if (this.#waitingFrom === this.#waiting.length) {
      this.#waiting = []
      this.#waitingFrom = 0
    } else if (this.#waitingFrom === 4096) {
      this.#waiting.splice(0, 4096)
      this.#waitingFrom = 0
    }
    waiting.resolve(frame)
  }

  #fail(error: Error): void {
    if (this.#failure) return
    this.#failure = error
    const waiting = this.#waiting.slice(this.#waitingFrom)
    this.#waiting = []
    this.#waitingFrom = 0
    for (const each of waiting) each.reject(error)
  }
}

/** Connects to a broker's listener. Rejects with ERR_CLOSED where none listens. */
export function connect(host: string, port: number, options: ConnectionOptions = {}): Promise<Connection> {
  return new Promise((resolve, reject) => {
    const socket = net.connect({ host, port, noDelay: true })
    const refuse = (error: Error) => reject(new MoldauError('ERR_CLOSED', error.message, { cause: error }))
    socket.once('error', refuse)
    socket.once('connect', () => {
      socket.off('error', refuse)
      resolve(new Connection(socket, options))
    })
  })
}
