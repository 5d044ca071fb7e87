// The machinery below the messages: primitives against Kafka's bytes, slabs, limits, and compiled codecs against the
// interpreter on generated values.

import { spawnSync } from 'node:child_process'
import fc from 'fast-check'
import { test } from 'tap'
import { APIS } from '../../protocol/apis.ts'
import { codecOf, compile } from '../../protocol/compile.ts'
import { Cursor } from '../../protocol/cursor.ts'
import { encodeBody, encodeResponse } from '../../protocol/frame.ts'
import { interpret } from '../../protocol/interpret.ts'
import { metadata } from '../../protocol/messages/metadata.ts'
import {
  type Api,
  array,
  bool,
  bytes,
  type Fields,
  i8,
  i16,
  i32,
  i64,
  type Message,
  message,
  struct,
  text,
  uuid
} from '../../protocol/schema.ts'
import { FULL, Sink } from '../../protocol/sink.ts'
import { draftsOf } from './arbitrary.ts'
import { golden } from './golden.ts'

interface HashVector {
  encoding?: string
  decode?: string
  value?: number | string
  hex: string
  read?: number
  error?: string
}

/** What a sink writes. */
function written(write: (sink: Sink) => void): string {
  const sink = new Sink()
  sink.begin()
  write(sink)
  return Buffer.concat(sink.finish()).toString('hex')
}

const READ: Record<string, (cursor: Cursor) => unknown> = {
  varint: cursor => cursor.varint(),
  'unsigned-varint': cursor => cursor.uvarint(),
  varlong: cursor => cursor.varlong(),
  float64: cursor => cursor.f64(),
  uuid: cursor => cursor.uuid()
}

const WRITE: Record<string, (sink: Sink, value: unknown) => void> = {
  varint: (sink, value) => sink.varint(value as number),
  'unsigned-varint': (sink, value) => sink.uvarint(value as number),
  varlong: (sink, value) => sink.varlong(value as number),
  float64: (sink, value) => sink.f64(value as number),
  uuid: (sink, value) => sink.uuid(value as string)
}

test("varints, doubles and uuids are Kafka's", async t => {
  let count = 0
  for (const line of golden<HashVector>('hashes.jsonl')) {
    const kind = line.encoding ?? line.decode
    if (kind === undefined) continue
    count++
    const read = READ[kind] as (cursor: Cursor) => unknown
    const cursor = new Cursor(Buffer.from(line.hex, 'hex'))
    const value = kind === 'varlong' || kind === 'float64' ? Number(line.value) : line.value
    if (line.error !== undefined || (kind === 'varlong' && !Number.isSafeInteger(value))) {
      t.throws(() => read(cursor), { code: 'ERR_MALFORMED' }, `${kind} ${line.hex}`)
      continue
    }
    t.equal(Object.is(read(cursor), value), true, `${kind} ${line.hex} is ${value}`)
    t.equal(cursor.position, line.read ?? line.hex.length / 2)
    if (line.encoding === undefined) continue
    t.equal(
      written(sink => (WRITE[kind] as (sink: Sink, value: unknown) => void)(sink, value)),
      line.hex,
      `${kind} ${value}`
    )
  }
  t.ok(count > 80, `${count} lines`)
})

test('varlongs hold every safe integer', async t => {
  fc.assert(
    fc.property(fc.maxSafeInteger(), value => {
      const hex = written(sink => sink.varlong(value))
      return new Cursor(Buffer.from(hex, 'hex')).varlong() === value
    })
  )
  t.equal(new Cursor(Buffer.from('feffffffffffff1f', 'hex')).varlong(), Number.MAX_SAFE_INTEGER)
  t.throws(() => new Cursor(Buffer.from('8080808080808020', 'hex')).varlong(), { code: 'ERR_MALFORMED' }, '2^53')
  t.throws(() => new Cursor(Buffer.alloc(11, 0x80)).varlong(), { code: 'ERR_MALFORMED' }, 'endless')
})

/** A message with one field of the kind, at version 0 classic and at 1 flexible. */
const only = (field: Fields[string]): Message =>
  message({ name: 'probe', versions: [0, 1], flexibleFrom: 1, fields: { field } })

const REFUSED: [string, Message, number, string][] = [
  ['an int64 of 2^53', only(i64), 0, '0020000000000000'],
  ['an int64 of -2^53', only(i64), 0, 'ffe0000000000000'],
  ['a text longer than the bytes left', only(text), 0, '000561'],
  ['a compact text longer than the bytes left', only(text), 1, '066100'],
  ['a text of 32768 bytes', only(text), 1, `818002${'61'.repeat(32768)}00`],
  ['a null text where none can be', only(text), 0, 'ffff'],
  ['more elements than bytes', only(array(i64)), 0, `00000003${'00'.repeat(23)}`],
  ['2^31-1 empty structs', only(array({ later: i32.since(1) })), 0, '7fffffff'],
  ['2^32-2 elements', only(array(i8)), 1, 'ffffffff0f00'],
  ['bytes of 2 GB', only(bytes), 0, '7fffffff00'],
  ['a varint of six bytes', only(bytes), 1, '80808080800100'],
  ['no tag section', only(i8), 1, '00'],
  ['a tag longer than the bytes left', only(i8), 1, '00010502'],
  ['a tagged field smaller than its size', only(i32.tag(0, 1)), 1, '01000500000001ff'],
  ['a tagged field larger than its size', only(i32.tag(0, 1)), 1, '010003000000ff01'],
  ['a struct without its bytes', only(struct({ a: i16, b: uuid })), 0, '000100']
]

test('what does not fit is refused by both codecs, as malformed', async t => {
  for (const [what, of, version, hex] of REFUSED) {
    for (const make of [compile, interpret]) {
      t.throws(() => make(of, version).read(new Cursor(Buffer.from(hex, 'hex'))), { code: 'ERR_MALFORMED' }, what)
    }
  }
})

test('bounds themselves are fine', async t => {
  const fine: [Message, number, string, unknown][] = [
    [only(i64), 0, '001fffffffffffff', Number.MAX_SAFE_INTEGER],
    [only(i64), 0, 'ffe0000000000001', -Number.MAX_SAFE_INTEGER],
    [only(array(i64)), 0, `00000003${'00'.repeat(24)}`, [0, 0, 0]],
    [only(bool), 0, '07', true],
    [only(text.orNull(1)), 1, '0000', null],
    [only(i32.tag(0, 1).default(4)), 1, '020004000000070001ff', null],
    [only(struct({ a: i8 }).orNull()), 0, 'ff', null],
    [only(struct({ a: i8 }).orNull()), 0, '0103', { a: 3 }]
  ]
  for (const [of, version, hex, value] of fine) {
    for (const make of [compile, interpret]) {
      const cursor = new Cursor(Buffer.from(hex, 'hex'))
      // A tag twice, the second time of one byte: an int32 has four.
      if (hex.startsWith('02')) t.throws(() => make(of, version).read(cursor), { code: 'ERR_MALFORMED' })
      else t.same(make(of, version).read(cursor), { field: value }, hex)
    }
  }
})

test('a null where none can be is a mistake of the caller', async t => {
  for (const make of [compile, interpret]) {
    for (const field of [text, array(i8), bytes, struct({ a: i8 })]) {
      t.throws(() => encodeBody(make(only(field), 0), { field: null }), TypeError)
    }
    t.throws(() => encodeBody(make(only(text), 1), { field: 'x'.repeat(40_000) }), { code: 'ERR_TOO_LARGE' })
    t.throws(() => encodeBody(make(only(uuid), 1), { field: 'short' }), { name: 'AssertionError' })
  }
  t.throws(() => codecOf(metadata.request, 14), { code: 'ERR_UNSUPPORTED_VERSION' })
  t.throws(() => codecOf(metadata.request, -1), { code: 'ERR_UNSUPPORTED_VERSION' })
})

test('tagged fields go by number, and their sizes take as many bytes as they need', async t => {
  const of = message({
    name: 'probe',
    versions: [0, 0],
    flexibleFrom: 0,
    fields: { late: text.tag(5, 0), early: array(i32).tag(1, 0), inner: struct({ a: i32, b: text }).tag(3, 0) }
  })
  for (const count of [0, 1, 31, 32, 127, 5000, 600_000]) {
    const draft = { late: 'x', early: Array.from({ length: count }, (_, i) => i), inner: { a: 1 } }
    for (const codec of [compile(of, 0), interpret(of, 0)]) {
      const encoded = encodeBody(codec, draft)
      t.same(codec.read(new Cursor(encoded)), { late: 'x', early: draft.early, inner: { a: 1, b: '' } })
      t.equal(encoded[1], count === 0 ? 3 : 1, 'the lowest tag first')
    }
  }
  for (const codec of [compile(of, 0), interpret(of, 0)]) {
    t.equal(encodeBody(codec, { inner: { b: '' }, early: [], late: '' }).toString('hex'), '00', 'defaults are left out')
  }
})

test('slices stay true while later messages fill the slabs', async t => {
  const kept: { parts: Buffer[]; hex: string }[] = []
  for (let i = 0; i < 400; i++) {
    const topics = [{ name: `topic-${i}`.repeat(1 + (i % 40)) }, { name: 'ü'.repeat(i) }]
    const parts = encodeResponse(metadata, 12, i, { clusterId: `c${i}`, topics })
    kept.push({ parts, hex: Buffer.concat(parts).toString('hex') })
  }
  t.ok(kept.every(({ parts, hex }) => Buffer.concat(parts).toString('hex') === hex))
  t.ok(kept.every(({ hex }, i) => hex.slice(8, 16) === i.toString(16).padStart(8, '0')))
})

test('a message larger than a slab, and one that meets its end at every byte', async t => {
  const of = only(array({ a: i16, b: text, c: bytes }))
  const field = Array.from({ length: 3000 }, (_, i) => ({ a: i, b: `text ${i}`, c: Buffer.alloc(i % 100, i) }))
  const codec = compile(of, 1)
  const large = encodeBody(codec, { field })
  t.ok(large.length > 150_000)
  t.same(codec.read(new Cursor(large)), { field })
  const small = encodeBody(codec, { field: field.slice(0, 3) }).toString('hex')
  for (let rest = 0; rest < 100; rest++) {
    const sink = new Sink()
    sink.begin()
    sink.raw(Buffer.alloc(64 * 1024 - rest - 512))
    sink.finish()
    sink.limit -= 512 // What finish() keeps in reserve must not hide the end.
    const write = (): Buffer => {
      sink.begin()
      codec.write(sink, { field: field.slice(0, 3) })
      return Buffer.concat(sink.finish())
    }
    let bytes: Buffer
    try {
      bytes = write()
      t.ok(rest >= bytes.length, 'it fitted')
    } catch (error) {
      t.equal(error, FULL)
      sink.enlarge()
      bytes = write()
    }
    t.equal(bytes.toString('hex'), small)
  }
})

/** The versions where a codec changes its shape most. */
function telling(of: Message): number[] {
  const [lowest, highest] = of.versions
  const flexible = of.flexibleFrom ?? highest
  return [...new Set([lowest, Math.max(lowest, flexible - 1), Math.max(lowest, flexible), highest])]
}

test('compiled codecs and the interpreter agree on generated values', async t => {
  for (const one of APIS as readonly Api[]) {
    for (const of of [one.request, one.response]) {
      for (const version of telling(of)) {
        const [fast, slow] = [compile(of, version), interpret(of, version)]
        const agree = (draft: Record<string, unknown>): boolean => {
          const encoded = encodeBody(fast, draft)
          if (!encoded.equals(encodeBody(slow, draft))) return false
          const [read, expected] = [fast.read(new Cursor(encoded)), slow.read(new Cursor(encoded))]
          return deepEqual(read, expected) && encodeBody(fast, read).equals(encoded)
        }
        t.doesNotThrow(
          () => fc.assert(fc.property(draftsOf(of, version), agree), { numRuns: 20 }),
          `${of.name} ${version}`
        )
      }
    }
  }
})

function deepEqual(a: unknown, b: unknown): boolean {
  const plain = (_: string, value: unknown): unknown => (typeof value === 'bigint' ? `${value}n` : value)
  return JSON.stringify(a, plain) === JSON.stringify(b, plain)
}

test('without code generation the interpreter serves', async t => {
  const script = `
    const { encodeResponse, decodeResponse } = await import('./frame.js')
    const { heartbeat } = await import('./messages/heartbeat.js')
    const frame = Buffer.concat(encodeResponse(heartbeat, 4, 7, { errorCode: 25 })).subarray(4)
    console.log(JSON.stringify(decodeResponse(heartbeat, 4, frame)))`
  const cwd = new URL('../../protocol/', import.meta.url)
  const flags = ['--disallow-code-generation-from-strings', '--input-type=module', '-e', script]
  const { stdout, stderr } = spawnSync(process.execPath, flags, { cwd, encoding: 'utf8' })
  t.equal(stdout.trim(), '{"correlationId":7,"body":{"throttleTimeMs":0,"errorCode":25}}', stderr)
})
