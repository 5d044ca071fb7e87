// DescribeShareGroupOffsets, API key 90. KIP-932; 1 adds the lag (KIP-1226).

import { api, array, i16, i32, i64, text, uuid } from '../schema.ts'

/** Reads the start offsets of a share group. */
export const describeShareGroupOffsets = api({
  key: 90,
  name: 'DescribeShareGroupOffsets',
  versions: [0, 1],
  flexibleFrom: 0,
  listeners: ['broker'],
  request: {
    groups: array({
      groupId: text,
      topics: array({
        topicName: text,
        partitions: array(i32)
      }).orNull()
    })
  },
  response: {
    throttleTimeMs: i32,
    groups: array({
      groupId: text,
      topics: array({
        topicName: text,
        topicId: uuid,
        partitions: array({
          partitionIndex: i32,
          startOffset: i64,
          leaderEpoch: i32,
          lag: i64.since(1).default(-1),
          errorCode: i16,
          errorMessage: text.orNull().default(null)
        })
      }),
      errorCode: i16,
      errorMessage: text.orNull().default(null)
    })
  }
})
