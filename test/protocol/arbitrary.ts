// Generated drafts of any message at any version, for comparing codecs: extremes of numbers, texts beyond ASCII and
// beyond the short path, nulls where they may be, fields left out.

import fc from 'fast-check'
import { type Field, type Fields, isNullable, isPresent, type Message } from '../../protocol/schema.ts'

const integer = (bits: number, signed: boolean): fc.Arbitrary<number> => {
  const min = signed ? -(2 ** (bits - 1)) : 0
  const max = signed ? 2 ** (bits - 1) - 1 : 2 ** bits - 1
  return fc.oneof(fc.integer({ min, max }), fc.constantFrom(min, max, 0))
}

const text = fc.oneof(
  fc.string({ maxLength: 30 }),
  fc.string({ unit: 'grapheme', maxLength: 30 }),
  fc.constantFrom(
    '',
    'a'.repeat(23),
    'b'.repeat(24),
    'c'.repeat(63),
    'd'.repeat(64),
    `${'e'.repeat(126)}é`,
    'f'.repeat(130)
  )
)
const blob = fc.uint8Array({ maxLength: 150, size: 'max' }).map(bytes => Buffer.from(bytes))

function scalarOf(field: Field): fc.Arbitrary<unknown> {
  switch (field.shape.kind) {
    case 'bool':
      return fc.boolean()
    case 'i8':
      return integer(8, true)
    case 'i16':
      return integer(16, true)
    case 'u16':
      return integer(16, false)
    case 'i32':
      return integer(32, true)
    case 'u32':
      return integer(32, false)
    case 'i64':
      return fc.maxSafeInteger()
    case 'i64max':
      return fc.oneof(fc.maxSafeInteger(), fc.constant(2 ** 63))
    case 'hash64':
      return fc.bigInt({ min: -(2n ** 63n), max: 2n ** 63n - 1n })
    case 'f64':
      return fc.double()
    case 'uuid':
      return fc.uint8Array({ minLength: 16, maxLength: 16 }).map(bytes => Buffer.from(bytes).toString('base64url'))
    case 'text':
      return text
    default:
      return blob
  }
}

function anyOf(field: Field, version: number, depth: number): fc.Arbitrary<unknown> {
  const { kind, element, fields } = field.shape
  let value: fc.Arbitrary<unknown>
  if (kind === 'struct') value = draftOf(fields as Fields, version, depth)
  else if (kind === 'array') {
    // Long enough at the top for lengths of two bytes in tagged fields, short inside, or messages would explode.
    const maxLength = depth === 0 ? 12 : 3
    value = fc.array(anyOf(element as Field, version, depth + 1), { maxLength, size: 'max' })
  } else value = scalarOf(field)
  return isNullable(field, version) ? fc.option(value, { freq: 4 }) : value
}

function draftOf(fields: Fields, version: number, depth: number): fc.Arbitrary<Record<string, unknown>> {
  const parts: Record<string, fc.Arbitrary<unknown>> = {}
  for (const [name, field] of Object.entries(fields)) {
    if (!isPresent(field, version)) continue
    parts[name] = fc.option(anyOf(field, version, depth), { nil: undefined, freq: 6 })
  }
  return fc.record(parts)
}

export function draftsOf(of: Message, version: number): fc.Arbitrary<Record<string, unknown>> {
  return draftOf(of.fields, version, 0)
}
