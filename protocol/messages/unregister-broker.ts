import { api, i16, i32, text } from '../schema.ts'

/** Removes a broker's registration. KIP-631. */
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
