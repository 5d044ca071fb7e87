// SaslHandshake, API key 17. From 1 the tokens follow in SaslAuthenticate (KIP-152). Never flexible.

import { api, array, i16, text } from '../schema.ts'

/** Chooses the SASL mechanism of a connection. */
export const saslHandshake = api({
  key: 17,
  name: 'SaslHandshake',
  versions: [0, 1],
  flexibleFrom: null,
  listeners: ['broker', 'controller'],
  request: {
    mechanism: text
  },
  response: {
    errorCode: i16,
    mechanisms: array(text)
  }
})
