// What __share_group_state holds (KIP-932): snapshots of share partitions and what changed since.

import { array, i8, i16, i32, i64, message, text, uuid } from '../schema.ts'
import { KeyedCodec, type KeyedDraft, type KeyedRecord } from './keyed.ts'

/** Which share partition. */
export const shareSnapshotKey = message({
  name: 'ShareSnapshotKey',
  versions: [0, 0],
  flexibleFrom: null,
  fields: {
    groupId: text,
    topicId: uuid,
    partition: i32
  }
})

/** The whole state of a share partition. */
export const shareSnapshotValue = message({
  name: 'ShareSnapshotValue',
  versions: [0, 0],
  flexibleFrom: 0,
  fields: {
    snapshotEpoch: i32,
    stateEpoch: i32,
    leaderEpoch: i32,
    startOffset: i64,
    deliveryCompleteCount: i32.tag(0, 0).default(-1),
    createTimestamp: i64,
    writeTimestamp: i64,
    stateBatches: array({
      firstOffset: i64,
      lastOffset: i64,
      deliveryState: i8,
      deliveryCount: i16
    })
  }
})

/** Which share partition. */
export const shareUpdateKey = message({
  name: 'ShareUpdateKey',
  versions: [0, 0],
  flexibleFrom: null,
  fields: {
    groupId: text,
    topicId: uuid,
    partition: i32
  }
})

/** What changed since the snapshot. */
export const shareUpdateValue = message({
  name: 'ShareUpdateValue',
  versions: [0, 0],
  flexibleFrom: 0,
  fields: {
    snapshotEpoch: i32,
    leaderEpoch: i32,
    startOffset: i64,
    deliveryCompleteCount: i32.tag(0, 0).default(-1),
    stateBatches: array({
      firstOffset: i64,
      lastOffset: i64,
      deliveryState: i8,
      deliveryCount: i16
    })
  }
})

const TYPES = {
  ShareSnapshot: { id: 0, key: shareSnapshotKey, value: shareSnapshotValue },
  ShareUpdate: { id: 1, key: shareUpdateKey, value: shareUpdateValue }
} as const

export type ShareRecord = KeyedRecord<typeof TYPES>
export type ShareDraft = KeyedDraft<typeof TYPES>

const codec = new KeyedCodec(TYPES)

/** Null for a type that is not known: to be skipped. */
export function decodeShareRecord(key: Buffer, value: Buffer | null): ShareRecord | null {
  return codec.decode(key, value)
}

export function encodeShareRecord(record: ShareDraft): { key: Buffer; value: Buffer | null } {
  return codec.encode(record)
}
