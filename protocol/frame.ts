// Frames: a size of 4 bytes, a header, a body. Received frames come here without their size; frames to send leave with
// it, as buffers to be written in order. One slab serves all encoders of the process: encoding never waits.

import { apiByKey } from './apis.ts'
import { codecOf } from './compile.ts'
import { Cursor, malformed } from './cursor.ts'
import { MoldauError } from './failure.ts'
import {
  type Api,
  type Codec,
  type Decoded,
  type Draft,
  type Fields,
  isFlexible,
  isKnownVersion,
  type Message,
  type RequestDraft,
  type RequestOf,
  type ResponseDraft,
  type ResponseOf
} from './schema.ts'
import { FULL, putText, Sink } from './sink.ts'

const API_VERSIONS = 18

export interface RequestHeader {
  readonly apiKey: number
  readonly apiVersion: number
  readonly correlationId: number
  readonly clientId: string | null
  /** Where the body begins. */
  readonly position: number
}

/**
 * Reads the header of a request frame. Of an unknown key or version only the first eight bytes mean anything for sure:
 * they are given, so that an error can be answered; the client id then is what could be read, or null.
 */
export function parseRequestHeader(frame: Buffer): RequestHeader {
  if (frame.length < 8) throw malformed('a request shorter than its header', frame.length)
  const apiKey = frame.readInt16BE(0)
  const apiVersion = frame.readInt16BE(2)
  const correlationId = frame.readInt32BE(4)
  const known = apiByKey(apiKey)
  if (known === undefined) return { apiKey, apiVersion, correlationId, clientId: null, position: 8 }
  const cursor = new Cursor(frame, 8)
  let clientId: string | null = null
  try {
    const length = cursor.i16()
    if (length >= 0) clientId = cursor.text(length)
    if (isFlexible(known.request, apiVersion)) cursor.skipTags()
  } catch (error) {
    if (isKnownVersion(known.request, apiVersion)) throw error
  }
  return { apiKey, apiVersion, correlationId, clientId, position: cursor.position }
}

/**
 * Reads a request's body. Bytes behind it are tolerated, as Kafka does (AbstractRequest.parseRequest never asks for
 * what remains): nothing reads them, and refusing would break a client that works with Kafka.
 */
export function decodeRequest<A extends Api>(api: A, version: number, frame: Buffer, position: number): RequestOf<A> {
  return codecOf(api.request, version).read(new Cursor(frame, position)) as RequestOf<A>
}

/** Reads a response frame, header included. */
export function decodeResponse<A extends Api>(
  api: A,
  version: number,
  frame: Buffer
): { correlationId: number; body: ResponseOf<A> } {
  const codec = codecOf(api.response, version)
  const cursor = new Cursor(frame)
  const correlationId = cursor.i32()
  if (hasTaggedResponseHeader(api, version)) cursor.skipTags()
  return { correlationId, body: codec.read(cursor) as ResponseOf<A> }
}

/** A response frame, size included. */
export function encodeResponse<A extends Api>(
  api: A,
  version: number,
  correlationId: number,
  body: ResponseDraft<A>
): Buffer[] {
  const codec: Codec = codecOf(api.response, version)
  const hasTags = hasTaggedResponseHeader(api, version)
  for (;;) {
    sink.begin()
    try {
      const start = sink.position
      sink.i32(0)
      sink.i32(correlationId)
      if (hasTags) sink.i8(0)
      codec.write(sink, body)
      return withSize(start)
    } catch (error) {
      if (error !== FULL) throw error
      sink.enlarge()
    }
  }
}

/** A request frame, size included. */
export function encodeRequest<A extends Api>(
  api: A,
  version: number,
  correlationId: number,
  clientId: string | null,
  body: RequestDraft<A>
): Buffer[] {
  const codec: Codec = codecOf(api.request, version)
  for (;;) {
    sink.begin()
    try {
      const start = sink.position
      sink.i32(0)
      sink.i16(api.key)
      sink.i16(version)
      sink.i32(correlationId)
      if (clientId === null) sink.i16(-1)
      else sink.position = putText(sink.bytes, sink.position, sink.limit, clientId, false)
      if (isFlexible(api.request, version)) sink.i8(0)
      codec.write(sink, body)
      return withSize(start)
    } catch (error) {
      if (error !== FULL) throw error
      sink.enlarge()
    }
  }
}

/** One message without frame or header, in one piece: what is embedded in records and other messages. */
export function encodeBody(codec: Codec, draft: unknown, prefix?: (sink: Sink) => void): Buffer {
  for (;;) {
    sink.begin()
    try {
      prefix?.(sink)
      codec.write(sink, draft)
      const parts = sink.finish()
      return parts.length === 1 ? (parts[0] as Buffer) : Buffer.concat(parts)
    } catch (error) {
      if (error !== FULL) throw error
      sink.enlarge()
    }
  }
}

/** What a draft becomes on the other side: every field there, as the version has it. */
export function completed<F extends Fields>(of: Message<F>, version: number, draft: Draft<F>): Decoded<F> {
  const codec = codecOf(of, version)
  return codec.read(new Cursor(encodeBody(codec, draft)))
}

/** ApiVersions answers with header 0 always: its reader cannot know yet what the broker speaks (KIP-511). */
function hasTaggedResponseHeader(api: Api, version: number): boolean {
  return api.key !== API_VERSIONS && isFlexible(api.response, version)
}

function withSize(start: number): Buffer[] {
  const slab = sink.view
  const parts = sink.finish()
  let size = -4
  for (const part of parts) size += part.length
  if (size > 0x7fffffff) throw new MoldauError('ERR_TOO_LARGE', `a frame of ${size} bytes`)
  slab.setInt32(start, size)
  return parts
}

const sink = new Sink()
