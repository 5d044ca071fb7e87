// The records of __consumer_offsets as this broker knows them, and their bytes: key = int16 type + body at version 0,
// value = int16 version + body. Written in the versions that Kafka 4.3 writes: GroupMetadataValue 3, OffsetCommitValue 4,
// or 1 where the commit brought its own expiry. Records of other kinds of groups are told apart and left alone.

import {
  groupMetadataKey,
  groupMetadataValue,
  legacyOffsetCommitValue,
  offsetCommitKey,
  offsetCommitValue
} from '../../protocol/cluster/offsets-classic.ts'
import { codecOf } from '../../protocol/compile.ts'
import { Cursor } from '../../protocol/cursor.ts'
import { isFailure } from '../../protocol/failure.ts'
import { encodeBody } from '../../protocol/frame.ts'
import type { Message, RecordOf } from '../../protocol/schema.ts'
import { type Offset, type TimestampMs, type Uuid, ZERO_UUID } from '../../protocol/types.ts'

/** A generation of a classic group, as it is stored. */
export type GroupMetadata = RecordOf<typeof groupMetadataValue>

export interface CommittedOffset {
  readonly offset: Offset
  readonly leaderEpoch: number
  readonly metadata: string
  readonly commitTimestamp: TimestampMs
  /** -1: the broker's retention decides. */
  readonly expireTimestamp: TimestampMs
  /** The zero uuid where the commit did not know the topic's id. */
  readonly topicId: Uuid
}

export type ForeignKind = 'consumer' | 'share' | 'streams'

export type GroupRecord =
  | {
      readonly kind: 'offset'
      readonly group: string
      readonly topic: string
      readonly partition: number
      readonly value: CommittedOffset | null
    }
  | { readonly kind: 'group'; readonly group: string; readonly value: GroupMetadata | null }
  /** The head record of a group of another protocol: it exists, or is gone. */
  | { readonly kind: 'foreign'; readonly group: string; readonly protocol: ForeignKind; readonly exists: boolean }

export interface KeyValue {
  readonly key: Buffer
  readonly value: Buffer | null
}

const OFFSET_LEGACY = 0
const OFFSET = 1
const GROUP = 2
/** The record that every group of another protocol has, by key type (CoordinatorRecordType.java). */
const FOREIGN_HEADS = new Map<number, ForeignKind>([
  [3, 'consumer'],
  [11, 'share'],
  [17, 'streams']
])
const GROUP_VERSION = 3
const OFFSET_VERSION = 4
const OFFSET_VERSION_WITH_EXPIRY = 1

export function encodeRecord(record: GroupRecord): KeyValue {
  switch (record.kind) {
    case 'offset':
      return {
        key: withNumber(offsetCommitKey, 0, OFFSET, record),
        value: record.value && encodeOffset(record.value)
      }
    case 'group':
      return {
        key: withNumber(groupMetadataKey, 0, GROUP, record),
        value: record.value && withNumber(groupMetadataValue, GROUP_VERSION, GROUP_VERSION, record.value)
      }
    case 'foreign':
      throw new TypeError('records of other protocols are never written here')
    default:
      return record satisfies never
  }
}

/** Null for a record that this broker does not know: a later Kafka's, or a part of another protocol's group. */
export function decodeRecord(key: Buffer, value: Buffer | null): GroupRecord | null {
  if (key.length < 2) return null
  const type = key.readInt16BE(0)
  if (type === OFFSET || type === OFFSET_LEGACY) return decodeOffset(key, value, type)
  if (type === GROUP) {
    const { group } = codecOf(groupMetadataKey, 0).read(new Cursor(key, 2))
    if (value === null) return { kind: 'group', group, value: null }
    const decoded = decodeValue(groupMetadataValue, value) as GroupMetadata | null
    return decoded && { kind: 'group', group, value: decoded }
  }
  const protocol = FOREIGN_HEADS.get(type)
  // Every key of theirs begins with the group id, as GroupMetadataKey does.
  if (protocol === undefined) return null
  const { group } = codecOf(groupMetadataKey, 0).read(new Cursor(key, 2))
  return { kind: 'foreign', group, protocol, exists: value !== null }
}

function decodeOffset(key: Buffer, value: Buffer | null, type: number): GroupRecord | null {
  const { group, topic, partition } = codecOf(offsetCommitKey, 0).read(new Cursor(key, 2))
  if (value === null) return { kind: 'offset', group, topic, partition, value: null }
  const message = type === OFFSET_LEGACY ? legacyOffsetCommitValue : offsetCommitValue
  const decoded = decodeValue(message, value) as (Partial<CommittedOffset> & LegacyOffset) | null
  if (decoded === null) return null
  const { offset, metadata, commitTimestamp, leaderEpoch = -1, expireTimestamp = -1, topicId = ZERO_UUID } = decoded
  const committed = { offset, leaderEpoch, metadata, commitTimestamp, expireTimestamp, topicId }
  return { kind: 'offset', group, topic, partition, value: committed }
}

type LegacyOffset = RecordOf<typeof legacyOffsetCommitValue>

/** Null for a version that is not known here, or for bytes that do not follow it. */
function decodeValue(message: Message, value: Buffer): unknown {
  if (value.length < 2) return null
  const version = value.readInt16BE(0)
  if (version < message.versions[0] || version > message.versions[1]) return null
  try {
    return codecOf(message, version).read(new Cursor(value, 2))
  } catch (error) {
    if (isFailure(error, 'ERR_MALFORMED')) return null
    throw error
  }
}

function encodeOffset(value: CommittedOffset): Buffer {
  const version = value.expireTimestamp === -1 ? OFFSET_VERSION : OFFSET_VERSION_WITH_EXPIRY
  return withNumber(offsetCommitValue, version, version, value)
}

function withNumber(message: Message, version: number, number: number, fields: object): Buffer {
  return encodeBody(codecOf(message, version), fields, sink => sink.i16(number))
}
