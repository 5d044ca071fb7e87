// Records of __consumer_offsets about share groups (KIP-932).

import { array, hash64, i8, i32, i64, message, text, uuid } from '../schema.ts'

export const shareGroupMemberMetadataKey = message({
  name: 'ShareGroupMemberMetadataKey',
  versions: [0, 0],
  flexibleFrom: null,
  fields: {
    groupId: text,
    memberId: text
  }
})

/** What a member said of itself. */
export const shareGroupMemberMetadataValue = message({
  name: 'ShareGroupMemberMetadataValue',
  versions: [0, 0],
  flexibleFrom: 0,
  fields: {
    rackId: text.orNull(),
    clientId: text,
    clientHost: text,
    subscribedTopicNames: array(text)
  }
})

export const shareGroupMetadataKey = message({
  name: 'ShareGroupMetadataKey',
  versions: [0, 0],
  flexibleFrom: null,
  fields: {
    groupId: text
  }
})

/** The epoch of a group. */
export const shareGroupMetadataValue = message({
  name: 'ShareGroupMetadataValue',
  versions: [0, 0],
  flexibleFrom: 0,
  fields: {
    epoch: i32,
    metadataHash: hash64
  }
})

export const shareGroupTargetAssignmentMetadataKey = message({
  name: 'ShareGroupTargetAssignmentMetadataKey',
  versions: [0, 0],
  flexibleFrom: null,
  fields: {
    groupId: text
  }
})

/** The epoch that the target assignment belongs to. */
export const shareGroupTargetAssignmentMetadataValue = message({
  name: 'ShareGroupTargetAssignmentMetadataValue',
  versions: [0, 0],
  flexibleFrom: 0,
  fields: {
    assignmentEpoch: i32,
    assignmentTimestamp: i64.tag(0, 0)
  }
})

export const shareGroupTargetAssignmentMemberKey = message({
  name: 'ShareGroupTargetAssignmentMemberKey',
  versions: [0, 0],
  flexibleFrom: null,
  fields: {
    groupId: text,
    memberId: text
  }
})

/** What a member shall have. */
export const shareGroupTargetAssignmentMemberValue = message({
  name: 'ShareGroupTargetAssignmentMemberValue',
  versions: [0, 0],
  flexibleFrom: 0,
  fields: {
    topicPartitions: array({
      topicId: uuid,
      partitions: array(i32)
    })
  }
})

export const shareGroupCurrentMemberAssignmentKey = message({
  name: 'ShareGroupCurrentMemberAssignmentKey',
  versions: [0, 0],
  flexibleFrom: null,
  fields: {
    groupId: text,
    memberId: text
  }
})

const topicPartitions = {
  topicId: uuid,
  partitions: array(i32)
}

/** What a member has. */
export const shareGroupCurrentMemberAssignmentValue = message({
  name: 'ShareGroupCurrentMemberAssignmentValue',
  versions: [0, 0],
  flexibleFrom: 0,
  fields: {
    memberEpoch: i32,
    previousMemberEpoch: i32,
    state: i8,
    assignedPartitions: array(topicPartitions)
  }
})

export const shareGroupStatePartitionMetadataKey = message({
  name: 'ShareGroupStatePartitionMetadataKey',
  versions: [0, 0],
  flexibleFrom: null,
  fields: {
    groupId: text
  }
})

const topicPartitionsInfo = {
  topicId: uuid,
  topicName: text,
  partitions: array(i32)
}

const topicInfo = {
  topicId: uuid,
  topicName: text
}

/** Which share partitions are initialised, and which are being so. */
export const shareGroupStatePartitionMetadataValue = message({
  name: 'ShareGroupStatePartitionMetadataValue',
  versions: [0, 0],
  flexibleFrom: 0,
  fields: {
    initializingTopics: array(topicPartitionsInfo),
    initializedTopics: array(topicPartitionsInfo),
    deletingTopics: array(topicInfo)
  }
})
