// How a broker asks another one: one connection, opened when there is something to send, pipelined, and opened again
// by the next request after it ended. What a link learns of its peer's end is told at once, in three words, because
// only some ends are a hint that the process is dead: silence never is.
import type { Api, RequestDraft, ResponseOf } from '../protocol/schema.ts'
import type { Clock } from './clock.ts'
import type { Address, Network } from './net/network.ts'

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

export class PeerLink {
  readonly #o: PeerLinkOptions

  constructor(options: PeerLinkOptions) {
    this.#o = options
  }

  get isConnected(): boolean {
    return false
  }

  /** Rejects with ERR_REFUSED, ERR_DISCONNECTED or ERR_TIMEOUT; after a time-out the connection is closed, for answers
   *  come in order. */
  send<A extends Api>(
    _api: A,
    _version: number,
    _request: RequestDraft<A>,
    _timeoutMs: number = this.#o.timeoutMs()
  ): Promise<ResponseOf<A>> {
    return Promise.reject(new Error('not there yet'))
  }

  /** Ends the connection for ever; requests in flight fail with ERR_CLOSED, and onDown is not called. */
  close(): void {}
}

/** Whether anybody listens there. */
export function probe(
  _network: Network,
  _clock: Clock,
  _address: Address,
  _limitMs: number
): Promise<'accepted' | 'refused' | 'silent'> {
  return Promise.reject(new Error('not there yet'))
}
