// ListTransactions, API key 66. KIP-664; 1 filters by duration (KIP-994), 2 by pattern (KIP-1152).

import { api, array, i16, i32, i64, text } from '../schema.ts'

/** Lists transactions of a coordinator. */
export const listTransactions = api({
  key: 66,
  name: 'ListTransactions',
  versions: [0, 2],
  flexibleFrom: 0,
  listeners: ['broker'],
  request: {
    stateFilters: array(text),
    producerIdFilters: array(i64),
    durationFilter: i64.since(1).default(-1),
    transactionalIdPattern: text.since(2).orNull().default(null)
  },
  response: {
    throttleTimeMs: i32,
    errorCode: i16,
    unknownStateFilters: array(text),
    transactionStates: array({
      transactionalId: text,
      producerId: i64,
      transactionState: text
    })
  }
})
