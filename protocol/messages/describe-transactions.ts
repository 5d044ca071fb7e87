// DescribeTransactions, API key 65. KIP-664.

import { api, array, i16, i32, i64, text } from '../schema.ts'

/** Describes transactions by transactional id. */
export const describeTransactions = api({
  key: 65,
  name: 'DescribeTransactions',
  versions: [0, 0],
  flexibleFrom: 0,
  listeners: ['broker'],
  request: {
    transactionalIds: array(text)
  },
  response: {
    throttleTimeMs: i32,
    transactionStates: array({
      errorCode: i16,
      transactionalId: text,
      transactionState: text,
      transactionTimeoutMs: i32,
      transactionStartTimeMs: i64,
      producerId: i64,
      producerEpoch: i16,
      topics: array({
        topic: text,
        partitions: array(i32)
      })
    })
  }
})
