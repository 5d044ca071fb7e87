// What members of classic consumer groups tell each other inside JoinGroup and SyncGroup. The broker passes it on; it looks
// inside to describe groups and to refuse the deletion of offsets in use.

import { codecOf } from '../compile.ts'
import { Cursor } from '../cursor.ts'
import { encodeBody } from '../frame.ts'
import {
  array,
  bytes,
  type Decoded,
  type Fields,
  i32,
  type Message,
  message,
  type RecordDraft,
  type RecordOf,
  text
} from '../schema.ts'

/** What a member wants: topics, what it owns, generation, rack. */
export const consumerProtocolSubscription = message({
  name: 'ConsumerProtocolSubscription',
  versions: [0, 3],
  flexibleFrom: null,
  fields: {
    topics: array(text),
    userData: bytes.orNull().default(null),
    ownedPartitions: array({
      topic: text,
      partitions: array(i32)
    }).since(1),
    generationId: i32.since(2).default(-1),
    rackId: text.since(3).orNull().default(null)
  }
})

/** What a member gets. */
export const consumerProtocolAssignment = message({
  name: 'ConsumerProtocolAssignment',
  versions: [0, 3],
  flexibleFrom: null,
  fields: {
    assignedPartitions: array({
      topic: text,
      partitions: array(i32)
    }),
    userData: bytes.orNull().default(null)
  }
})

export type Subscription = RecordOf<typeof consumerProtocolSubscription>
export type Assignment = RecordOf<typeof consumerProtocolAssignment>

export function decodeSubscription(value: Buffer): { version: number; subscription: Subscription } {
  const { version, record } = decode(consumerProtocolSubscription, value)
  return { version, subscription: record }
}

export function encodeSubscription(version: number, draft: RecordDraft<typeof consumerProtocolSubscription>): Buffer {
  return encodeBody(codecOf(consumerProtocolSubscription, version), draft, sink => sink.i16(version))
}

export function decodeAssignment(value: Buffer): { version: number; assignment: Assignment } {
  const { version, record } = decode(consumerProtocolAssignment, value)
  return { version, assignment: record }
}

export function encodeAssignment(version: number, draft: RecordDraft<typeof consumerProtocolAssignment>): Buffer {
  return encodeBody(codecOf(consumerProtocolAssignment, version), draft, sink => sink.i16(version))
}

/** A later version only appends: it is read as the highest known, and what follows is left (ConsumerProtocol). */
function decode<F extends Fields>(of: Message<F>, value: Buffer): { version: number; record: Decoded<F> } {
  const cursor = new Cursor(value)
  const version = cursor.i16()
  return { version, record: codecOf(of, Math.min(version, of.versions[1])).read(cursor) }
}
