// UnregisterBroker, API key 64. KIP-631.

import { api, i16, i32, text } from '../schema.ts'

/** Removes a broker's registration. */
export const unregisterBroker = api({
  key: 64,
  name: 'UnregisterBroker',
  versions: [0, 0],
  flexibleFrom: 0,
  listeners: ['broker', 'controller'],
  request: {
    brokerId: i32
  },
  response: {
    throttleTimeMs: i32,
    errorCode: i16,
    errorMessage: text.orNull().default(null)
  }
})
