// The asking side of a connection: typed requests out, typed responses back, as many in flight as the caller likes.
// Kafka answers the requests of a connection in their order, so each answer belongs to the oldest request; one that
// does not ends the connection. Links between brokers and the raw client are both this.
import { MoldauError } from '../../protocol/failure.ts'
import { decodeResponse, encodeRequest } from '../../protocol/frame.ts'
import { type Holds, memoryPool } from '../../protocol/memory-pool.ts'
import type { Api, RequestDraft, ResponseOf } from '../../protocol/schema.ts'
import { FrameReader } from './frames.ts'
import { type ByteStream, systemCode } from './network.ts'

export interface ExchangeOptions {
  readonly clientId: string | null
  /** Largest response that is taken. */
  readonly maxResponseBytes: number
  /** Called once, at once, however the connection ends; what was in flight has failed with the same failure. */
  readonly onEnd?: (failure: MoldauError) => void
}

/** A response up to this size gets its memory at once: it comes from whom we have asked. */
const TRUSTED_BYTES = 16 * 1024 * 1024
/** Behind the frame's size, the key and the version. */
const CORRELATION_AT = 8

interface Waiting {
  readonly correlationId: number
  /** Takes the memory of the response, which then is pooled. */
  readonly holds: Holds | undefined
  readonly resolve: (frame: Buffer) => void
  readonly reject: (error: Error) => void
}

export class Exchange {
  readonly #stream: ByteStream
  readonly #o: ExchangeOptions
  readonly #reader: FrameReader
  #waiting: Waiting[] = []
  #waitingFrom = 0
  #nextCorrelationId = 0
  #failure: MoldauError | null = null

  /** The stream may still be connecting: what is sent leaves once it is connected. */
  constructor(stream: ByteStream, options: ExchangeOptions) {
    this.#stream = stream
    this.#o = options
    this.#reader = new FrameReader({
      maxBytes: options.maxResponseBytes,
      isPooled: () => this.#waiting[this.#waitingFrom]?.holds !== undefined,
      hasRoom: size => size <= TRUSTED_BYTES
    })
    stream.on('data', chunk => this.#receive(chunk))
    stream.on('end', () => this.#lost())
    stream.on('error', error => this.fail(failureOf(error)))
    stream.on('close', () => {
      this.#reader.close()
      this.#lost()
    })
  }

  /** Why it ended, or null. */
  get failure(): MoldauError | null {
    return this.#failure
  }

  get inFlight(): number {
    return this.#waiting.length - this.#waitingFrom
  }

  /** Sends one request and gives its response. With `holds` the bytes of the response are good until those are let go;
   *  without, for ever. */
  async send<A extends Api>(api: A, version: number, request: RequestDraft<A>, holds?: Holds): Promise<ResponseOf<A>> {
    const parts = encodeRequest(api, version, this.#correlate(), this.#o.clientId, request)
    return decodeResponse(api, version, await this.exchange(parts, holds)).body
  }

  /** Sends a request that is never answered: Produce with acks=0. */
  sendOneWay<A extends Api>(api: A, version: number, request: RequestDraft<A>): void {
    this.write(encodeRequest(api, version, this.#correlate(), this.#o.clientId, request))
  }

  /** Sends a frame made before (its size and header are in the first buffer) and gives the response frame without its
   *  size. The correlation ids of frames made elsewhere may be what they like. */
  exchange(frame: Buffer | readonly Buffer[], holds?: Holds): Promise<Buffer> {
    if (this.#failure) return Promise.reject(this.#failure)
    const correlationId = (Buffer.isBuffer(frame) ? frame : (frame[0] as Buffer)).readInt32BE(CORRELATION_AT)
    return new Promise((resolve, reject) => {
      this.#waiting.push({ correlationId, holds, resolve, reject })
      this.write(frame)
    })
  }

  /** Puts bytes on the wire, whatever they are. */
  write(bytes: Buffer | readonly Buffer[]): void {
    if (Buffer.isBuffer(bytes)) {
      this.#stream.write(bytes)
      return
    }
    if (bytes.length === 1) {
      this.#stream.write(bytes[0] as Buffer)
      return
    }
    this.#stream.cork()
    for (const each of bytes) this.#stream.write(each)
    this.#stream.uncork()
  }

  /** Everything in flight fails, and whatever is sent from now on. The stream is left as it is. */
  fail(failure: MoldauError): void {
    if (this.#failure) return
    this.#failure = failure
    const waiting = this.#waiting.slice(this.#waitingFrom)
    this.#waiting = []
    this.#waitingFrom = 0
    for (const each of waiting) each.reject(failure)
    this.#o.onEnd?.(failure)
  }

  /** Fails, and ends the stream at once. */
  abandon(failure: MoldauError): void {
    this.fail(failure)
    this.#stream.destroy()
  }

  /** The peer sends no more: what it has not answered it never will. Its last bytes came before this. */
  #lost(): void {
    if (this.#failure) return
    this.abandon(new MoldauError('ERR_DISCONNECTED', 'the broker closed the connection'))
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
      this.#reader.keep()
    } catch (error) {
      this.abandon(error as MoldauError)
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
    if (waiting.holds) memoryPool.hold(frame, waiting.holds)
    waiting.resolve(frame)
  }
}

/** What the system says about a stream, in our words. */
export function failureOf(error: Error): MoldauError {
  const code = systemCode(error) === 'ECONNREFUSED' ? 'ERR_REFUSED' : 'ERR_DISCONNECTED'
  return new MoldauError(code, error.message, { cause: error })
}
