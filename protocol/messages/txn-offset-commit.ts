// TxnOffsetCommit, API key 28. 3 names the member for fencing (KIP-447), 5 adds partitions implicitly (KIP-890).

import { api, array, i16, i32, i64, text } from '../schema.ts'

/** Commits offsets of a group inside a transaction. */
export const txnOffsetCommit = api({
  key: 28,
  name: 'TxnOffsetCommit',
  versions: [0, 5],
  flexibleFrom: 3,
  listeners: ['broker'],
  request: {
    transactionalId: text,
    groupId: text,
    producerId: i64,
    producerEpoch: i16,
    generationId: i32.since(3).default(-1),
    memberId: text.since(3),
    groupInstanceId: text.since(3).orNull().default(null),
    topics: array({
      name: text,
      partitions: array({
        partitionIndex: i32,
        committedOffset: i64,
        committedLeaderEpoch: i32.since(2).default(-1),
        committedMetadata: text.orNull()
      })
    })
  },
  response: {
    throttleTimeMs: i32,
    topics: array({
      name: text,
      partitions: array({
        partitionIndex: i32,
        errorCode: i16
      })
    })
  }
})
