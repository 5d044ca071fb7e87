// From the bytes of one request to the bytes of its reply. Here, and only here, operational failures become protocol
// errors. Frames that are no request of ours end their connection with one log line, as Kafka does; an ApiVersions
// of an unknown version is answered in version 0, so that a newer client can find common ground (KIP-511).
import { ErrorCode, errorMessage } from '../../protocol/errors.ts'
import { type FailureCode, isFailure, MoldauError } from '../../protocol/failure.ts'
import { decodeRequest, encodeResponse, parseRequestHeader, type RequestHeader } from '../../protocol/frame.ts'
import { Holds } from '../../protocol/memory-pool.ts'
import type { Api, Listener, RequestOf } from '../../protocol/schema.ts'
import type { Handler, RequestContext } from '../handlers/handler.ts'
import { isLater, Later } from '../later.ts'
import type { Services } from '../services.ts'
import type { AnswerRoom, Reader } from './answers.ts'
import type { Connection } from './connection.ts'
import { type Answer, type Reply, Turn } from './slot.ts'

const API_VERSIONS = 18

/** What a failure is called on the wire. Codes not listed are UNKNOWN_SERVER_ERROR. */
const CODE_OF_FAILURE: Partial<Record<FailureCode, number>> = {
  ERR_MALFORMED: ErrorCode.INVALID_REQUEST,
  ERR_UNSUPPORTED_VERSION: ErrorCode.UNSUPPORTED_VERSION,
  ERR_CORRUPT_BATCH: ErrorCode.CORRUPT_MESSAGE,
  ERR_COMPRESSION: ErrorCode.CORRUPT_MESSAGE,
  ERR_INVALID_RECORD: ErrorCode.INVALID_RECORD,
  ERR_TOO_LARGE: ErrorCode.MESSAGE_TOO_LARGE,
  ERR_STORAGE: ErrorCode.KAFKA_STORAGE_ERROR,
  ERR_NO_SPACE: ErrorCode.KAFKA_STORAGE_ERROR,
  ERR_LOG_CORRUPT: ErrorCode.KAFKA_STORAGE_ERROR,
  ERR_LOG_OFFLINE: ErrorCode.KAFKA_STORAGE_ERROR,
  ERR_OUT_OF_RANGE: ErrorCode.OFFSET_OUT_OF_RANGE,
  ERR_NOT_LEADER: ErrorCode.NOT_LEADER_OR_FOLLOWER,
  ERR_CLOSED: ErrorCode.NOT_LEADER_OR_FOLLOWER,
  ERR_NOT_CONTROLLER: ErrorCode.NOT_CONTROLLER,
  ERR_TIMEOUT: ErrorCode.REQUEST_TIMED_OUT,
  ERR_CONFIG: ErrorCode.INVALID_CONFIG
}

/** The one place where a thrown failure becomes a code of the protocol. */
export function errorCodeOf(error: unknown): number {
  return isFailure(error)
    ? (CODE_OF_FAILURE[error.code] ?? ErrorCode.UNKNOWN_SERVER_ERROR)
    : ErrorCode.UNKNOWN_SERVER_ERROR
}

export class Dispatch {
  readonly #services: Services
  readonly #handlers = new Map<number, Handler>()
  readonly #controllerListeners: ReadonlySet<string>

  constructor(services: Services, handlers: readonly Handler[]) {
    this.#services = services
    this.#controllerListeners = new Set(
      services.config.listeners.filter(each => each.controller).map(({ name }) => name)
    )
    for (const each of handlers) this.#handlers.set(each.api.key, each)
  }

  /** Throws (or rejects with) a MoldauError that ends the connection; every other outcome is a reply. */
  handle(frame: Buffer, connection: Connection): Answer | Turn {
    const header = headerOf(frame)
    const found = this.#handlers.get(header.apiKey)
    const listener = this.#controllerListeners.has(connection.listenerName) ? 'controller' : 'broker'
    if (!found?.api.listeners.includes(listener)) {
      throw new MoldauError('ERR_UNSUPPORTED_VERSION', `API key ${header.apiKey} is not served here`)
    }
    const [lowest, highest] = found.api.versions
    if (header.apiVersion < lowest || header.apiVersion > highest) return this.#refuseVersion(found.api, header)
    const request = decodeRequest(found.api, header.apiVersion, frame, header.position)
    const holds = found.isBulky ? new Holds() : undefined
    const context = contextOf(header, connection, listener, holds)
    if (found.forwards === 'whole' && listener === 'broker') {
      return this.#forward(found, header, request, context, frame)
    }
    if (holds) {
      const reader = this.#readerOf(found, request, listener)
      return new Turn(room => this.#work(found, header, request, withRoom(context, room)), holds, reader)
    }
    return this.#work(found, header, request, context)
  }

  #readerOf(found: Handler, request: RequestOf<Api>, listener: Listener): Reader {
    if (listener === 'controller') return 'controller'
    return found.isOfBroker(request, this.#services) ? 'follower' : 'consumer'
  }

  #work(found: Handler, header: RequestHeader, request: RequestOf<Api>, context: RequestContext): Answer {
    let reply: ReturnType<Handler['handle']>
    try {
      reply = found.handle(request, context, this.#services)
    } catch (error) {
      return this.#failed(found, header, request, context, error)
    }
    if (!isLater(reply)) return encode(found.api, header, reply)
    const encoded = (body: object | null): Reply => encode(found.api, header, body)
    const failed = (error: unknown): Reply => this.#failed(found, header, request, context, error)
    return reply instanceof Later ? reply.map(encoded, failed) : reply.then(encoded, failed)
  }

  /** By the active controller: another node, or this one if it comes to be it while the request waits. */
  async #forward(
    found: Handler,
    header: RequestHeader,
    request: RequestOf<Api>,
    context: RequestContext,
    frame: Buffer
  ): Promise<Reply> {
    const here = async () => encode(found.api, header, await found.handle(request, context, this.#services)) ?? []
    try {
      return await this.#services.channel.forward(frame, context, here)
    } catch (error) {
      if (isFailure(error, 'ERR_UNSUPPORTED_VERSION')) throw error
      return this.#failed(found, header, request, context, error)
    }
  }

  #refuseVersion(api: Api, header: RequestHeader): readonly Buffer[] {
    if (api.key !== API_VERSIONS) {
      throw new MoldauError('ERR_UNSUPPORTED_VERSION', `${api.name} version ${header.apiVersion} is not served here`)
    }
    const [minVersion, maxVersion] = api.versions
    return encodeResponse(api, 0, header.correlationId, {
      errorCode: ErrorCode.UNSUPPORTED_VERSION,
      apiKeys: [{ apiKey: API_VERSIONS, minVersion, maxVersion }]
    })
  }

  /** Handlers give codes for what they foresee; what they do not is logged, and answered where the reply has room. */
  #failed(
    { api, refuse }: Handler,
    header: RequestHeader,
    request: RequestOf<Api>,
    context: RequestContext,
    error: unknown
  ): readonly Buffer[] {
    const errorCode = errorCodeOf(error)
    if (errorCode === ErrorCode.UNKNOWN_SERVER_ERROR) {
      this.#services.log.error({ err: error, api: api.name, version: header.apiVersion }, 'request-failed')
    }
    const outcome = { errorCode, errorMessage: messageOf(error, errorCode) }
    const { apiVersion, correlationId } = header
    if (refuse) return encodeResponse(api, apiVersion, correlationId, refuse(request, outcome, context))
    const fields = api.response.fields
    if (!('errorCode' in fields)) throw error instanceof MoldauError ? error : unexpected(api, error)
    return encodeResponse(api, apiVersion, correlationId, 'errorMessage' in fields ? outcome : { errorCode })
  }
}

function headerOf(frame: Buffer): RequestHeader {
  try {
    return parseRequestHeader(frame)
  } catch (cause) {
    if (!isFailure(cause)) throw cause
    throw new MoldauError(cause.code, `the header of a request cannot be read: ${cause.message}`, { cause })
  }
}

function encode(api: Api, header: RequestHeader, body: object | null): readonly Buffer[] | null {
  return body === null ? null : encodeResponse(api, header.apiVersion, header.correlationId, body)
}

function messageOf(error: unknown, errorCode: number): string | null {
  return isFailure(error) ? error.message : errorMessage(errorCode)
}

function unexpected(api: Api, cause: unknown): MoldauError {
  return new MoldauError('ERR_CLOSED', `${api.name} failed unexpectedly`, { cause })
}

function contextOf(
  header: RequestHeader,
  connection: Connection,
  listener: Listener,
  holds: Holds | undefined
): RequestContext {
  return {
    apiVersion: header.apiVersion,
    correlationId: header.correlationId,
    clientId: header.clientId,
    principal: 'User:ANONYMOUS',
    clientHost: connection.remoteAddress,
    listenerName: connection.listenerName,
    listener,
    localAddress: connection.localAddress,
    localPort: connection.localPort,
    isForwarded: false,
    connectionId: connection.id,
    signal: connection.signal,
    holds
  }
}

function withRoom(context: RequestContext, room: AnswerRoom): RequestContext {
  context.room = room
  return context
}
