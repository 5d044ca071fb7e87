// The words in which a message is described: field types, version ranges, tags, defaults. A schema is plain data;
// types are inferred from it, codecs are made from it (compile.ts, interpret.ts). One schema serves all versions.

import type { Cursor } from './cursor.ts'
import type { Sink } from './sink.ts'
import { type Uuid, ZERO_UUID } from './types.ts'

export type Kind =
  | 'bool'
  | 'i8'
  | 'i16'
  | 'u16'
  | 'i32'
  | 'u32'
  | 'i64'
  | 'i64max'
  | 'hash64'
  | 'f64'
  | 'uuid'
  | 'text'
  | 'bytes'
  | 'records'
  | 'array'
  | 'struct'

interface Shape {
  readonly kind: Kind
  /** First and last version that has the field. */
  readonly from: number
  readonly upto: number
  /** First and last version in which it may be null; nullFrom is Infinity where it never may. */
  readonly nullFrom: number
  readonly nullUpto: number
  /** Tag number (KIP-482), or -1 for a field at its place. */
  readonly tagNumber: number
  /** What a version without the field decodes to; undefined: the empty struct. Arrays have only null or []. */
  readonly fallback: unknown
  readonly element: Field | null
  readonly fields: Fields | null
  /** Never compact, even in flexible versions (the client id of the request header). */
  readonly rigid: boolean
}

/** One field: T is what decode gives, D what encode takes. Each method gives a new field. */
export class Field<T = unknown, D = T> {
  declare readonly decoded: T
  declare readonly draft: D
  readonly shape: Shape

  constructor(shape: Shape) {
    this.shape = shape
  }

  /** The first version that has the field. */
  since(version: number): Field<T, D> {
    return new Field({ ...this.shape, from: version })
  }

  /** The last version that has the field. */
  until(version: number): Field<T, D> {
    return new Field({ ...this.shape, upto: version })
  }

  /** It may be null, in these versions; the default stays what it is. */
  orNull(since = 0, until = Number.POSITIVE_INFINITY): Field<T | null, D | null> {
    return new Field({ ...this.shape, nullFrom: since, nullUpto: until })
  }

  /** It travels as a tagged field: written only when it differs from its default. */
  tag(number: number, since: number): Field<T, D> {
    return new Field({ ...this.shape, tagNumber: number, from: since })
  }

  default(value: D): Field<T, D> {
    return new Field({ ...this.shape, fallback: value })
  }

  /** Keeps the classic length prefix in flexible versions too. */
  neverCompact(): Field<T, D> {
    return new Field({ ...this.shape, rigid: true })
  }
}

export interface Fields {
  readonly [name: string]: Field
}

/** The object that decode gives: every field present. */
export type Decoded<F extends Fields> = { -readonly [K in keyof F]: F[K]['decoded'] }
/** The object that encode takes: a field left out counts as its default. */
export type Draft<F extends Fields> = { readonly [K in keyof F]?: F[K]['draft'] | undefined }

function scalar<T>(kind: Kind, fallback: unknown): Field<T> {
  return new Field<T>({
    kind,
    from: 0,
    upto: Number.POSITIVE_INFINITY,
    nullFrom: Number.POSITIVE_INFINITY,
    nullUpto: Number.POSITIVE_INFINITY,
    tagNumber: -1,
    fallback,
    element: null,
    fields: null,
    rigid: false
  })
}

/** What the sentinel 2^63-1 of an `i64max` field becomes: it lies beyond every safe integer and compares above all. */
export const INT64_MAX = 2 ** 63
export const EMPTY_BYTES: Buffer = Buffer.alloc(0)

export const bool = scalar<boolean>('bool', false)
export const i8 = scalar<number>('i8', 0)
export const i16 = scalar<number>('i16', 0)
export const u16 = scalar<number>('u16', 0)
export const i32 = scalar<number>('i32', 0)
export const u32 = scalar<number>('u32', 0)
/** A number; beyond +-(2^53-1) the bytes are malformed. */
export const i64 = scalar<number>('i64', 0)
/** An i64 in which 2^63-1 means "no bound" and reads as INT64_MAX. */
export const i64max = scalar<number>('i64max', 0)
/** All 64 bits, as a bigint: hashes, never counted with and never on a hot path. */
export const hash64 = scalar<bigint>('hash64', 0n)
export const f64 = scalar<number>('f64', 0)
export const uuid = scalar<Uuid>('uuid', ZERO_UUID)
export const text = scalar<string>('text', '')
/** A view on the received bytes; copied when encoded. */
export const bytes = scalar<Buffer>('bytes', EMPTY_BYTES)
/** Record batches: a view on the received bytes; when encoded, passed on by reference, in pieces if need be. */
export const records = (scalar<Buffer>('records', null) as Field<Buffer, Buffer | readonly Buffer[]>).orNull()

export function struct<F extends Fields>(fields: F): Field<Decoded<F>, Draft<F>> {
  const { shape } = scalar('struct', undefined)
  return new Field<Decoded<F>, Draft<F>>({ ...shape, fields })
}

export function array<T, D>(element: Field<T, D>): Field<T[], readonly D[]>
export function array<F extends Fields>(fields: F): Field<Decoded<F>[], readonly Draft<F>[]>
export function array(of: Field | Fields): Field<unknown[], readonly unknown[]> {
  const element = of instanceof Field ? of : struct(of)
  return new Field({ ...scalar('array', []).shape, element })
}

/** Reads and writes one message at one version. */
export interface Codec<T = unknown, D = T> {
  read(cursor: Cursor): T
  write(sink: Sink, draft: D): void
}

/** A request, a response, a header or a record: fields with the versions that it comes in. */
export interface Message<F extends Fields = Fields> {
  readonly name: string
  /** Lowest and highest version, inclusive. */
  readonly versions: readonly [number, number]
  /** The first version with compact lengths and tagged fields (KIP-482), null where there is none. */
  readonly flexibleFrom: number | null
  readonly fields: F
  /** Codecs made so far, by version; compile.ts fills it. */
  readonly codecs: Codec[]
}

export function message<F extends Fields>(facts: Omit<Message<F>, 'codecs'>): Message<F> {
  return { ...facts, codecs: [] }
}

export type Listener = 'broker' | 'controller'

/** One API: a request and its response. */
export interface Api<Q extends Fields = Fields, S extends Fields = Fields> {
  readonly key: number
  readonly name: string
  /** Lowest and highest version that is offered. */
  readonly versions: readonly [number, number]
  /** A version above that, still unstable: understood, offered only on demand. */
  readonly unstable: number | null
  readonly flexibleFrom: number | null
  readonly listeners: readonly Listener[]
  readonly request: Message<Q>
  readonly response: Message<S>
}

export function api<Q extends Fields, S extends Fields>(facts: {
  key: number
  name: string
  versions: readonly [number, number]
  unstable?: number
  flexibleFrom: number | null
  listeners: readonly Listener[]
  request: Q
  response: S
}): Api<Q, S> {
  const { key, name, flexibleFrom, listeners, unstable = null } = facts
  const versions = [facts.versions[0], unstable ?? facts.versions[1]] as const
  return {
    key,
    name,
    versions: facts.versions,
    unstable,
    flexibleFrom,
    listeners,
    request: message({ name: `${name} request`, versions, flexibleFrom, fields: facts.request }),
    response: message({ name: `${name} response`, versions, flexibleFrom, fields: facts.response })
  }
}

export type RequestOf<A extends Api> = Decoded<A['request']['fields']>
export type ResponseOf<A extends Api> = Decoded<A['response']['fields']>
export type RequestDraft<A extends Api> = Draft<A['request']['fields']>
export type ResponseDraft<A extends Api> = Draft<A['response']['fields']>
export type RecordOf<M extends Message> = Decoded<M['fields']>
export type RecordDraft<M extends Message> = Draft<M['fields']>

/** Whether a version has the field. */
export function isPresent(field: Field, version: number): boolean {
  return version >= field.shape.from && version <= field.shape.upto
}

export function isNullable(field: Field, version: number): boolean {
  return version >= field.shape.nullFrom && version <= field.shape.nullUpto
}

export function isFlexible(of: Message, version: number): boolean {
  return of.flexibleFrom !== null && version >= of.flexibleFrom
}

/** Whether that version exists at all, the unstable one included. */
export function isKnownVersion(of: Message, version: number): boolean {
  return version >= of.versions[0] && version <= of.versions[1]
}

/** The value of a field that is not on the wire; a fresh one where it can be changed. */
export function defaultOf(field: Field): unknown {
  const { kind, fallback, fields } = field.shape
  if (fallback === null) return null
  if (kind === 'array') return []
  if (kind !== 'struct') return fallback
  const whole: Record<string, unknown> = {}
  for (const [name, inner] of Object.entries(fields as Fields)) whole[name] = defaultOf(inner)
  return whole
}

/** Whether a draft's value says the same as leaving the field out (tagged fields are then not written). */
export function isDefault(field: Field, value: unknown): boolean {
  const { kind, fallback, fields } = field.shape
  if (value === undefined) return true
  if (fallback === null || value === null) return value === fallback
  if (kind === 'array' || kind === 'bytes') return (value as { length: number }).length === 0
  if (kind !== 'struct') return value === fallback
  const inner = value as Record<string, unknown>
  return Object.entries(fields as Fields).every(([name, part]) => isDefault(part, inner[name]))
}

const FIXED_BYTES: { readonly [K in Kind]?: number } = {
  bool: 1,
  i8: 1,
  i16: 2,
  u16: 2,
  i32: 4,
  u32: 4,
  i64: 8,
  i64max: 8,
  hash64: 8,
  f64: 8,
  uuid: 16
}

/** The bytes of a field whose size never varies, else 0. */
export function fixedBytes(field: Field): number {
  return FIXED_BYTES[field.shape.kind] ?? 0
}

/** The fewest bytes that a value can take: bounds the count of an array before memory is taken for it. */
export function leastBytes(field: Field, version: number, flexible: boolean): number {
  const { kind, fields, rigid } = field.shape
  if (kind !== 'struct') {
    const prefix = kind === 'text' ? 2 : 4
    return fixedBytes(field) || (flexible && !rigid ? 1 : prefix)
  }
  if (isNullable(field, version)) return 1
  let sum = flexible ? 1 : 0
  for (const inner of Object.values(fields as Fields)) {
    if (isPresent(inner, version) && inner.shape.tagNumber < 0) sum += leastBytes(inner, version, flexible)
  }
  return sum
}
