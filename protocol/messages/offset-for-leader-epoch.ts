// OffsetForLeaderEpoch, API key 23. 3 adds the replica id (KIP-320).

import { api, array, i16, i32, i64, text } from '../schema.ts'

/** Asks where a leader epoch ends: how clients and followers find divergence. */
export const offsetForLeaderEpoch = api({
  key: 23,
  name: 'OffsetForLeaderEpoch',
  versions: [2, 4],
  flexibleFrom: 4,
  listeners: ['broker'],
  request: {
    replicaId: i32.since(3).default(-2),
    topics: array({
      topic: text,
      partitions: array({
        partition: i32,
        currentLeaderEpoch: i32.default(-1),
        leaderEpoch: i32
      })
    })
  },
  response: {
    throttleTimeMs: i32,
    topics: array({
      topic: text,
      partitions: array({
        errorCode: i16,
        partition: i32,
        leaderEpoch: i32.default(-1),
        endOffset: i64.default(-1)
      })
    })
  }
})
