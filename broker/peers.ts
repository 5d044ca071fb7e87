// How a broker asks another one: one connection, opened when there is something to send, pipelined, and opened again
// by the next request after it ended. What a link learns of its peer's end is told at once, in three words, because
// only some ends are a hint that the process is dead: silence never is.
import { MoldauError } from '../protocol/failure.ts'
import type { Holds } from '../protocol/memory-pool.ts'
import type { Api, RequestDraft, ResponseOf } from '../protocol/schema.ts'
import type { Clock } from './clock.ts'
import { Exchange } from './net/exchange.ts'
import { type Address, type Network, systemCode } from './net/network.ts'

/** refused: nobody listens there. lost: reset, or ended by the peer without our asking. silent: no answer in time. */
export type LinkEnd = 'refused' | 'lost' | 'silent'

export interface PeerLinkOptions {
  readonly network: Network
  readonly clock: Clock
  readonly clientId: string
  /** Asked whenever a connection is opened; null while nobody knows. */
  readonly address: () => Address | null
  /** How long an answer may take, opening the connection included. */
  readonly timeoutMs: () => number
  readonly onDown?: (how: LinkEnd) => void
}

/** Largest answer that is taken: more than any limit of a fetch that brokers ask with. */
const MAX_RESPONSE_BYTES = 0x7fffffff

/** Ends of which a live peer may know nothing: the way to it is broken. */
const SILENT_CODES = new Set([
  'ETIMEDOUT',
  'EHOSTUNREACH',
  'EHOSTDOWN',
  'ENETUNREACH',
  'ENETDOWN',
  'ENOTFOUND',
  'EAI_AGAIN'
])

export class PeerLink {
  readonly #o: PeerLinkOptions
  #exchange: Exchange | null = null
  #isConnected = false
  #isClosed = false

  constructor(options: PeerLinkOptions) {
    this.#o = options
  }

  /** There is a connection, and nothing is known against it. */
  get isConnected(): boolean {
    return this.#isConnected
  }

  /** Rejects with ERR_REFUSED, ERR_DISCONNECTED or ERR_TIMEOUT. A time-out closes the connection, for answers come in
   *  order: what was in flight beside it fails with ERR_DISCONNECTED. With `holds` the bytes of the answer are good until
   *  those are let go. */
  async send<A extends Api>(
    api: A,
    version: number,
    request: RequestDraft<A>,
    timeoutMs: number = this.#o.timeoutMs(),
    holds?: Holds
  ): Promise<ResponseOf<A>> {
    const exchange = this.#exchange ?? this.#open()
    let late: MoldauError | null = null
    const answer = exchange.send(api, version, request, holds)
    const timer = this.#o.clock.after(timeoutMs, () => {
      late = new MoldauError('ERR_TIMEOUT', `no answer to ${api.name} within ${timeoutMs} ms`)
      exchange.abandon(new MoldauError('ERR_DISCONNECTED', 'closed for want of an answer', { cause: late }))
    })
    try {
      return await answer
    } catch (error) {
      throw late ?? error
    } finally {
      timer.cancel()
    }
  }

  #open(): Exchange {
    if (this.#isClosed) throw new MoldauError('ERR_CLOSED', 'the connection was closed')
    const address = this.#o.address()
    if (address === null) throw new MoldauError('ERR_DISCONNECTED', 'the address is not known yet')
    const stream = this.#o.network.connect(address.host, address.port)
    const exchange = new Exchange(stream, {
      clientId: this.#o.clientId,
      maxResponseBytes: MAX_RESPONSE_BYTES,
      onEnd: failure => this.#ended(exchange, failure)
    })
    stream.once('connect', () => {
      if (this.#exchange === exchange) this.#isConnected = true
    })
    this.#exchange = exchange
    return exchange
  }

  #ended(exchange: Exchange, failure: MoldauError): void {
    if (this.#exchange !== exchange) return
    this.#exchange = null
    this.#isConnected = false
    this.#o.onDown?.(howItEnded(failure))
  }

  /** Ends the connection for ever; what is in flight, and sent later, fails with ERR_CLOSED. onDown is not called. */
  close(): void {
    const exchange = this.#exchange
    this.#isClosed = true
    this.#exchange = null
    this.#isConnected = false
    exchange?.abandon(new MoldauError('ERR_CLOSED', 'the connection was closed'))
  }
}

function howItEnded({ code, cause }: MoldauError): LinkEnd {
  if (code === 'ERR_REFUSED') return 'refused'
  if (cause instanceof MoldauError && cause.code === 'ERR_TIMEOUT') return 'silent'
  return SILENT_CODES.has(systemCode(cause) ?? '') ? 'silent' : 'lost'
}

/** Whether anybody listens there. Only 'refused' says that nobody does. */
export function probe(
  network: Network,
  clock: Clock,
  { host, port }: Address,
  limitMs: number
): Promise<'accepted' | 'refused' | 'silent'> {
  return new Promise(resolve => {
    const stream = network.connect(host, port)
    const finish = (answer: 'accepted' | 'refused' | 'silent'): void => {
      timer.cancel()
      stream.destroy()
      resolve(answer)
    }
    const timer = clock.after(limitMs, () => finish('silent'))
    stream.once('connect', () => finish('accepted'))
    stream.on('error', error => finish(systemCode(error) === 'ECONNREFUSED' ? 'refused' : 'silent'))
  })
}
