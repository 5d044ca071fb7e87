// Envelope, API key 58. KIP-590.

import { api, bytes, i16 } from '../schema.ts'

/** A broker forwards a client's request to the controller, with the client's principal. */
export const envelope = api({
  key: 58,
  name: 'Envelope',
  versions: [0, 0],
  flexibleFrom: 0,
  listeners: ['controller'],
  request: {
    requestData: bytes,
    requestPrincipal: bytes.orNull(),
    clientHostAddress: bytes
  },
  response: {
    responseData: bytes.orNull().default(null),
    errorCode: i16
  }
})
