// DescribeTopicPartitions, API key 75. KIP-966.

import { api, array, bool, i16, i32, struct, text, uuid } from '../schema.ts'

/** Describes partitions of topics page by page, with eligible leader replicas. */
export const describeTopicPartitions = api({
  key: 75,
  name: 'DescribeTopicPartitions',
  versions: [0, 0],
  flexibleFrom: 0,
  listeners: ['broker'],
  request: {
    topics: array({
      name: text
    }),
    responsePartitionLimit: i32.default(2000),
    cursor: struct({
      topicName: text,
      partitionIndex: i32
    })
      .orNull()
      .default(null)
  },
  response: {
    throttleTimeMs: i32,
    topics: array({
      errorCode: i16,
      name: text.orNull(),
      topicId: uuid,
      isInternal: bool,
      partitions: array({
        errorCode: i16,
        partitionIndex: i32,
        leaderId: i32,
        leaderEpoch: i32.default(-1),
        replicaNodes: array(i32),
        isrNodes: array(i32),
        eligibleLeaderReplicas: array(i32).orNull().default(null),
        lastKnownElr: array(i32).orNull().default(null),
        offlineReplicas: array(i32)
      }),
      topicAuthorizedOperations: i32.default(-2147483648)
    }),
    nextCursor: struct({
      topicName: text,
      partitionIndex: i32
    })
      .orNull()
      .default(null)
  }
})
