// WriteShareGroupState, API key 85. KIP-932; 1 adds the count of deliveries that completed (KIP-1226).

import { api, array, i8, i16, i32, i64, text, uuid } from '../schema.ts'

/** Writes the durable state of share partitions. */
export const writeShareGroupState = api({
  key: 85,
  name: 'WriteShareGroupState',
  versions: [0, 1],
  flexibleFrom: 0,
  listeners: ['broker'],
  request: {
    groupId: text,
    topics: array({
      topicId: uuid,
      partitions: array({
        partition: i32,
        stateEpoch: i32,
        leaderEpoch: i32,
        startOffset: i64,
        deliveryCompleteCount: i32.since(1).default(-1),
        stateBatches: array({
          firstOffset: i64,
          lastOffset: i64,
          deliveryState: i8,
          deliveryCount: i16
        })
      })
    })
  },
  response: {
    results: array({
      topicId: uuid,
      partitions: array({
        partition: i32,
        errorCode: i16,
        errorMessage: text.orNull().default(null)
      })
    })
  }
})
