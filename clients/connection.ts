// A raw Kafka connection: typed requests out, typed responses back in order, as many in flight as the caller likes. No
// retries, no metadata, no batching: for tests, tools and load, where every byte and every answer must be seen.
import { Exchange, failureOf } from '../broker/net/exchange.ts'
import { type ByteStream, type Network, nodeNetwork } from '../broker/net/network.ts'
import { MoldauError } from '../protocol/failure.ts'

export interface ConnectionOptions {
  readonly clientId?: string | null
  /** Largest response that is taken. */
  readonly maxResponseBytes?: number
}

/** Fails with ERR_DISCONNECTED when the broker ends it, with ERR_CLOSED after an end of our own. */
export class Connection extends Exchange {
  readonly #stream: ByteStream

  constructor(stream: ByteStream, options: ConnectionOptions = {}) {
    const { clientId = 'moldau', maxResponseBytes = 0x7fffffff } = options
    super(stream, { clientId, maxResponseBytes })
    this.#stream = stream
  }

  /** Bytes that the system has not taken yet: a sender of load waits for `drained` when it grows. */
  get unsentBytes(): number {
    return this.#stream.writableLength
  }

  /** Resolves when the system has taken everything that was written. */
  drained(): Promise<void> {
    if (this.#stream.writableLength === 0 || this.failure) return Promise.resolve()
    return new Promise(resolve => this.#stream.write('', () => resolve()))
  }

  /** Resolves when the connection is gone, with the reason. */
  get closed(): Promise<Error> {
    if (this.failure) return Promise.resolve(this.failure)
    return new Promise(resolve => this.#stream.once('close', () => resolve(this.failure as Error)))
  }

  /** Orderly: what was written is still sent. Requests in flight fail. */
  close(): Promise<Error> {
    const closed = this.closed
    this.#stream.end()
    this.fail(new MoldauError('ERR_CLOSED', 'the connection was closed'))
    return closed
  }

  /** With a reset, as a process that dies. */
  destroy(): void {
    this.#stream.resetAndDestroy()
    this.fail(new MoldauError('ERR_CLOSED', 'the connection was closed'))
  }
}

/** Connects to a broker's listener. Rejects with ERR_REFUSED where none listens. */
export function connect(
  host: string,
  port: number,
  { network = nodeNetwork, ...options }: ConnectionOptions & { readonly network?: Network } = {}
): Promise<Connection> {
  return new Promise((resolve, reject) => {
    const stream = network.connect(host, port)
    const refuse = (error: Error) => reject(failureOf(error))
    stream.once('error', refuse)
    stream.once('connect', () => {
      stream.off('error', refuse)
      resolve(new Connection(stream, options))
    })
  })
}
