// Envelope 0: a client's request that another broker forwards to the active controller (KIP-590; EnvelopeUtils.scala,
// ControllerApis.scala). It is answered inside, as the client is to get it; only what is wrong with the envelope, or with
// this node as the controller, is the envelope's own error.
import { ErrorCode } from '../../protocol/errors.ts'
import { isFailure } from '../../protocol/failure.ts'
import { decodeRequest, encodeResponse, parseRequestHeader, type RequestHeader } from '../../protocol/frame.ts'
import { envelope } from '../../protocol/messages/envelope.ts'
import type { Api, RequestOf, ResponseDraft } from '../../protocol/schema.ts'
import { clientHostIn, principalIn } from '../envelopes.ts'
import { errorCodeOf } from '../net/dispatch.ts'
import type { Services } from '../services.ts'
import { type Handler, handler, type RequestContext } from './handler.ts'

type Answer = ResponseDraft<typeof envelope>

export function envelopeHandler(handlers: () => readonly Handler[]) {
  return handler(envelope, (request, context, services): Answer | Promise<Answer> => {
    const clientHost = clientHostIn(request)
    if (clientHost === null) return { errorCode: ErrorCode.INVALID_REQUEST }
    const principal = principalIn(request)
    if (principal === null) return { errorCode: ErrorCode.PRINCIPAL_DESERIALIZATION_FAILURE }
    const frame = request.requestData
    const header = headerOf(frame)
    if (!header) return { errorCode: ErrorCode.UNSUPPORTED_VERSION }
    const found = handlers().find(each => each.api.key === header.apiKey)
    if (!found || found.forwards === 'no') return { errorCode: ErrorCode.INVALID_REQUEST }
    const { apiVersion, correlationId, clientId } = header
    const [lowest, highest] = found.api.versions
    if (apiVersion < lowest || apiVersion > highest) return { errorCode: ErrorCode.UNSUPPORTED_VERSION }
    const inner = requestIn(found.api, header, frame)
    if (!inner) return { errorCode: ErrorCode.UNSUPPORTED_VERSION }
    if (!services.controller.isActive) return { errorCode: ErrorCode.NOT_CONTROLLER }
    const client = { apiVersion, correlationId, clientId, principal, clientHost, isForwarded: true }
    return answer(found, inner, { ...context, ...client }, services)
  })
}

async function answer(
  found: Handler,
  request: RequestOf<Api>,
  context: RequestContext,
  services: Services
): Promise<Answer> {
  let body: ResponseDraft<Api> | null
  try {
    body = await found.handle(request, context, services)
  } catch (error) {
    // Another node leads now: the broker that forwards asks it.
    if (isFailure(error, 'ERR_NOT_CONTROLLER')) return { errorCode: ErrorCode.NOT_CONTROLLER }
    body = refusal(found, request, context, services, error)
  }
  const frame = Buffer.concat(encodeResponse(found.api, context.apiVersion, context.correlationId, body ?? {}))
  return { errorCode: ErrorCode.NONE, responseData: frame.subarray(4) }
}

function refusal(
  { api, refuse }: Handler,
  request: RequestOf<Api>,
  context: RequestContext,
  services: Services,
  error: unknown
): ResponseDraft<Api> {
  const errorCode = errorCodeOf(error)
  if (errorCode === ErrorCode.UNKNOWN_SERVER_ERROR) {
    services.log.error({ err: error, api: api.name, version: context.apiVersion }, 'request-failed')
  }
  const outcome = { errorCode, errorMessage: isFailure(error) ? error.message : null }
  return refuse ? refuse(request, outcome, context) : outcome
}

function headerOf(frame: Buffer): RequestHeader | null {
  try {
    return parseRequestHeader(frame)
  } catch (error) {
    if (isFailure(error)) return null
    throw error
  }
}

function requestIn(api: Api, header: RequestHeader, frame: Buffer): RequestOf<Api> | null {
  try {
    return decodeRequest(api, header.apiVersion, frame, header.position)
  } catch (error) {
    if (isFailure(error)) return null
    throw error
  }
}
