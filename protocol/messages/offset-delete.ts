// OffsetDelete, API key 47. KIP-496. Never flexible.

import { api, array, i16, i32, text } from '../schema.ts'

/** Deletes committed offsets of a group. */
export const offsetDelete = api({
  key: 47,
  name: 'OffsetDelete',
  versions: [0, 0],
  flexibleFrom: null,
  listeners: ['broker'],
  request: {
    groupId: text,
    topics: array({
      name: text,
      partitions: array({
        partitionIndex: i32
      })
    })
  },
  response: {
    errorCode: i16,
    throttleTimeMs: i32,
    topics: array({
      name: text,
      partitions: array({
        partitionIndex: i32,
        errorCode: i16
      })
    })
  }
})
