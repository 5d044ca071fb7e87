// AlterShareGroupOffsets, API key 91. KIP-932.

import { api, array, i16, i32, i64, text, uuid } from '../schema.ts'

/** Sets the start offsets of a share group. */
export const alterShareGroupOffsets = api({
  key: 91,
  name: 'AlterShareGroupOffsets',
  versions: [0, 0],
  flexibleFrom: 0,
  listeners: ['broker'],
  request: {
    groupId: text,
    topics: array({
      topicName: text,
      partitions: array({
        partitionIndex: i32,
        startOffset: i64
      })
    })
  },
  response: {
    throttleTimeMs: i32,
    errorCode: i16,
    errorMessage: text.orNull().default(null),
    responses: array({
      topicName: text,
      topicId: uuid,
      partitions: array({
        partitionIndex: i32,
        errorCode: i16,
        errorMessage: text.orNull().default(null)
      })
    })
  }
})
