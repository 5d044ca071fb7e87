// Codecs made on first use: the source of one function per (message, version, direction) goes through `new Function`
// (0.1 ms each). Where code generation from strings is forbidden the interpreter serves instead, some fifty times slower.

import { type Cursor, malformed, textAt, uuidAt } from './cursor.ts'
import { MoldauError } from './failure.ts'
import { interpret } from './interpret.ts'
import { readerSource } from './reader-source.ts'
import {
  type Codec,
  type Decoded,
  type Draft,
  EMPTY_BYTES,
  type Field,
  type Fields,
  INT64_MAX,
  isDefault,
  isKnownVersion,
  type Message
} from './schema.ts'
import { closeTag, FULL, putBytes, putText, putUuid, putUvarint, type Sink } from './sink.ts'
import { writerSource } from './writer-source.ts'

/** The codec of a message at a version; an unknown version is ERR_UNSUPPORTED_VERSION. */
export function codecOf<F extends Fields>(of: Message<F>, version: number): Codec<Decoded<F>, Draft<F>> {
  let codec = of.codecs[version]
  if (codec === undefined) {
    if (!Number.isInteger(version) || !isKnownVersion(of, version)) {
      throw new MoldauError('ERR_UNSUPPORTED_VERSION', `${of.name} has no version ${version}`)
    }
    codec = mayGenerate ? compile(of, version) : interpret(of, version)
    of.codecs[version] = codec
  }
  return codec as Codec<Decoded<F>, Draft<F>>
}

/** The compiled codec, made afresh. */
export function compile(of: Message, version: number): Codec {
  const read = generate(readerSource(of, version), readerScope) as Codec['read']
  const write = generate(writerSource(of, version), writerScope) as Codec['write']
  const name = `${of.name} ${version}`
  return {
    read(cursor: Cursor): unknown {
      const start = cursor.position
      try {
        return read(cursor)
      } catch (error) {
        // A Buffer checks each read of a number; behind the end it throws a RangeError. The generated code does
        // nothing else that could throw one.
        if (error instanceof RangeError) throw malformed(`${name}: the bytes end too early; it began`, start)
        if (!(error instanceof MoldauError)) throw error
        throw new MoldauError(error.code, `${name}: ${error.message}`)
      }
    },
    write(sink: Sink, draft: unknown): void {
      write(sink, draft as Record<string, unknown>)
    }
  }
}

function refuseNull(name: string): never {
  throw new TypeError(`${name} cannot be null at this version`)
}

const readerScope = { malformed, textAt, uuidAt, EMPTY_BYTES }
const writerScope = { closeTag, FULL, INT64_MAX, isDefault, putBytes, putText, putUuid, putUvarint, refuseNull }

/** Code, and the fields that it needs as objects: tagged structs, to be compared with their defaults. */
export interface Source {
  readonly code: string
  readonly fields: readonly Field[]
}

function generate({ code, fields }: Source, scope: object): unknown {
  const make = new Function(
    'scope',
    'fields',
    `'use strict'\nconst { ${Object.keys(scope).join(', ')} } = scope\n${code}`
  )
  return make(scope, fields)
}

function tryGenerate(): boolean {
  try {
    return new Function('return true')() === true
  } catch {
    return false // --disallow-code-generation-from-strings
  }
}

const mayGenerate = tryGenerate()
