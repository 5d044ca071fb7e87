// InitProducerId, API key 22. 3 lets a producer bump its own epoch (KIP-360), 4 adds PRODUCER_FENCED (KIP-588), 5
// epoch rules of KIP-890; 6 serves two-phase commit (KIP-939) and is unstable.

import { api, bool, i16, i32, i64, text } from '../schema.ts'

/** Gives an idempotent or transactional producer its id and epoch, and ends its open transaction. */
export const initProducerId = api({
  key: 22,
  name: 'InitProducerId',
  versions: [0, 5],
  unstable: 6,
  flexibleFrom: 2,
  listeners: ['broker'],
  request: {
    transactionalId: text.orNull(),
    transactionTimeoutMs: i32,
    producerId: i64.since(3).default(-1),
    producerEpoch: i16.since(3).default(-1),
    enable2Pc: bool.since(6),
    keepPreparedTxn: bool.since(6)
  },
  response: {
    throttleTimeMs: i32,
    errorCode: i16,
    producerId: i64.default(-1),
    producerEpoch: i16,
    ongoingTxnProducerId: i64.since(6).default(-1),
    ongoingTxnProducerEpoch: i16.since(6).default(-1)
  }
})
