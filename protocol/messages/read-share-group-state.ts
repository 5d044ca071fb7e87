// ReadShareGroupState, API key 84. KIP-932.

import { api, array, i8, i16, i32, i64, text, uuid } from '../schema.ts'

/** Reads the durable state of share partitions. */
export const readShareGroupState = api({
  key: 84,
  name: 'ReadShareGroupState',
  versions: [0, 0],
  flexibleFrom: 0,
  listeners: ['broker'],
  request: {
    groupId: text,
    topics: array({
      topicId: uuid,
      partitions: array({
        partition: i32,
        leaderEpoch: i32
      })
    })
  },
  response: {
    results: array({
      topicId: uuid,
      partitions: array({
        partition: i32,
        errorCode: i16,
        errorMessage: text.orNull().default(null),
        stateEpoch: i32,
        startOffset: i64,
        stateBatches: array({
          firstOffset: i64,
          lastOffset: i64,
          deliveryState: i8,
          deliveryCount: i16
        })
      })
    })
  }
})
