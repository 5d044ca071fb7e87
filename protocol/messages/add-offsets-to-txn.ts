// AddOffsetsToTxn, API key 25. 3 adds PRODUCER_FENCED (KIP-588), 4 TRANSACTION_ABORTABLE (KIP-890).

import { api, i16, i32, i64, text } from '../schema.ts'

/** Adds a group's offsets to a transaction. */
export const addOffsetsToTxn = api({
  key: 25,
  name: 'AddOffsetsToTxn',
  versions: [0, 4],
  flexibleFrom: 3,
  listeners: ['broker'],
  request: {
    transactionalId: text,
    producerId: i64,
    producerEpoch: i16,
    groupId: text
  },
  response: {
    throttleTimeMs: i32,
    errorCode: i16
  }
})
