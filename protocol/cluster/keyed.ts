// Records of the coordinators' topics: the key opens with an int16 that tells the type, at version 0 always; the value
// opens with an int16 that tells its version; no value is a tombstone.

import { codecOf } from '../compile.ts'
import { Cursor, malformed } from '../cursor.ts'
import { encodeBody } from '../frame.ts'
import type { Message, RecordDraft, RecordOf } from '../schema.ts'

export interface KeyedSchema {
  readonly id: number
  readonly key: Message
  readonly value: Message
  /** The version that Kafka 4.3 writes, where it is not the highest one. */
  readonly written?: number
}

export interface KeyedTable {
  readonly [type: string]: KeyedSchema
}

/** A record as read: `type` tells which key and value it has. */
export type KeyedRecord<T extends KeyedTable> = {
  [N in keyof T & string]: {
    readonly type: N
    readonly key: RecordOf<T[N]['key']>
    /** -1 for a tombstone. */
    readonly version: number
    readonly value: RecordOf<T[N]['value']> | null
  }
}[keyof T & string]

export type KeyedKey<T extends KeyedTable> = {
  [N in keyof T & string]: { readonly type: N; readonly key: RecordOf<T[N]['key']> }
}[keyof T & string]

/** A record to write; without a version it is that which Kafka 4.3 writes. */
export type KeyedDraft<T extends KeyedTable> = {
  [N in keyof T & string]: {
    readonly type: N
    readonly key: RecordDraft<T[N]['key']>
    readonly version?: number
    readonly value: RecordDraft<T[N]['value']> | null
  }
}[keyof T & string]

export class KeyedCodec<const T extends KeyedTable> {
  readonly #table: T
  readonly #types = new Map<number, keyof T & string>()

  constructor(table: T) {
    this.#table = table
    for (const [type, { id }] of Object.entries(table)) this.#types.set(id, type)
  }

  /** Null for a type that is not known: a later broker wrote it, and Kafka's loader skips it too. */
  decodeKey(bytes: Buffer): KeyedKey<T> | null {
    const cursor = new Cursor(bytes)
    const type = this.#types.get(cursor.i16())
    if (type === undefined) return null
    const key = codecOf((this.#table[type] as KeyedSchema).key, 0).read(cursor)
    return { type, key } as unknown as KeyedKey<T>
  }

  decode(key: Buffer, value: Buffer | null): KeyedRecord<T> | null {
    const known = this.decodeKey(key)
    if (known === null) return null
    if (value === null) return { ...known, version: -1, value: null } as unknown as KeyedRecord<T>
    if (value.length < 2) throw malformed(`${known.type}: a value without version`, 0)
    const cursor = new Cursor(value)
    const version = cursor.i16()
    const read = codecOf((this.#table[known.type] as KeyedSchema).value, version).read(cursor)
    return { ...known, version, value: read } as unknown as KeyedRecord<T>
  }

  encode(record: KeyedDraft<T>): { key: Buffer; value: Buffer | null } {
    const { id, key, value, written } = this.#table[record.type] as KeyedSchema
    const keyBytes = encodeBody(codecOf(key, 0), record.key, sink => sink.i16(id))
    if (record.value === null) return { key: keyBytes, value: null }
    const version = record.version ?? written ?? value.versions[1]
    const valueBytes = encodeBody(codecOf(value, version), record.value, sink => sink.i16(version))
    return { key: keyBytes, value: valueBytes }
  }
}
