// The slow, obvious codec: walks the schema field by field. It is the oracle that compiled codecs are tested against,
// and their stand-in where code generation is forbidden. It shares only the primitives with them.

import { type Cursor, malformed } from './cursor.ts'
import { MoldauError } from './failure.ts'
import {
  type Codec,
  defaultOf,
  type Field,
  type Fields,
  isDefault,
  isFlexible,
  isNullable,
  isPresent,
  leastBytes,
  type Message
} from './schema.ts'
import type { Sink } from './sink.ts'

interface Mode {
  readonly version: number
  readonly flexible: boolean
}

type Values = Record<string, unknown>

export function interpret(of: Message, version: number): Codec {
  const mode = { version, flexible: isFlexible(of, version) }
  return {
    read(cursor) {
      try {
        return readStruct(cursor, of.fields, mode)
      } catch (error) {
        if (!(error instanceof MoldauError)) throw error
        throw new MoldauError(error.code, `${of.name} ${version}: ${error.message}`)
      }
    },
    write(sink, draft) {
      writeStruct(sink, of.fields, draft as Values, mode)
    }
  }
}

function readStruct(cursor: Cursor, fields: Fields, mode: Mode): Values {
  const values: Values = {}
  const tagged = new Map<number, [string, Field]>()
  for (const [name, field] of Object.entries(fields)) {
    const isTagged = field.shape.tagNumber >= 0
    if (!isPresent(field, mode.version) || isTagged) values[name] = defaultOf(field)
    else values[name] = readValue(cursor, field, mode)
    if (isPresent(field, mode.version) && isTagged) tagged.set(field.shape.tagNumber, [name, field])
  }
  if (!mode.flexible) return values
  for (let count = cursor.uvarint(); count > 0; count--) {
    const known = tagged.get(cursor.uvarint())
    const size = cursor.uvarint()
    const stop = cursor.skip(size) + size
    if (known === undefined) continue
    cursor.position = stop - size
    values[known[0]] = readValue(cursor, known[1], mode)
    if (cursor.position !== stop) throw malformed('a tagged field of another size than it says', cursor.position)
  }
  return values
}

function readValue(cursor: Cursor, field: Field, mode: Mode): unknown {
  const { kind, fields, element } = field.shape
  if (kind === 'struct') {
    if (isNullable(field, mode.version)) {
      // A tagged struct is led by an unsigned varint, 0 null or 1 present; one at its place by -1 or 1.
      const isNull = field.shape.tagNumber < 0 ? cursor.i8() < 0 : cursor.uvarint() === 0
      if (isNull) return null
    }
    return readStruct(cursor, fields as Fields, mode)
  }
  if (kind !== 'text' && kind !== 'bytes' && kind !== 'records' && kind !== 'array') return cursor[kind]()
  const n = readLength(cursor, field, mode)
  if (n < 0) {
    if (isNullable(field, mode.version)) return null
    throw malformed('a null where none can be', cursor.position)
  }
  if (kind === 'text') {
    if (n > 0x7fff) throw malformed('a text longer than 32767 bytes', cursor.position)
    return cursor.text(n)
  }
  if (kind !== 'array') return cursor.take(n)
  const least = Math.max(1, leastBytes(element as Field, mode.version, mode.flexible))
  if (n * least > cursor.remaining) throw malformed('more elements than the bytes left', cursor.position)
  return Array.from({ length: n }, () => readValue(cursor, element as Field, mode))
}

function readLength(cursor: Cursor, field: Field, mode: Mode): number {
  if (mode.flexible && !field.shape.rigid) return cursor.uvarint() - 1
  return field.shape.kind === 'text' ? cursor.i16() : cursor.i32()
}

function writeStruct(sink: Sink, fields: Fields, draft: Values, mode: Mode): void {
  const tagged: [string, Field][] = []
  for (const [name, field] of Object.entries(fields)) {
    if (!isPresent(field, mode.version)) continue
    if (field.shape.tagNumber < 0) writeValue(sink, field, draft[name], mode)
    else if (!isDefault(field, draft[name])) tagged.push([name, field])
  }
  if (!mode.flexible) return
  tagged.sort(([, a], [, b]) => a.shape.tagNumber - b.shape.tagNumber)
  sink.uvarint(tagged.length)
  for (const [name, field] of tagged) {
    sink.uvarint(field.shape.tagNumber)
    sink.tagged(() => writeValue(sink, field, draft[name], mode))
  }
}

function writeValue(sink: Sink, field: Field, given: unknown, mode: Mode): void {
  const { kind, fields } = field.shape
  const value = given === undefined ? defaultOf(field) : given
  if (value === null && !isNullable(field, mode.version)) throw new TypeError('null where none can be')
  if (kind === 'struct') {
    const absent = field.shape.tagNumber < 0 ? -1 : 0
    if (isNullable(field, mode.version)) sink.i8(value === null ? absent : 1)
    if (value !== null) writeStruct(sink, fields as Fields, value as Values, mode)
  } else if (kind === 'text' || kind === 'bytes' || kind === 'records' || kind === 'array') {
    writeSized(sink, field, value, mode)
  } else if (kind === 'bool') sink.i8(value === true ? 1 : 0)
  else if (kind === 'uuid') sink.uuid(value as string)
  else if (kind === 'hash64') sink.hash64(value as bigint)
  else writeNumber(sink, kind, value as number)
}

function writeNumber(sink: Sink, kind: string, value: number): void {
  if (kind === 'i8') sink.i8(value)
  else if (kind === 'i16' || kind === 'u16') sink.i16(value)
  else if (kind === 'i32' || kind === 'u32') sink.i32(value)
  else if (kind === 'f64') sink.f64(value)
  else sink.i64(value)
}

function writeSized(sink: Sink, field: Field, value: unknown, mode: Mode): void {
  const { kind, rigid, element } = field.shape
  const compact = mode.flexible && !rigid
  if (value === null) writeLength(sink, field, -1, compact)
  else if (kind === 'text') sink.text(value as string, compact)
  else if (kind === 'array') {
    const items = value as unknown[]
    writeLength(sink, field, items.length, compact)
    for (const item of items) writeValue(sink, element as Field, item, mode)
  } else {
    const parts = Array.isArray(value) ? (value as Buffer[]) : [value as Buffer]
    const size = parts.reduce((sum, part) => sum + part.length, 0)
    writeLength(sink, field, size, compact)
    if (kind === 'records') sink.pass(parts)
    else for (const part of parts) sink.raw(part)
  }
}

function writeLength(sink: Sink, field: Field, length: number, compact: boolean): void {
  if (compact) sink.uvarint(length + 1)
  else if (field.shape.kind === 'text') sink.i16(length)
  else sink.i32(length)
}
