// WriteTxnMarkers, API key 27. 2 adds the transaction version (KIP-890).

import { api, array, bool, i8, i16, i32, i64, text } from '../schema.ts'

/** A transaction coordinator has commit or abort markers written to partitions. */
export const writeTxnMarkers = api({
  key: 27,
  name: 'WriteTxnMarkers',
  versions: [1, 2],
  flexibleFrom: 1,
  listeners: ['broker'],
  request: {
    markers: array({
      producerId: i64,
      producerEpoch: i16,
      transactionResult: bool,
      topics: array({
        name: text,
        partitionIndexes: array(i32)
      }),
      coordinatorEpoch: i32,
      transactionVersion: i8.since(2)
    })
  },
  response: {
    markers: array({
      producerId: i64,
      topics: array({
        name: text,
        partitions: array({
          partitionIndex: i32,
          errorCode: i16
        })
      })
    })
  }
})
