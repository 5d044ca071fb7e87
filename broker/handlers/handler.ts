// The shape of every handler: a request in, a reply (or a promise of one) out. A handler never touches a socket or a
// buffer; what it does before its first await happens in arrival order, the rest in the background, and replies of one
// connection leave in order of their requests (net/connection.ts). Fields left out of a reply take the schema's default.
import type { Holds } from '../../protocol/memory-pool.ts'
import type { Api, Listener, RequestOf, ResponseDraft } from '../../protocol/schema.ts'
import type { Later } from '../later.ts'
import type { AnswerRoom } from '../net/answers.ts'
import type { Services } from '../services.ts'

/** What is known of the one request at hand. */
export interface RequestContext {
  readonly apiVersion: number
  readonly correlationId: number
  readonly clientId: string | null
  /** `User:ANONYMOUS` until authentication exists. */
  readonly principal: string
  /** The peer's address, without the port. */
  readonly clientHost: string
  /** The listener's name (PLAINTEXT, ...), for which addresses are advertised. */
  readonly listenerName: string
  /** Whom that listener serves. */
  readonly listener: Listener
  /** The local address that the client connected to; a single broker without a host name advertises it. */
  readonly localAddress: string
  readonly localPort: number
  /** It came in an envelope: another broker's client asked (KIP-590). */
  readonly isForwarded: boolean
  /** Identifies the connection within this process (fetch sessions, per-connection state). */
  readonly connectionId: number
  /** Aborted when the connection is gone or the broker stops: parked work may be dropped. */
  readonly signal: AbortSignal
  /** For the memory that records of the reply lie in: let go when they have been sent. */
  readonly holds?: Holds | undefined
  /** Where the reply may be large: what is read for it is asked for there before. */
  room?: AnswerRoom | undefined
}

export type Reply<A extends Api> = ResponseDraft<A> | null

/** What a handler gives: a reply, or word that it comes. */
export type Answer<A extends Api> = Reply<A> | Promise<Reply<A>> | Later<Reply<A>>

/** The same outcome for everything that the request names. */
export type Refuse<A extends Api> = (
  request: RequestOf<A>,
  outcome: { readonly errorCode: number; readonly errorMessage: string | null },
  context: RequestContext
) => ResponseDraft<A>

export interface Handler<A extends Api = Api> {
  readonly api: A
  /** Its reply may be large: a connection has one of these at work at a time. */
  readonly isBulky: boolean
  /** Of a bulky one: another broker asks, which is not to wait for clients that do not read. */
  isOfBroker(request: RequestOf<A>, services: Services): boolean
  /** Whether only the active controller can answer (KIP-590). whole: a request on a broker listener goes there as it
   *  came. parts: the handler takes care of that, and keeps what is its own broker's. */
  readonly forwards: 'no' | 'whole' | 'parts'
  /** Refuses a whole request where the reply has no error code of its own; null where it has. */
  readonly refuse: Refuse<A> | null
  handle(request: RequestOf<A>, context: RequestContext, services: Services): Answer<A>
}

const NO = (): boolean => false

/** Null as a reply means: send nothing (Produce with acks=0). A thrown MoldauError is mapped to a code by dispatch. */
export function handler<A extends Api>(
  api: A,
  handle: (request: RequestOf<A>, context: RequestContext, services: Services) => Answer<A>,
  isBulky = false,
  isOfBroker: Handler<A>['isOfBroker'] = NO
): Handler<A> {
  return { api, isBulky, isOfBroker, forwards: 'no', refuse: null, handle }
}

/** A handler that the active controller alone can serve: net/dispatch.ts calls it where this node is that one. */
export function forwarded<A extends Api>(
  api: A,
  handle: (request: RequestOf<A>, context: RequestContext, services: Services) => Answer<A>,
  refuse: Refuse<A> | null,
  forwards: 'whole' | 'parts' = 'whole'
): Handler<A> {
  return { api, isBulky: false, isOfBroker: NO, forwards, refuse, handle }
}
