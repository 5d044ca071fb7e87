// DeleteRecords, API key 21.

import { api, array, i16, i32, i64, text } from '../schema.ts'

/** Deletes the records before an offset, by moving the log start. */
export const deleteRecords = api({
  key: 21,
  name: 'DeleteRecords',
  versions: [0, 2],
  flexibleFrom: 2,
  listeners: ['broker'],
  request: {
    topics: array({
      name: text,
      partitions: array({
        partitionIndex: i32,
        offset: i64
      })
    }),
    timeoutMs: i32
  },
  response: {
    throttleTimeMs: i32,
    topics: array({
      name: text,
      partitions: array({
        partitionIndex: i32,
        lowWatermark: i64,
        errorCode: i16
      })
    })
  }
})
