// EndTxn, API key 26. 5 raises the producer epoch with each transaction (KIP-890).

import { api, bool, i16, i32, i64, text } from '../schema.ts'

/** Commits or aborts a transaction. */
export const endTxn = api({
  key: 26,
  name: 'EndTxn',
  versions: [0, 5],
  flexibleFrom: 3,
  listeners: ['broker'],
  request: {
    transactionalId: text,
    producerId: i64,
    producerEpoch: i16,
    committed: bool
  },
  response: {
    throttleTimeMs: i32,
    errorCode: i16,
    producerId: i64.since(5).default(-1),
    producerEpoch: i16.since(5).default(-1)
  }
})
