// ListOffsets, API key 2. 4 adds leader epochs (KIP-320), 7 the offset of the largest timestamp (KIP-734), 8 the
// local log start (KIP-405), 9 the last tiered offset (KIP-1005), 10 a time-out for remote storage, 11 the
// earliest offset not yet uploaded (KIP-1023).

import { api, array, i8, i16, i32, i64, text } from '../schema.ts'

/** Asks for the offset at a timestamp, or at either end of a log. */
export const listOffsets = api({
  key: 2,
  name: 'ListOffsets',
  versions: [1, 11],
  flexibleFrom: 6,
  listeners: ['broker'],
  request: {
    replicaId: i32,
    isolationLevel: i8.since(2),
    topics: array({
      name: text,
      partitions: array({
        partitionIndex: i32,
        currentLeaderEpoch: i32.since(4).default(-1),
        timestamp: i64
      })
    }),
    timeoutMs: i32.since(10)
  },
  response: {
    throttleTimeMs: i32.since(2),
    topics: array({
      name: text,
      partitions: array({
        partitionIndex: i32,
        errorCode: i16,
        timestamp: i64.default(-1),
        offset: i64.default(-1),
        leaderEpoch: i32.since(4).default(-1)
      })
    })
  }
})
