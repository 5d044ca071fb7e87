// ShareGroupHeartbeat, API key 76. KIP-932.

import { api, array, i16, i32, struct, text, uuid } from '../schema.ts'

const topicPartitions = {
  topicId: uuid,
  partitions: array(i32)
}

/** A member of a share group says that it is alive and learns its assignment. */
export const shareGroupHeartbeat = api({
  key: 76,
  name: 'ShareGroupHeartbeat',
  versions: [1, 1],
  flexibleFrom: 0,
  listeners: ['broker'],
  request: {
    groupId: text,
    memberId: text,
    memberEpoch: i32,
    rackId: text.orNull().default(null),
    subscribedTopicNames: array(text).orNull().default(null)
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
