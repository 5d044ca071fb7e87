// Bodies of control records: the marks that a transaction coordinator or the metadata quorum writes into a log. The key of
// such a record is int16 version, int16 type.

import { codecOf } from '../compile.ts'
import { Cursor, malformed } from '../cursor.ts'
import { encodeBody } from '../frame.ts'
import {
  array,
  i16,
  i32,
  i64,
  type Message,
  message,
  type RecordDraft,
  type RecordOf,
  struct,
  text,
  u16,
  uuid
} from '../schema.ts'

const voter = {
  voterId: i32,
  voterDirectoryId: uuid.since(1)
}

/** The first record of a leader's epoch in __cluster_metadata. 1 is in the schema only: Kafka 4.3 writes and reads 0. */
export const leaderChangeMessage = message({
  name: 'LeaderChangeMessage',
  versions: [0, 1],
  flexibleFrom: 0,
  fields: {
    version: i16,
    leaderId: i32,
    voters: array(voter),
    grantingVoters: array(voter)
  }
})

/** Opens a snapshot (KIP-630). */
export const snapshotHeaderRecord = message({
  name: 'SnapshotHeaderRecord',
  versions: [0, 0],
  flexibleFrom: 0,
  fields: {
    version: i16,
    lastContainedLogTimestamp: i64
  }
})

/** Closes a snapshot; one without it is not whole. */
export const snapshotFooterRecord = message({
  name: 'SnapshotFooterRecord',
  versions: [0, 0],
  flexibleFrom: 0,
  fields: {
    version: i16
  }
})

/** The finalized KRaft version (KIP-853). */
export const kRaftVersionRecord = message({
  name: 'KRaftVersionRecord',
  versions: [0, 0],
  flexibleFrom: 0,
  fields: {
    version: i16,
    kRaftVersion: i16
  }
})

/** The voters of the quorum (KIP-853). */
export const votersRecord = message({
  name: 'VotersRecord',
  versions: [0, 0],
  flexibleFrom: 0,
  fields: {
    version: i16,
    voters: array({
      voterId: i32,
      voterDirectoryId: uuid,
      endpoints: array({
        name: text,
        host: text,
        port: u16
      }),
      kRaftVersionFeature: struct({
        minSupportedVersion: i16,
        maxSupportedVersion: i16
      })
    })
  }
})

/** Commits or aborts what a producer wrote to a partition. */
export const endTxnMarker = message({
  name: 'EndTxnMarker',
  versions: [0, 0],
  flexibleFrom: null,
  fields: {
    coordinatorEpoch: i32
  }
})

const TYPES = {
  ABORT: { id: 0, of: endTxnMarker },
  COMMIT: { id: 1, of: endTxnMarker },
  LEADER_CHANGE: { id: 2, of: leaderChangeMessage },
  SNAPSHOT_HEADER: { id: 3, of: snapshotHeaderRecord },
  SNAPSHOT_FOOTER: { id: 4, of: snapshotFooterRecord },
  KRAFT_VERSION: { id: 5, of: kRaftVersionRecord },
  KRAFT_VOTERS: { id: 6, of: votersRecord }
} as const

type Types = typeof TYPES
export type ControlType = keyof Types

export type ControlRecord = {
  [N in ControlType]: { readonly type: N; readonly record: RecordOf<Types[N]['of']> }
}[ControlType]

export type ControlDraft = {
  [N in ControlType]: { readonly type: N; readonly record: RecordDraft<Types[N]['of']> }
}[ControlType]

const typeOf = new Map<number, ControlType>()
for (const [type, { id }] of Object.entries(TYPES)) typeOf.set(id, type as ControlType)

/** Null for a type that is not known: readers pass over it (ControlRecordType.UNKNOWN). */
export function decodeControlRecord(key: Buffer, value: Buffer): ControlRecord | null {
  const keyCursor = new Cursor(key)
  const keyVersion = keyCursor.i16()
  if (keyVersion < 0) throw malformed(`a control record of version ${keyVersion}`, 0)
  const type = typeOf.get(keyCursor.i16())
  if (type === undefined) return null
  const cursor = new Cursor(value)
  // A marker's value opens with its version; later ones may only append (EndTransactionMarker). The others carry a
  // version inside and are written at 0 always.
  if (isMarker(type) && cursor.i16() < 0) throw malformed(`${type}: a negative version`, 0)
  const record = codecOf(TYPES[type].of as Message, 0).read(cursor)
  return { type, record } as ControlRecord
}

export function encodeControlRecord(draft: ControlDraft): { key: Buffer; value: Buffer } {
  const { id, of } = TYPES[draft.type]
  const key = Buffer.alloc(4)
  key.writeInt16BE(id, 2)
  const value = encodeBody(codecOf(of as Message, 0), draft.record, sink => {
    if (isMarker(draft.type)) sink.i16(0)
  })
  return { key, value }
}

function isMarker(type: ControlType): boolean {
  return type === 'ABORT' || type === 'COMMIT'
}
