// Every API at every version against bytes that Kafka 4.3.1 wrote: both codecs decode them to their JSON and encode
// them back; the registry, the header versions and the error table agree with Kafka's.

import { test } from 'tap'
import { APIS, apiByKey, apisOf, isOffered } from '../../protocol/apis.ts'
import { codecOf, compile } from '../../protocol/compile.ts'
import { Cursor } from '../../protocol/cursor.ts'
import { ErrorCode, type ErrorName, errorMessage, errorName, isRetriable } from '../../protocol/errors.ts'
import {
  decodeRequest,
  decodeResponse,
  encodeBody,
  encodeRequest,
  encodeResponse,
  parseRequestHeader
} from '../../protocol/frame.ts'
import { interpret } from '../../protocol/interpret.ts'
import { apiVersions } from '../../protocol/messages/api-versions.ts'
import { fetch } from '../../protocol/messages/fetch.ts'
import { requestHeader, responseHeader } from '../../protocol/messages/headers.ts'
import { heartbeat } from '../../protocol/messages/heartbeat.ts'
import { type Api, type Codec, type Fields, INT64_MAX, type Message } from '../../protocol/schema.ts'
import { golden, type MessageVector } from './golden.ts'
import { fromKafkaJson, toKafkaJson } from './kafka-json.ts'

type Values = Record<string, unknown>
const vectors = golden<MessageVector>('messages.jsonl.br')
const messageOf = (vector: MessageVector): Message => (apiByKey(vector.key) as Api)[vector.type]
const title = (vector: MessageVector): string =>
  `${apiByKey(vector.key)?.name} ${vector.type} ${vector.version} ${vector.case}`

/** What is wrong with a codec's reading and writing of a vector, or nothing. */
function wrongWith(
  codec: Codec,
  fields: Fields,
  version: number,
  of: { case: string; hex: string; json: Values }
): string {
  const bytes = Buffer.from(of.hex, 'hex')
  const cursor = new Cursor(bytes)
  const value = codec.read(cursor) as Values
  if (cursor.remaining !== 0) return `${cursor.remaining} bytes are left`
  const json = JSON.stringify(sorted(toKafkaJson(fields, value, version)))
  if (json !== JSON.stringify(sorted(of.json))) return `decoded to ${json}`
  if (of.case === 'unknown-tags') return ''
  for (const draft of [value, fromKafkaJson(fields, of.json)]) {
    const hex = encodeBody(codec, draft).toString('hex')
    if (hex !== of.hex) return `encoded to ${hex}`
  }
  return ''
}

/** Tagged fields may stand anywhere in the JSON: keys are compared in alphabetic order. */
function sorted(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(sorted)
  if (typeof value !== 'object' || value === null) return value
  const entries = Object.entries(value).sort(([a], [b]) => (a < b ? -1 : 1))
  return Object.fromEntries(entries.map(([name, inner]) => [name, sorted(inner)]))
}

for (const [name, make] of Object.entries({ compile, interpret })) {
  test(`${name}: every message of Kafka's client decodes to its JSON and encodes to its bytes`, async t => {
    const wrong: string[] = []
    for (const vector of vectors) {
      const of = messageOf(vector)
      const problem = wrongWith(make(of, vector.version), of.fields, vector.version, vector)
      if (problem !== '') wrong.push(`${title(vector)}: ${problem.slice(0, 300)}`)
    }
    t.same(wrong, [])
    t.equal(vectors.length, 2423)
  })

  test(`${name}: headers`, async t => {
    for (const line of golden<{ header: string; version: number; case: string; hex: string; json: Values }>(
      'headers.jsonl'
    )) {
      const of: Message = line.header === 'request' ? requestHeader : responseHeader
      t.equal(wrongWith(make(of, line.version), of.fields, line.version, line), '', `${line.header} ${line.version}`)
    }
  })
}

/** Where a decoded value lacks a field or has one too many: all versions must give one shape. */
function misshapen(fields: Fields, value: Values): string[] {
  const wrong = Object.keys(value).join() === Object.keys(fields).join() ? [] : [Object.keys(value).join()]
  for (const [name, { shape }] of Object.entries(fields)) {
    const inner = shape.kind === 'array' ? shape.element?.shape.fields : shape.fields
    const at = value[name]
    const items = Array.isArray(at) ? at : [at]
    if (inner) wrong.push(...items.flatMap(item => (item === null ? [] : misshapen(inner, item as Values))))
  }
  return wrong
}

test('every field is always present, whatever the version', async t => {
  const wrong: string[] = []
  for (const vector of vectors) {
    const of = messageOf(vector)
    const value = codecOf(of, vector.version).read(new Cursor(Buffer.from(vector.hex, 'hex')))
    wrong.push(...misshapen(of.fields, value).map(keys => `${title(vector)}: ${keys}`))
  }
  t.same(wrong, [])
})

test('a draft without fields is the message with all defaults', async t => {
  const wrong: string[] = []
  for (const vector of vectors.filter(each => each.case === 'default')) {
    const of = messageOf(vector)
    // Our one deviation: a message that is left out is null, since clients take an empty one for an error.
    const draft =
      'errorMessage' in of.fields && 'errorMessage' in vector.json ? { errorMessage: vector.json.errorMessage } : {}
    const hex = encodeBody(codecOf(of, vector.version), draft).toString('hex')
    if (hex !== vector.hex) wrong.push(`${title(vector)}: ${hex}`)
  }
  t.same(wrong, [])
})

test('the registry is that of Kafka 4.3', async t => {
  const expected = golden<Values>('apis.jsonl')
  const actual = APIS.map((one: Api) => ({
    key: one.key,
    name: one.name,
    listeners: one.listeners,
    lowest: one.versions[0],
    highest: one.versions[1],
    highestUnstable: one.unstable ?? one.versions[1],
    flexibleFrom: one.flexibleFrom ?? -1
  }))
  t.same(
    actual,
    expected.map(each => ({ ...each, flexibleFrom: each.flexibleFrom ?? -1 }))
  )
  t.equal(apiByKey(4), undefined)
  t.equal(apiByKey(-1), undefined)
  t.equal(
    apisOf('controller').length,
    expected.filter(each => (each.listeners as string[]).includes('controller')).length
  )
  t.equal(isOffered(apiByKey(22) as Api, 6), false, 'an unstable version is not offered')
  t.equal(isOffered(apiByKey(22) as Api, 6, true), true, 'but on demand')
})

test('frames carry the header of the version', async t => {
  for (const line of golden<{ key: number; version: number; request: number; response: number }>(
    'header-versions.jsonl'
  )) {
    const one = apiByKey(line.key) as Api
    const header = { requestApiKey: line.key, requestApiVersion: line.version, correlationId: 77, clientId: 'c-1' }
    const expected = encodeBody(codecOf(requestHeader, line.request), header)
    const request = Buffer.concat(encodeRequest(one, line.version, 77, 'c-1', {})).subarray(4)
    const parsed = parseRequestHeader(request)
    const { position, ...rest } = parsed
    t.equal(request.subarray(0, position).toString('hex'), expected.toString('hex'), `${one.name} ${line.version}`)
    t.same(rest, { apiKey: line.key, apiVersion: line.version, correlationId: 77, clientId: 'c-1' })
    t.same(
      decodeRequest(one, line.version, request, position),
      codecOf(one.request, line.version).read(cursorOf(one.request, line.version))
    )
    const response = Buffer.concat(encodeResponse(one, line.version, 78, {}))
    t.equal(response.readInt32BE(0), response.length - 4, 'the size counts what follows it')
    const answerHeader = encodeBody(codecOf(responseHeader, line.response), { correlationId: 78 })
    const body = encodeBody(codecOf(one.response, line.version), {})
    t.equal(response.subarray(4).toString('hex'), answerHeader.toString('hex') + body.toString('hex'))
    t.equal(decodeResponse(one, line.version, response.subarray(4)).correlationId, 78)
  }
})

function cursorOf(of: Message, version: number): Cursor {
  return new Cursor(encodeBody(codecOf(of, version), {}))
}

test('a header of an unknown key or version still gives what an answer needs', async t => {
  const unknownKey = Buffer.from('03e7000500000009ffff', 'hex')
  t.same(parseRequestHeader(unknownKey), { apiKey: 999, apiVersion: 5, correlationId: 9, clientId: null, position: 8 })
  const future = Buffer.from('0012006300000009', 'hex')
  t.match(parseRequestHeader(future), { apiKey: 18, apiVersion: 99, correlationId: 9, clientId: null })
  t.throws(() => parseRequestHeader(Buffer.alloc(7)), { code: 'ERR_MALFORMED' })
  t.throws(() => parseRequestHeader(Buffer.from('000c0004000000090064', 'hex')), { code: 'ERR_MALFORMED' })
  t.throws(() => decodeRequest(apiVersions, 99, future, 8), { code: 'ERR_UNSUPPORTED_VERSION' })
})

test('bytes behind a request body are tolerated, missing ones are not', async t => {
  const frame = Buffer.concat(encodeRequest(heartbeat, 4, 1, null, { groupId: 'g', generationId: 3, memberId: 'm' }))
  const { position, clientId } = parseRequestHeader(frame.subarray(4))
  t.equal(clientId, null)
  const longer = Buffer.concat([frame.subarray(4), Buffer.from([1, 2, 3])])
  t.match(decodeRequest(heartbeat, 4, longer, position), { groupId: 'g', generationId: 3, groupInstanceId: null })
  t.throws(() => decodeRequest(heartbeat, 4, frame.subarray(4, -1), position), { code: 'ERR_MALFORMED' })
})

test('large records leave by reference, small ones in one piece with the rest, all in their place', async t => {
  const large = [Buffer.alloc(20_000, 'l'), Buffer.from('second')]
  const small = [Buffer.from('third'), Buffer.from('fourth')]
  const send = (...given: (Buffer[] | null)[]) => {
    const partitions = given.map((records, partitionIndex) => ({ partitionIndex, records }))
    const parts = encodeResponse(fetch, 12, 1, { responses: [{ topic: 't', partitions }] })
    const { body } = decodeResponse(fetch, 12, Buffer.concat(parts).subarray(4))
    t.same(
      body.responses[0]?.partitions.map(each => each.records?.toString() ?? null),
      given.map(each => each && Buffer.concat(each).toString())
    )
    return parts
  }
  t.equal(send(small, null, small).length, 1)
  const parts = send(small, large, null, small)
  for (const each of large) t.ok(parts.includes(each), 'the very buffer that was given')
  // What is copied stays true when the slab has come to its end, and one message does not fill a slab.
  for (let n = 0; n < 20; n++) t.equal(send([Buffer.alloc(3000 + n, 'a'), Buffer.alloc(3000, 'b')]).length < 5, true)
  t.ok(send(...Array.from({ length: 40 }, () => [Buffer.alloc(4000, 'm')])).length > 20)
})

test('the largest int64 is a named constant where the schema allows it', async t => {
  const [vector] = vectors.filter(
    each => each.key === 1 && each.version === 18 && each.type === 'request' && each.case === 'filled'
  )
  const request = codecOf(fetch.request, 18).read(new Cursor(Buffer.from((vector as MessageVector).hex, 'hex')))
  t.not(request.topics[0]?.partitions[0]?.highWatermark, INT64_MAX)
  const draft = { topics: [{ partitions: [{ highWatermark: 5 }, {}, { highWatermark: INT64_MAX }] }] }
  for (const codec of [compile(fetch.request, 18), interpret(fetch.request, 18)]) {
    const read = codec.read(new Cursor(encodeBody(codec, draft))) as typeof request
    t.same(
      read.topics[0]?.partitions.map(each => each.highWatermark),
      [5, INT64_MAX, INT64_MAX]
    )
    const explicit = encodeBody(codec, draft).toString('hex').replace('01080000000000000005', '01087fffffffffffffff')
    const again = codec.read(new Cursor(Buffer.from(explicit, 'hex'))) as typeof request
    t.equal(again.topics[0]?.partitions[0]?.highWatermark, INT64_MAX)
    const beyond = explicit.replace('01087fffffffffffffff', '01087ffffffffffffffe')
    t.throws(() => codec.read(new Cursor(Buffer.from(beyond, 'hex'))), { code: 'ERR_MALFORMED' })
  }
})

test("the error table has Kafka's codes and names, and a message for each", async t => {
  const expected = golden<{ code: number; name: ErrorName; retriable: boolean }>('errors.jsonl')
  t.equal(Object.keys(ErrorCode).length, expected.length)
  for (const { code, name, retriable } of expected) {
    t.equal(ErrorCode[name], code)
    t.equal(errorName(code), name)
    t.equal(isRetriable(code), retriable, name)
    t.match(errorMessage(code), /^\w.{5,}/)
  }
  t.equal(errorName(9999), 'UNKNOWN_SERVER_ERROR')
  t.equal(isRetriable(9999), false)
})
