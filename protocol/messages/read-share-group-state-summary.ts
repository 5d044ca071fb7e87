// ReadShareGroupStateSummary, API key 87. KIP-932; 1 adds the count of deliveries that completed (KIP-1226).

import { api, array, i16, i32, i64, text, uuid } from '../schema.ts'

/** Reads where share partitions start, without their records. */
export const readShareGroupStateSummary = api({
  key: 87,
  name: 'ReadShareGroupStateSummary',
  versions: [0, 1],
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
        leaderEpoch: i32,
        startOffset: i64,
        deliveryCompleteCount: i32.since(1).default(-1)
      })
    })
  }
})
