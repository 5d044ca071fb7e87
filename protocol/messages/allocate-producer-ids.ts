// AllocateProducerIds, API key 67. KIP-730.

import { api, i16, i32, i64 } from '../schema.ts'

/** A broker takes a block of producer ids from the controller. */
export const allocateProducerIds = api({
  key: 67,
  name: 'AllocateProducerIds',
  versions: [0, 0],
  flexibleFrom: 0,
  listeners: ['controller'],
  request: {
    brokerId: i32,
    brokerEpoch: i64.default(-1)
  },
  response: {
    throttleTimeMs: i32,
    errorCode: i16,
    producerIdStart: i64,
    producerIdLen: i32
  }
})
