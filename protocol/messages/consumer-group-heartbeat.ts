// ConsumerGroupHeartbeat, API key 68. KIP-848; 1 adds subscription by regular expression.

import { api, array, i16, i32, struct, text, uuid } from '../schema.ts'

const topicPartitions = {
  topicId: uuid,
  partitions: array(i32)
}

/** A member of a consumer group says where it is and learns its assignment. */
export const consumerGroupHeartbeat = api({
  key: 68,
  name: 'ConsumerGroupHeartbeat',
  versions: [0, 1],
  flexibleFrom: 0,
  listeners: ['broker'],
  request: {
    groupId: text,
    memberId: text,
    memberEpoch: i32,
    instanceId: text.orNull().default(null),
    rackId: text.orNull().default(null),
    rebalanceTimeoutMs: i32.default(-1),
    subscribedTopicNames: array(text).orNull().default(null),
    subscribedTopicRegex: text.since(1).orNull().default(null),
    serverAssignor: text.orNull().default(null),
    topicPartitions: array({
      topicId: uuid,
      partitions: array(i32)
    })
      .orNull()
      .default(null)
  },
  response: {
    throttleTimeMs: i32,
    errorCode: i16,
    errorMessage: text.orNull().default(null),
    memberId: text.orNull().default(null),
    memberEpoch: i32,
    heartbeatIntervalMs: i32,
    assignment: struct({
      topicPartitions: array(topicPartitions)
    })
      .orNull()
      .default(null)
  }
})
