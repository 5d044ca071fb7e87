// What __consumer_offsets holds: committed offsets and the groups of all kinds.

import { KeyedCodec, type KeyedDraft, type KeyedKey, type KeyedRecord } from './keyed.ts'
import * as classic from './offsets-classic.ts'
import * as consumer from './offsets-consumer.ts'
import * as share from './offsets-share.ts'
import * as streams from './offsets-streams.ts'

const TYPES = {
  LegacyOffsetCommit: { id: 0, key: classic.legacyOffsetCommitKey, value: classic.legacyOffsetCommitValue },
  OffsetCommit: { id: 1, key: classic.offsetCommitKey, value: classic.offsetCommitValue },
  // Version 4 is flexible and stays unwritten for the sake of a way back (KIP-915).
  GroupMetadata: { id: 2, key: classic.groupMetadataKey, value: classic.groupMetadataValue, written: 3 },
  ConsumerGroupMetadata: { id: 3, key: consumer.consumerGroupMetadataKey, value: consumer.consumerGroupMetadataValue },
  ConsumerGroupPartitionMetadata: {
    id: 4,
    key: consumer.consumerGroupPartitionMetadataKey,
    value: consumer.consumerGroupPartitionMetadataValue
  },
  ConsumerGroupMemberMetadata: {
    id: 5,
    key: consumer.consumerGroupMemberMetadataKey,
    value: consumer.consumerGroupMemberMetadataValue
  },
  ConsumerGroupTargetAssignmentMetadata: {
    id: 6,
    key: consumer.consumerGroupTargetAssignmentMetadataKey,
    value: consumer.consumerGroupTargetAssignmentMetadataValue
  },
  ConsumerGroupTargetAssignmentMember: {
    id: 7,
    key: consumer.consumerGroupTargetAssignmentMemberKey,
    value: consumer.consumerGroupTargetAssignmentMemberValue
  },
  ConsumerGroupCurrentMemberAssignment: {
    id: 8,
    key: consumer.consumerGroupCurrentMemberAssignmentKey,
    value: consumer.consumerGroupCurrentMemberAssignmentValue
  },
  ShareGroupMemberMetadata: {
    id: 10,
    key: share.shareGroupMemberMetadataKey,
    value: share.shareGroupMemberMetadataValue
  },
  ShareGroupMetadata: { id: 11, key: share.shareGroupMetadataKey, value: share.shareGroupMetadataValue },
  ShareGroupTargetAssignmentMetadata: {
    id: 12,
    key: share.shareGroupTargetAssignmentMetadataKey,
    value: share.shareGroupTargetAssignmentMetadataValue
  },
  ShareGroupTargetAssignmentMember: {
    id: 13,
    key: share.shareGroupTargetAssignmentMemberKey,
    value: share.shareGroupTargetAssignmentMemberValue
  },
  ShareGroupCurrentMemberAssignment: {
    id: 14,
    key: share.shareGroupCurrentMemberAssignmentKey,
    value: share.shareGroupCurrentMemberAssignmentValue
  },
  ShareGroupStatePartitionMetadata: {
    id: 15,
    key: share.shareGroupStatePartitionMetadataKey,
    value: share.shareGroupStatePartitionMetadataValue
  },
  ConsumerGroupRegularExpression: {
    id: 16,
    key: consumer.consumerGroupRegularExpressionKey,
    value: consumer.consumerGroupRegularExpressionValue
  },
  StreamsGroupMetadata: { id: 17, key: streams.streamsGroupMetadataKey, value: streams.streamsGroupMetadataValue },
  StreamsGroupMemberMetadata: {
    id: 19,
    key: streams.streamsGroupMemberMetadataKey,
    value: streams.streamsGroupMemberMetadataValue
  },
  StreamsGroupTargetAssignmentMetadata: {
    id: 20,
    key: streams.streamsGroupTargetAssignmentMetadataKey,
    value: streams.streamsGroupTargetAssignmentMetadataValue
  },
  StreamsGroupTargetAssignmentMember: {
    id: 21,
    key: streams.streamsGroupTargetAssignmentMemberKey,
    value: streams.streamsGroupTargetAssignmentMemberValue
  },
  StreamsGroupCurrentMemberAssignment: {
    id: 22,
    key: streams.streamsGroupCurrentMemberAssignmentKey,
    value: streams.streamsGroupCurrentMemberAssignmentValue
  },
  StreamsGroupTopology: { id: 23, key: streams.streamsGroupTopologyKey, value: streams.streamsGroupTopologyValue }
} as const

export type OffsetsRecord = KeyedRecord<typeof TYPES>
export type OffsetsKey = KeyedKey<typeof TYPES>
export type OffsetsDraft = KeyedDraft<typeof TYPES>

const codec = new KeyedCodec(TYPES)

/** Null for a type that is not known: to be skipped. */
export function decodeOffsetsRecord(key: Buffer, value: Buffer | null): OffsetsRecord | null {
  return codec.decode(key, value)
}

export function decodeOffsetsKey(key: Buffer): OffsetsKey | null {
  return codec.decodeKey(key)
}

export function encodeOffsetsRecord(record: OffsetsDraft): { key: Buffer; value: Buffer | null } {
  return codec.encode(record)
}
