// InitializeShareGroupState, API key 83. KIP-932.

import { api, array, i16, i32, i64, text, uuid } from '../schema.ts'

/** Creates the durable state of share partitions. */
export const initializeShareGroupState = api({
  key: 83,
  name: 'InitializeShareGroupState',
  versions: [0, 0],
  flexibleFrom: 0,
  listeners: ['broker'],
  request: {
    groupId: text,
    topics: array({
      topicId: uuid,
      partitions: array({
        partition: i32,
        stateEpoch: i32,
        startOffset: i64
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
