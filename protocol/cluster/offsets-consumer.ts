// Records of __consumer_offsets about consumer groups (KIP-848).

import { array, bytes, hash64, i8, i32, i64, message, struct, text, uuid } from '../schema.ts'

export const consumerGroupMetadataKey = message({
  name: 'ConsumerGroupMetadataKey',
  versions: [0, 0],
  flexibleFrom: null,
  fields: {
    groupId: text
  }
})

/** The epoch of a group. */
export const consumerGroupMetadataValue = message({
  name: 'ConsumerGroupMetadataValue',
  versions: [0, 0],
  flexibleFrom: 0,
  fields: {
    epoch: i32,
    metadataHash: hash64.tag(0, 0)
  }
})

export const consumerGroupPartitionMetadataKey = message({
  name: 'ConsumerGroupPartitionMetadataKey',
  versions: [0, 0],
  flexibleFrom: null,
  fields: {
    groupId: text
  }
})

/** What the group saw of its topics; Kafka 4 writes only its tombstones. */
export const consumerGroupPartitionMetadataValue = message({
  name: 'ConsumerGroupPartitionMetadataValue',
  versions: [0, 0],
  flexibleFrom: 0,
  fields: {
    topics: array({
      topicId: uuid,
      topicName: text,
      numPartitions: i32,
      partitionMetadata: array({
        partition: i32,
        racks: array(text)
      })
    })
  }
})

export const consumerGroupMemberMetadataKey = message({
  name: 'ConsumerGroupMemberMetadataKey',
  versions: [0, 0],
  flexibleFrom: null,
  fields: {
    groupId: text,
    memberId: text
  }
})

/** What a member said of itself. One that does not speak the classic protocol must have null as classicMemberMetadata:
 * left out it reads as an empty struct, in Kafka too. */
export const consumerGroupMemberMetadataValue = message({
  name: 'ConsumerGroupMemberMetadataValue',
  versions: [0, 0],
  flexibleFrom: 0,
  fields: {
    instanceId: text.orNull(),
    rackId: text.orNull(),
    clientId: text,
    clientHost: text,
    subscribedTopicNames: array(text),
    subscribedTopicRegex: text.orNull(),
    rebalanceTimeoutMs: i32.default(-1),
    serverAssignor: text.orNull(),
    classicMemberMetadata: struct({
      sessionTimeoutMs: i32,
      supportedProtocols: array({
        name: text,
        metadata: bytes
      })
    })
      .orNull()
      .tag(0, 0)
  }
})

export const consumerGroupTargetAssignmentMetadataKey = message({
  name: 'ConsumerGroupTargetAssignmentMetadataKey',
  versions: [0, 0],
  flexibleFrom: null,
  fields: {
    groupId: text
  }
})

/** The epoch that the target assignment belongs to. */
export const consumerGroupTargetAssignmentMetadataValue = message({
  name: 'ConsumerGroupTargetAssignmentMetadataValue',
  versions: [0, 0],
  flexibleFrom: 0,
  fields: {
    assignmentEpoch: i32,
    assignmentTimestamp: i64.tag(0, 0)
  }
})

export const consumerGroupTargetAssignmentMemberKey = message({
  name: 'ConsumerGroupTargetAssignmentMemberKey',
  versions: [0, 0],
  flexibleFrom: null,
  fields: {
    groupId: text,
    memberId: text
  }
})

/** What a member shall have. */
export const consumerGroupTargetAssignmentMemberValue = message({
  name: 'ConsumerGroupTargetAssignmentMemberValue',
  versions: [0, 0],
  flexibleFrom: 0,
  fields: {
    topicPartitions: array({
      topicId: uuid,
      partitions: array(i32)
    })
  }
})

export const consumerGroupCurrentMemberAssignmentKey = message({
  name: 'ConsumerGroupCurrentMemberAssignmentKey',
  versions: [0, 0],
  flexibleFrom: null,
  fields: {
    groupId: text,
    memberId: text
  }
})

const topicPartitions = {
  topicId: uuid,
  partitions: array(i32),
  assignmentEpochs: array(i32).orNull().tag(0, 0)
}

/** What a member has, and what it still has to give up. */
export const consumerGroupCurrentMemberAssignmentValue = message({
  name: 'ConsumerGroupCurrentMemberAssignmentValue',
  versions: [0, 0],
  flexibleFrom: 0,
  fields: {
    memberEpoch: i32,
    previousMemberEpoch: i32,
    state: i8,
    assignedPartitions: array(topicPartitions),
    partitionsPendingRevocation: array(topicPartitions)
  }
})

export const consumerGroupRegularExpressionKey = message({
  name: 'ConsumerGroupRegularExpressionKey',
  versions: [0, 0],
  flexibleFrom: null,
  fields: {
    groupId: text,
    regularExpression: text
  }
})

/** The topics that a regular expression resolved to. */
export const consumerGroupRegularExpressionValue = message({
  name: 'ConsumerGroupRegularExpressionValue',
  versions: [0, 0],
  flexibleFrom: 0,
  fields: {
    topics: array(text),
    version: i64,
    timestamp: i64
  }
})
