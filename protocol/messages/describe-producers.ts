// DescribeProducers, API key 61. KIP-664.

import { api, array, i16, i32, i64, text } from '../schema.ts'

/** Lists the producers that a partition knows, with their open transactions. */
export const describeProducers = api({
  key: 61,
  name: 'DescribeProducers',
  versions: [0, 0],
  flexibleFrom: 0,
  listeners: ['broker'],
  request: {
    topics: array({
      name: text,
      partitionIndexes: array(i32)
    })
  },
  response: {
    throttleTimeMs: i32,
    topics: array({
      name: text,
      partitions: array({
        partitionIndex: i32,
        errorCode: i16,
        errorMessage: text.orNull().default(null),
        activeProducers: array({
          producerId: i64,
          producerEpoch: i32,
          lastSequence: i32.default(-1),
          lastTimestamp: i64.default(-1),
          coordinatorEpoch: i32,
          currentTxnStartOffset: i64.default(-1)
        })
      })
    })
  }
})
