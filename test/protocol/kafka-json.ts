// Decoded values <-> JSON as Kafka's JsonConverter writes it: only fields of the version, tagged ones only when they
// differ from their default, bytes and records in base64.

import { type Field, type Fields, isDefault, isPresent } from '../../protocol/schema.ts'

type Values = Record<string, unknown>

export function toKafkaJson(fields: Fields, values: Values, version: number): Values {
  const json: Values = {}
  for (const [name, field] of Object.entries(fields)) {
    if (!isPresent(field, version)) continue
    if (field.shape.tagNumber >= 0 && isDefault(field, values[name])) continue
    json[name] = toJson(field, values[name], version)
  }
  return json
}

export function fromKafkaJson(fields: Fields, json: Values): Values {
  const values: Values = {}
  for (const [name, value] of Object.entries(json)) {
    const field = fields[name]
    if (field === undefined) throw new Error(`the schema has no field ${name}`)
    values[name] = fromJson(field, value)
  }
  return values
}

function toJson(field: Field, value: unknown, version: number): unknown {
  const { kind, element, fields } = field.shape
  if (value === null) return null
  if (kind === 'array') return (value as unknown[]).map(item => toJson(element as Field, item, version))
  if (kind === 'struct') return toKafkaJson(fields as Fields, value as Values, version)
  if (kind === 'bytes' || kind === 'records') return (value as Buffer).toString('base64')
  if (kind === 'hash64') return Number(value)
  return value
}

function fromJson(field: Field, json: unknown): unknown {
  const { kind, element, fields } = field.shape
  if (json === null) return null
  if (kind === 'array') return (json as unknown[]).map(item => fromJson(element as Field, item))
  if (kind === 'struct') return fromKafkaJson(fields as Fields, json as Values)
  if (kind === 'bytes' || kind === 'records') return Buffer.from(json as string, 'base64')
  if (kind === 'hash64') return BigInt(json as number)
  return json
}
