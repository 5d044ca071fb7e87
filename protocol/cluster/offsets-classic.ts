// Records of __consumer_offsets about classic groups and committed offsets. Key types 0 and 1 are both offset commits.

import { array, bytes, i32, i64, message, text, uuid } from '../schema.ts'

/** Which committed offset: one partition of one group. Key type 0, from before Kafka 0.9. */
export const legacyOffsetCommitKey = message({
  name: 'LegacyOffsetCommitKey',
  versions: [0, 0],
  flexibleFrom: null,
  fields: {
    group: text,
    topic: text,
    partition: i32
  }
})

/** A committed offset as it was written under key type 0. */
export const legacyOffsetCommitValue = message({
  name: 'LegacyOffsetCommitValue',
  versions: [0, 0],
  flexibleFrom: null,
  fields: {
    offset: i64,
    metadata: text,
    commitTimestamp: i64
  }
})

/** Which committed offset: one partition of one group. */
export const offsetCommitKey = message({
  name: 'OffsetCommitKey',
  versions: [0, 0],
  flexibleFrom: null,
  fields: {
    group: text,
    topic: text,
    partition: i32
  }
})

/** A committed offset. 1 carries its own expiry, 3 the leader epoch, 4 is flexible and has the topic id. */
export const offsetCommitValue = message({
  name: 'OffsetCommitValue',
  versions: [0, 4],
  flexibleFrom: 4,
  fields: {
    offset: i64,
    leaderEpoch: i32.since(3).default(-1),
    metadata: text,
    commitTimestamp: i64,
    expireTimestamp: i64.since(1).until(1).default(-1),
    topicId: uuid.tag(0, 4)
  }
})

/** Which classic group. */
export const groupMetadataKey = message({
  name: 'GroupMetadataKey',
  versions: [0, 0],
  flexibleFrom: null,
  fields: {
    group: text
  }
})

const memberMetadata = {
  memberId: text,
  groupInstanceId: text.since(3).orNull().default(null),
  clientId: text,
  clientHost: text,
  rebalanceTimeout: i32.since(1).default(-1),
  sessionTimeout: i32,
  subscription: bytes,
  assignment: bytes
}

/** A generation of a classic group with its members. */
export const groupMetadataValue = message({
  name: 'GroupMetadataValue',
  versions: [0, 4],
  flexibleFrom: 4,
  fields: {
    protocolType: text,
    generation: i32,
    protocol: text.orNull(),
    leader: text.orNull(),
    currentStateTimestamp: i64.since(2).default(-1),
    members: array(memberMetadata)
  }
})
