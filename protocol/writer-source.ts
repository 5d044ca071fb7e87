// Writes the source of encoders. Numbers that follow each other share one check of the room left; a value left out of
// the draft becomes its default here, so that every version writes the same from the same draft.

import type { Source } from './compile.ts'
import { type Field, type Fields, fixedBytes, isFlexible, isNullable, isPresent, type Message } from './schema.ts'

export function writerSource(of: Message, version: number): Source {
  const writer = new WriterWriter(version, isFlexible(of, version))
  writer.struct('d', of.fields)
  writer.flush()
  const code = `const NONE = Object.freeze([]), BARE = Object.freeze({})
return function write(s, d) {
const b = s.bytes, dv = s.view, limit = s.limit
let p = s.position, n = 0
${writer.lines.join('\n')}
s.position = p
}`
  return { code, fields: writer.fields }
}

class WriterWriter {
  readonly lines: string[] = []
  readonly fields: Field[] = []
  readonly #version: number
  readonly #flexible: boolean
  #names = 0
  /** Statements of fixed size that wait for a common check, and their bytes. */
  #run: string[] = []
  #runBytes = 0

  constructor(version: number, flexible: boolean) {
    this.#version = version
    this.#flexible = flexible
  }

  #name(): string {
    return `$${this.#names++}`
  }

  #line(code: string): void {
    this.flush()
    this.lines.push(code)
  }

  flush(): void {
    if (this.#runBytes === 0) return
    this.lines.push(`if (p + ${this.#runBytes} > limit) throw FULL`, ...this.#run, `p += ${this.#runBytes}`)
    this.#run = []
    this.#runBytes = 0
  }

  #fixed(size: number, code: (at: string) => string): void {
    this.#run.push(code(this.#runBytes === 0 ? 'p' : `p + ${this.#runBytes}`))
    this.#runBytes += size
  }

  struct(from: string, fields: Fields): void {
    const tagged: { field: Field; local: string; has: string; name: string }[] = []
    for (const [name, field] of Object.entries(fields)) {
      if (!isPresent(field, this.#version)) continue
      const local = this.#name()
      this.#declare(`let ${local} = ${from}.${name}`)
      if (field.shape.tagNumber >= 0) {
        const has = this.#name()
        this.#declare(`const ${has} = ${this.#differs(local, field)}`)
        tagged.push({ field, local, has, name })
      } else {
        this.#declare(`if (${local} === undefined) ${local} = ${this.#fallback(field)}`)
        this.#value(local, field, name)
      }
    }
    if (this.#flexible) this.#tags(tagged.sort((a, b) => a.field.shape.tagNumber - b.field.shape.tagNumber))
  }

  /** A line that may stand before the waiting run, which it does not touch. */
  #declare(code: string): void {
    this.lines.push(code)
  }

  #fallback(field: Field): string {
    const { kind, fallback } = field.shape
    if (fallback === null) return 'null'
    if (kind === 'array' || kind === 'bytes') return 'NONE'
    if (kind === 'struct') return 'BARE'
    if (kind === 'hash64') return `${fallback}n`
    return typeof fallback === 'number' ? `${fallback}` : JSON.stringify(fallback)
  }

  /** Whether a tagged field must be written; Kafka leaves out what equals its default. */
  #differs(local: string, field: Field): string {
    const { kind, fallback } = field.shape
    if (fallback === null) return `${local} !== undefined && ${local} !== null`
    if (kind === 'array' || kind === 'bytes')
      return `${local} !== undefined && (${local} === null || ${local}.length > 0)`
    if (kind === 'struct') return `!isDefault(fields[${this.fields.push(field) - 1}], ${local})`
    return `${local} !== undefined && ${local} !== ${this.#fallback(field)}`
  }

  #tags(tagged: readonly { field: Field; local: string; has: string; name: string }[]): void {
    if (tagged.length === 0) {
      this.#fixed(1, at => `dv.setInt8(${at}, 0)`)
      return
    }
    this.#line(`p = putUvarint(b, p, limit, ${tagged.map(({ has }) => `(${has} ? 1 : 0)`).join(' + ')})`)
    for (const { field, local, has, name } of tagged) {
      const at = this.#name()
      this.#line(`if (${has}) {`)
      this.#line(`p = putUvarint(b, p, limit, ${field.shape.tagNumber})`)
      this.#line(`const ${at} = p++`)
      this.#value(local, field, name)
      this.#line(`p = closeTag(b, ${at}, p, limit)\n}`)
    }
  }

  #value(local: string, field: Field, name: string): void {
    const { kind } = field.shape
    const size = fixedBytes(field)
    if (size > 0) this.#fixed(size, at => this.#number(local, field, at))
    else if (kind === 'struct') this.#struct(local, field, name)
    else this.#sized(local, field, name)
  }

  #number(local: string, field: Field, at: string): string {
    switch (field.shape.kind) {
      case 'bool':
        return `dv.setInt8(${at}, ${local} ? 1 : 0)`
      case 'i8':
        return `dv.setInt8(${at}, ${local})`
      case 'i16':
      case 'u16':
        return `dv.setInt16(${at}, ${local})`
      case 'i32':
      case 'u32':
        return `dv.setInt32(${at}, ${local})`
      case 'i64':
        return `dv.setInt32(${at}, Math.floor(${local} / 4294967296)); dv.setInt32(${at} + 4, ${local})`
      case 'i64max':
        return (
          `if (${local} === INT64_MAX) { dv.setInt32(${at}, 0x7fffffff); dv.setInt32(${at} + 4, -1) } else {` +
          ` dv.setInt32(${at}, Math.floor(${local} / 4294967296)); dv.setInt32(${at} + 4, ${local}) }`
        )
      case 'hash64':
        return `dv.setBigInt64(${at}, ${local})`
      case 'f64':
        return `dv.setFloat64(${at}, ${local})`
      default:
        return `putUuid(b, ${at}, ${local})`
    }
  }

  #struct(local: string, field: Field, name: string): void {
    const inner = field.shape.fields as Fields
    if (!isNullable(field, this.#version)) {
      this.#declare(`if (${local} === null) refuseNull('${name}')`)
      this.struct(local, inner)
      return
    }
    // A tagged struct is led by an unsigned varint instead, 0 null or 1 present (MessageDataGenerator).
    const absent = field.shape.tagNumber < 0 ? -1 : 0
    this.#fixed(1, at => `dv.setInt8(${at}, ${local} === null ? ${absent} : 1)`)
    this.#line(`if (${local} !== null) {`)
    this.struct(local, inner)
    this.#line('}')
  }

  /** Text, bytes, records and arrays: a length, then so much. */
  #sized(local: string, field: Field, name: string): void {
    const { kind, rigid } = field.shape
    const compact = this.#flexible && !rigid
    this.#line(`if (${local} === null) {`)
    if (!isNullable(field, this.#version)) this.#line(`refuseNull('${name}')`)
    else if (compact) this.#fixed(1, at => `dv.setInt8(${at}, 0)`)
    else if (kind === 'text') this.#fixed(2, at => `dv.setInt16(${at}, -1)`)
    else this.#fixed(4, at => `dv.setInt32(${at}, -1)`)
    this.#line('} else {')
    if (kind === 'text') this.#line(`p = putText(b, p, limit, ${local}, ${compact})`)
    else {
      const count = kind === 'records' ? this.#recordsSize(local) : `${local}.length`
      if (compact) this.#line(`p = putUvarint(b, p, limit, ${count} + 1)`)
      else this.#fixed(4, at => `dv.setInt32(${at}, ${count})`)
      if (kind === 'bytes') this.#line(`p = putBytes(b, p, limit, ${local})`)
      else if (kind === 'records') this.#line(`s.position = p; s.pass(${local}); p = s.position`)
      else this.#array(local, field, name)
    }
    this.#line('}')
  }

  #recordsSize(local: string): string {
    this.#line(
      `if (Array.isArray(${local})) { n = 0; for (const part of ${local}) n += part.length } else n = ${local}.length`
    )
    return 'n'
  }

  #array(local: string, field: Field, name: string): void {
    const index = this.#name()
    const item = this.#name()
    this.#line(`for (let ${index} = 0; ${index} < ${local}.length; ${index}++) {`)
    this.lines.push(`const ${item} = ${local}[${index}]`)
    this.#value(item, field.shape.element as Field, name)
    this.#line('}')
  }
}
