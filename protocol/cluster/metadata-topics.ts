// Records of __cluster_metadata about topics, settings, access and credentials.

import { array, bool, bytes, f64, i8, i32, i64, message, text, uuid } from '../schema.ts'

/** A topic came to be. */
export const topicRecord = message({
  name: 'TopicRecord',
  versions: [0, 0],
  flexibleFrom: 0,
  fields: {
    name: text,
    topicId: uuid
  }
})

/** A partition came to be, or is told in whole in a snapshot. 1 adds directories (KIP-858), 2 eligible leader replicas (KIP-966). */
export const partitionRecord = message({
  name: 'PartitionRecord',
  versions: [0, 2],
  flexibleFrom: 0,
  fields: {
    partitionId: i32.default(-1),
    topicId: uuid,
    replicas: array(i32),
    isr: array(i32),
    removingReplicas: array(i32),
    addingReplicas: array(i32),
    leader: i32.default(-1),
    leaderRecoveryState: i8.tag(0, 0),
    leaderEpoch: i32.default(-1),
    partitionEpoch: i32.default(-1),
    directories: array(uuid).since(1),
    eligibleLeaderReplicas: array(i32).orNull().tag(1, 2).default(null),
    lastKnownElr: array(i32).orNull().tag(2, 2).default(null)
  }
})

/** A setting of a resource; null removes it. */
export const configRecord = message({
  name: 'ConfigRecord',
  versions: [0, 0],
  flexibleFrom: 0,
  fields: {
    resourceType: i8,
    resourceName: text,
    name: text,
    value: text.orNull()
  }
})

/** What changed in a partition: absent fields stay as they are. 1 adds directories (KIP-858), 2 eligible leader replicas (KIP-966). */
export const partitionChangeRecord = message({
  name: 'PartitionChangeRecord',
  versions: [0, 2],
  flexibleFrom: 0,
  fields: {
    partitionId: i32.default(-1),
    topicId: uuid,
    isr: array(i32).orNull().tag(0, 0).default(null),
    leader: i32.tag(1, 0).default(-2),
    replicas: array(i32).orNull().tag(2, 0).default(null),
    removingReplicas: array(i32).orNull().tag(3, 0).default(null),
    addingReplicas: array(i32).orNull().tag(4, 0).default(null),
    leaderRecoveryState: i8.tag(5, 0).default(-1),
    directories: array(uuid).orNull().tag(8, 1).default(null),
    eligibleLeaderReplicas: array(i32).orNull().tag(6, 2).default(null),
    lastKnownElr: array(i32).orNull().tag(7, 2).default(null)
  }
})

/** A topic is gone. */
export const removeTopicRecord = message({
  name: 'RemoveTopicRecord',
  versions: [0, 0],
  flexibleFrom: 0,
  fields: {
    topicId: uuid
  }
})

/** A delegation token. */
export const delegationTokenRecord = message({
  name: 'DelegationTokenRecord',
  versions: [0, 0],
  flexibleFrom: 0,
  fields: {
    owner: text,
    requester: text,
    renewers: array(text),
    issueTimestamp: i64,
    maxTimestamp: i64,
    expirationTimestamp: i64,
    tokenId: text
  }
})

/** A SCRAM credential. */
export const userScramCredentialRecord = message({
  name: 'UserScramCredentialRecord',
  versions: [0, 0],
  flexibleFrom: 0,
  fields: {
    name: text,
    mechanism: i8,
    salt: bytes,
    storedKey: bytes,
    serverKey: bytes,
    iterations: i32
  }
})

/** A quota of an entity, set or removed. */
export const clientQuotaRecord = message({
  name: 'ClientQuotaRecord',
  versions: [0, 0],
  flexibleFrom: 0,
  fields: {
    entity: array({
      entityType: text,
      entityName: text.orNull()
    }),
    key: text,
    value: f64,
    remove: bool
  }
})

/** The next producer id that is not given out yet. */
export const producerIdsRecord = message({
  name: 'ProducerIdsRecord',
  versions: [0, 0],
  flexibleFrom: 0,
  fields: {
    brokerId: i32,
    brokerEpoch: i64.default(-1),
    nextProducerId: i64
  }
})

/** An access rule. */
export const accessControlEntryRecord = message({
  name: 'AccessControlEntryRecord',
  versions: [0, 0],
  flexibleFrom: 0,
  fields: {
    id: uuid,
    resourceType: i8,
    resourceName: text,
    patternType: i8,
    principal: text,
    host: text,
    operation: i8,
    permissionType: i8
  }
})

/** An access rule is gone. */
export const removeAccessControlEntryRecord = message({
  name: 'RemoveAccessControlEntryRecord',
  versions: [0, 0],
  flexibleFrom: 0,
  fields: {
    id: uuid
  }
})

/** A SCRAM credential is gone. */
export const removeUserScramCredentialRecord = message({
  name: 'RemoveUserScramCredentialRecord',
  versions: [0, 0],
  flexibleFrom: 0,
  fields: {
    name: text,
    mechanism: i8
  }
})

/** A delegation token is gone. */
export const removeDelegationTokenRecord = message({
  name: 'RemoveDelegationTokenRecord',
  versions: [0, 0],
  flexibleFrom: 0,
  fields: {
    tokenId: text
  }
})

/** Forgets eligible leader replicas, of one topic or of all. */
export const clearElrRecord = message({
  name: 'ClearElrRecord',
  versions: [0, 0],
  flexibleFrom: 0,
  fields: {
    topicName: text
  }
})
