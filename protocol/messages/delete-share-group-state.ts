// DeleteShareGroupState, API key 86. KIP-932.

import { api, array, i16, i32, text, uuid } from '../schema.ts'

/** Deletes the durable state of share partitions. */
export const deleteShareGroupState = api({
  key: 86,
  name: 'DeleteShareGroupState',
  versions: [0, 0],
  flexibleFrom: 0,
  listeners: ['broker'],
  request: {
    groupId: text,
    topics: array({
      topicId: uuid,
      partitions: array({
        partition: i32
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
