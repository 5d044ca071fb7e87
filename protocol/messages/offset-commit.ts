// OffsetCommit, API key 8. 2-4 carry a retention time, 6 adds leader epochs (KIP-320), 7 static members (KIP-345),
// 9 member epochs (KIP-848), 10 topic ids.

import { api, array, i16, i32, i64, text, uuid } from '../schema.ts'

/** Stores the positions of a group, or of a consumer without one. */
export const offsetCommit = api({
  key: 8,
  name: 'OffsetCommit',
  versions: [2, 10],
  flexibleFrom: 8,
  listeners: ['broker'],
  request: {
    groupId: text,
    generationIdOrMemberEpoch: i32.default(-1),
    memberId: text,
    groupInstanceId: text.since(7).orNull().default(null),
    retentionTimeMs: i64.until(4).default(-1),
    topics: array({
      name: text.until(9),
      topicId: uuid.since(10),
      partitions: array({
        partitionIndex: i32,
        committedOffset: i64,
        committedLeaderEpoch: i32.since(6).default(-1),
        committedMetadata: text.orNull()
      })
    })
  },
  response: {
    throttleTimeMs: i32.since(3),
    topics: array({
      name: text.until(9),
      topicId: uuid.since(10),
      partitions: array({
        partitionIndex: i32,
        errorCode: i16
      })
    })
  }
})
