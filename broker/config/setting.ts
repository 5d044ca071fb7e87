// What one setting is: a row with type, default, limits, and a doc line. Parsing follows Kafka's rules
// (clients/.../common/config/ConfigDef.java): text is trimmed, lists are split at commas, numbers are exact. int64 values
// beyond 2^53 become Infinity ("never", "no limit"); whoever shows a value shows its text, which is exact.
import { MoldauError } from '../../protocol/failure.ts'

export type SettingType = 'boolean' | 'string' | 'int' | 'short' | 'long' | 'double' | 'list' | 'class' | 'password'
export type UpdateMode = 'read-only' | 'per-broker' | 'cluster-wide'

/** What a row may say beside type, default and doc line. */
export interface Limits {
  /** Whether it can be changed while the broker runs, and for whom (KIP-226). Left out: read-only. */
  readonly update?: UpdateMode
  readonly min?: number
  readonly max?: number
  /** A single value that is allowed outside of min and max. */
  readonly or?: number
  /** The values (of a list: the elements) that are allowed. */
  readonly oneOf?: readonly string[]
  readonly ignoreCase?: true
  /** For what a range cannot say: a pattern that the whole text matches, and words for it. */
  readonly pattern?: { readonly like: RegExp; readonly says: string }
  /** Not listed by DescribeConfigs. */
  readonly internal?: true
  /** Set without effect, and why. */
  readonly ignored?: string
}

export interface Setting<V = unknown> {
  readonly type: SettingType
  /** Exact text of the default; null: none. */
  readonly defaultText: string | null
  readonly doc: string
  readonly update: UpdateMode
  readonly internal: boolean
  readonly ignored: string | null
  /** What may be set, in words: `an int of at least 1`. */
  readonly allowed: string
  /** Throws ERR_CONFIG with the reason; parseSetting adds key and value. */
  read(text: string): V
}

/** Kafka's Long.MAX_VALUE as a default: never, or no limit. */
export const NEVER = '9223372036854775807'
/** Why settings of one area have no effect, where the whole area waits. */
export const LATER = {
  transactions: 'transactions are not built yet',
  consumer: 'the consumer group protocol (KIP-848) is not built yet',
  streams: 'streams groups (KIP-1071) are not built yet',
  share: 'share groups (KIP-932) are not built yet',
  security: 'TLS, SASL, ACLs and delegation tokens are not built yet',
  quotas: 'quotas are not built yet',
  tiered: 'there is no tiered storage',
  metrics: 'there are no sampled metrics here; what is measured stands at /metrics',
  threads: 'one event loop does the work of these threads',
  jvm: 'there is no JVM'
} as const

type OrNull<D, V> = V | Extract<D, null>

export function int<D extends number | null>(
  defaultValue: D,
  doc: string,
  limits: Limits = {}
): Setting<OrNull<D, number>> {
  return row('int', defaultValue, doc, limits, text => readInteger(text, 'int', -(2 ** 31), 2 ** 31 - 1))
}

export function short(defaultValue: number, doc: string, limits: Limits = {}): Setting<number> {
  return row('short', defaultValue, doc, limits, text => readInteger(text, 'short', -(2 ** 15), 2 ** 15 - 1))
}

export function long<D extends number | typeof NEVER | null>(
  defaultValue: D,
  doc: string,
  limits: Limits = {}
): Setting<OrNull<D, number>> {
  return row('long', defaultValue, doc, limits, readLong)
}

/** A double whose default is written as Java prints it. */
export function double(defaultText: string, doc: string, limits: Limits = {}): Setting<number> {
  return row('double', defaultText, doc, limits, readDouble)
}

export function boolean(defaultValue: boolean, doc: string, limits: Limits = {}): Setting<boolean> {
  return row('boolean', defaultValue, doc, limits, readBoolean)
}

export function text<D extends string | null>(
  defaultValue: D,
  doc: string,
  limits: Limits = {}
): Setting<OrNull<D, string>> {
  return row('string', defaultValue, doc, limits, value => value)
}

export function list<D extends string | null>(
  defaultValue: D,
  doc: string,
  limits: Limits = {}
): Setting<OrNull<D, readonly string[]>> {
  return row('list', defaultValue, doc, limits, readList)
}

export function className(defaultValue: string | null, doc: string, limits: Limits = {}): Setting<string | null> {
  return row('class', defaultValue, doc, limits, value => value)
}

export function password(doc: string, limits: Limits = {}): Setting<string | null> {
  return row('password', null, doc, limits, value => value)
}

/** One value from its words; keeps the union of the words as the type. */
export function word<W extends string>(
  defaultValue: W,
  words: readonly W[],
  doc: string,
  limits: Omit<Limits, 'oneOf'> = {}
): Setting<W> {
  return row('string', defaultValue, doc, { ...limits, oneOf: words }, value => value as W)
}

/** The same rows, none of which has an effect yet. */
export function ignoredRows<T extends Record<string, Setting>>(why: string, rows: T): T {
  const marked = Object.entries(rows).map(([key, each]) => [key, { ...each, ignored: each.ignored ?? why }])
  return Object.fromEntries(marked) as T
}

/** Reads a value, or throws ERR_CONFIG that names key, value, and what is allowed. */
export function parseSetting<V>(key: string, setting: Setting<V>, value: string): V {
  try {
    return setting.read(value)
  } catch (error) {
    if (!(error instanceof MoldauError)) throw error
    const shown = setting.type === 'password' ? '[hidden]' : value
    throw new MoldauError('ERR_CONFIG', `${key}=${shown}: ${error.message}; allowed is ${setting.allowed}`)
  }
}

/** The text that stands for the value: trimmed, `true` in small letters, list elements without blanks between. */
export function canonicalText(setting: Setting, value: string): string {
  const trimmed = value.trim()
  if (setting.type === 'boolean') return trimmed.toLowerCase()
  return setting.type === 'list' ? readList(trimmed).join(',') : trimmed
}

export function readList(value: string): readonly string[] {
  const trimmed = value.trim()
  return trimmed === '' ? [] : trimmed.split(/\s*,\s*/)
}

function row<V>(
  type: SettingType,
  defaultValue: string | number | boolean | null,
  doc: string,
  limits: Limits,
  read: (value: string) => V
): Setting<V> {
  return {
    type,
    defaultText: defaultValue === null ? null : String(defaultValue),
    doc,
    update: limits.update ?? 'read-only',
    internal: limits.internal ?? false,
    ignored: limits.ignored ?? null,
    allowed: inWords(type, limits),
    read(value) {
      const result = read(value.trim())
      const wrong = offence(result, limits)
      if (wrong !== null) throw new MoldauError('ERR_CONFIG', wrong)
      return result
    }
  }
}

function offence(value: unknown, limits: Limits): string | null {
  if (typeof value === 'number' && value !== limits.or) {
    if (limits.min !== undefined && value < limits.min) return 'too small'
    if (limits.max !== undefined && value > limits.max) return 'too large'
  }
  if (limits.oneOf !== undefined) {
    const fold = (word: string) => (limits.ignoreCase ? word.toLowerCase() : word)
    const words = limits.oneOf.map(fold)
    const stranger = (Array.isArray(value) ? value : [value]).find(each => !words.includes(fold(String(each))))
    if (stranger !== undefined) return `'${stranger}' is not one of the values`
  }
  if (
    limits.pattern !== undefined &&
    !limits.pattern.like.test(Array.isArray(value) ? value.join(',') : String(value))
  ) {
    return 'not of this form'
  }
  return Array.isArray(value) && new Set(value).size < value.length ? 'a value stands twice' : null
}

function inWords(type: SettingType, limits: Limits): string {
  const noun =
    type === 'int'
      ? 'an int'
      : type === 'boolean'
        ? 'true or false'
        : type === 'list'
          ? 'a comma-separated list'
          : `a ${type}`
  if (limits.pattern) return limits.pattern.says
  if (limits.oneOf) return `${type === 'list' ? 'a list of' : 'one of'} ${limits.oneOf.join(', ')}`
  const { min, max } = limits
  const range =
    min !== undefined && max !== undefined ? ` from ${min} to ${max}` : min !== undefined ? ` of at least ${min}` : ''
  return `${noun}${range}${limits.or === undefined ? '' : `, or ${limits.or}`}`
}

function readInteger(value: string, type: string, min: number, max: number): number {
  if (!/^[+-]?\d+$/.test(value)) throw new MoldauError('ERR_CONFIG', `not a whole number`)
  const number = Number(value)
  if (number < min || number > max) throw new MoldauError('ERR_CONFIG', `beyond the range of ${type}`)
  return number
}

function readLong(value: string): number {
  if (!/^[+-]?\d{1,30}$/.test(value)) throw new MoldauError('ERR_CONFIG', 'not a whole number')
  const exact = BigInt(value.replace('+', ''))
  if (exact !== BigInt.asIntN(64, exact)) throw new MoldauError('ERR_CONFIG', 'beyond the range of long')
  const number = Number(exact)
  return Number.isSafeInteger(number) ? number : number < 0 ? -Infinity : Infinity
}

function readDouble(value: string): number {
  const number = value === '' ? Number.NaN : Number(value.replace(/[dDfF]$/, ''))
  if (Number.isNaN(number)) throw new MoldauError('ERR_CONFIG', 'not a number')
  return number
}

function readBoolean(value: string): boolean {
  const folded = value.toLowerCase()
  if (folded !== 'true' && folded !== 'false') throw new MoldauError('ERR_CONFIG', 'not a boolean')
  return folded === 'true'
}
