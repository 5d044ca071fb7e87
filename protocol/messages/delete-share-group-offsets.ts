// DeleteShareGroupOffsets, API key 92. KIP-932.

import { api, array, i16, i32, text, uuid } from '../schema.ts'

/** Deletes the offsets of a share group for topics. */
export const deleteShareGroupOffsets = api({
  key: 92,
  name: 'DeleteShareGroupOffsets',
  versions: [0, 0],
  flexibleFrom: 0,
  listeners: ['broker'],
  request: {
    groupId: text,
    topics: array({
      topicName: text
    })
  },
  response: {
    throttleTimeMs: i32,
    errorCode: i16,
    errorMessage: text.orNull().default(null),
    responses: array({
      topicName: text,
      topicId: uuid,
      errorCode: i16,
      errorMessage: text.orNull().default(null)
    })
  }
})
