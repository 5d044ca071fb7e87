// Writes the source of decoders. Generated code keeps the position in a local, reads numbers by the Buffer's own methods
// (whose own check guards the end of the bytes), and builds each object by one literal: one hidden class for all versions.

import type { Source } from './compile.ts'
import {
  type Field,
  type Fields,
  isFlexible,
  isNullable,
  isPresent,
  type Kind,
  leastBytes,
  type Message
} from './schema.ts'

const NUMBERS: { readonly [K in Kind]?: readonly [string, number] } = {
  i8: ['readInt8', 1],
  i16: ['readInt16BE', 2],
  u16: ['readUInt16BE', 2],
  i32: ['readInt32BE', 4],
  u32: ['readUInt32BE', 4],
  hash64: ['readBigInt64BE', 8],
  f64: ['readDoubleBE', 8]
}

/** Arrays up to this length. */
const SIZED_AT_ONCE = 64

export function readerSource(of: Message, version: number): Source {
  const writer = new ReaderWriter(version, isFlexible(of, version))
  const result = writer.struct(of.fields)
  const body = writer.lines.join('\n')
  const code = `return function read(c) {
const b = c.bytes, end = c.end
let p = c.position, n = 0
${body}
c.position = p
return ${result}
}`
  return { code, fields: [] }
}

class ReaderWriter {
  readonly lines: string[] = []
  readonly #version: number
  readonly #flexible: boolean
  #names = 0

  constructor(version: number, flexible: boolean) {
    this.#version = version
    this.#flexible = flexible
  }

  #name(): string {
    return `$${this.#names++}`
  }

  /** Emits the reading of all fields and gives the object literal. */
  struct(fields: Fields): string {
    const names: string[] = []
    const tagged: { field: Field; local: string }[] = []
    for (const [name, field] of Object.entries(fields)) {
      const local = this.#name()
      names.push(`${name}: ${local}`)
      const isTagged = field.shape.tagNumber >= 0
      if (!isPresent(field, this.#version)) {
        this.lines.push(`const ${local} = ${this.#fallback(field)}`)
      } else if (isTagged) {
        this.lines.push(`let ${local} = ${this.#fallback(field)}`)
        tagged.push({ field, local })
      } else {
        this.lines.push(`let ${local}`)
        this.#value(local, field, name)
      }
    }
    if (this.#flexible) this.#tags(tagged)
    return `{ ${names.join(', ')} }`
  }

  #fallback(field: Field): string {
    const { kind, fallback, fields } = field.shape
    if (fallback === null) return 'null'
    if (kind === 'array') return '[]'
    if (kind === 'bytes') return 'EMPTY_BYTES'
    if (kind === 'hash64') return `${fallback}n`
    if (kind !== 'struct') return typeof fallback === 'number' ? `${fallback}` : JSON.stringify(fallback)
    const inner = Object.entries(fields as Fields).map(([name, part]) => `${name}: ${this.#fallback(part)}`)
    return `{ ${inner.join(', ')} }`
  }

  #tags(tagged: readonly { field: Field; local: string }[]): void {
    const count = this.#name()
    this.#uvarint()
    this.lines.push(`for (let ${count} = n; ${count} > 0; ${count}--) {`)
    this.#uvarint()
    if (tagged.length === 0) {
      this.#uvarint()
      this.lines.push(`if (n > end - p) throw malformed('a tagged field longer than the bytes left', p)\np += n\n}`)
      return
    }
    const tag = this.#name()
    const stop = this.#name()
    this.lines.push(`const ${tag} = n`)
    this.#uvarint()
    this.lines.push(`if (n > end - p) throw malformed('a tagged field longer than the bytes left', p)`)
    this.lines.push(`const ${stop} = p + n`, `switch (${tag}) {`)
    for (const { field, local } of tagged) {
      this.lines.push(`case ${field.shape.tagNumber}: {`)
      this.#value(local, field, `tag ${field.shape.tagNumber}`)
      this.lines.push(`if (p !== ${stop}) throw malformed('a tagged field of another size than it says', p)\nbreak\n}`)
    }
    this.lines.push(`default: p = ${stop}\n}\n}`)
  }

  /** Reads an unsigned varint into n; one byte is the common case. */
  #uvarint(): void {
    this.lines.push(`n = b.readUInt8(p++)\nif (n > 127) { c.position = p - 1; n = c.uvarint(); p = c.position }`)
  }

  #value(local: string, field: Field, name: string): void {
    const { kind } = field.shape
    const number = NUMBERS[kind]
    if (number !== undefined) this.lines.push(`${local} = b.${number[0]}(p); p += ${number[1]}`)
    else if (kind === 'bool') this.lines.push(`${local} = b.readInt8(p) !== 0; p += 1`)
    else if (kind === 'i64') this.#i64(local, name)
    else if (kind === 'i64max') this.lines.push(`c.position = p; ${local} = c.i64max(); p = c.position`)
    else if (kind === 'uuid') {
      this.lines.push(`if (end - p < 16) throw malformed('${name} (uuid) ends too early', p)`)
      this.lines.push(`${local} = uuidAt(b, p); p += 16`)
    } else if (kind === 'struct') this.#struct(local, field)
    else this.#sized(local, field, name)
  }

  #i64(local: string, name: string): void {
    this.lines.push(`${local} = b.readInt32BE(p) * 4294967296 + b.readUInt32BE(p + 4)`)
    this.lines.push(`if (${local} > 9007199254740991 || ${local} < -9007199254740991) {`)
    this.lines.push(`throw malformed('${name} (int64) is beyond 2^53-1', p)\n}\np += 8`)
  }

  #struct(local: string, field: Field): void {
    const inner = field.shape.fields as Fields
    if (!isNullable(field, this.#version)) {
      // A block of its own: names are unique, but short scopes keep registers few.
      this.lines.push('{')
      this.lines.push(`${local} = ${this.struct(inner)}`, '}')
      return
    }
    if (field.shape.tagNumber < 0) this.lines.push(`if (b.readInt8(p++) < 0) ${local} = null`, 'else {')
    else {
      // A tagged struct is led by an unsigned varint instead, 0 null or 1 present (MessageDataGenerator).
      this.#uvarint()
      this.lines.push(`if (n === 0) ${local} = null`, 'else {')
    }
    this.lines.push(`${local} = ${this.struct(inner)}`, '}')
  }

  /** Text, bytes, records and arrays: a length, then so much. */
  #sized(local: string, field: Field, name: string): void {
    const { kind, rigid } = field.shape
    if (this.#flexible && !rigid) {
      this.#uvarint()
      this.lines.push('n -= 1')
    } else if (kind === 'text') this.lines.push('n = b.readInt16BE(p); p += 2')
    else this.lines.push('n = b.readInt32BE(p); p += 4')
    const whenNull = isNullable(field, this.#version)
      ? `${local} = null`
      : `throw malformed('${name} is null, which it cannot be', p)`
    this.lines.push(`if (n < 0) ${whenNull}`, 'else {')
    if (kind === 'array') this.#array(local, field, name)
    else {
      this.lines.push(`if (n > end - p) throw malformed('${name} is longer than the bytes left', p)`)
      if (kind === 'text') {
        this.lines.push(`if (n > 32767) throw malformed('${name} is longer than 32767 bytes', p)`)
        this.lines.push(`${local} = textAt(b, p, n); p += n`)
      } else this.lines.push(`${local} = b.subarray(p, p + n); p += n`)
    }
    this.lines.push('}')
  }

  #array(local: string, field: Field, name: string): void {
    const element = field.shape.element as Field
    const least = Math.max(1, leastBytes(element, this.#version, this.#flexible))
    const index = this.#name()
    const item = this.#name()
    this.lines.push(`if (n * ${least} > end - p) throw malformed('${name} has more elements than the bytes left', p)`)
    const count = this.#name()
    // An array that grows takes room for seventeen at its first element; what only claims to be long gets none before.
    this.lines.push(`const ${count} = n`, `${local} = n <= ${SIZED_AT_ONCE} ? new Array(n) : []`)
    this.lines.push(`for (let ${index} = 0; ${index} < ${count}; ${index}++) {`, `let ${item}`)
    this.#value(item, element, name)
    this.lines.push(`${local}[${index}] = ${item}`, '}')
  }
}
