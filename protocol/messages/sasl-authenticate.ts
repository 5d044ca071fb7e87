// SaslAuthenticate, API key 36. 1 adds the life time of the session (KIP-368).

import { api, bytes, i16, i64, text } from '../schema.ts'

/** Carries SASL tokens. */
export const saslAuthenticate = api({
  key: 36,
  name: 'SaslAuthenticate',
  versions: [0, 2],
  flexibleFrom: 2,
  listeners: ['broker', 'controller'],
  request: {
    authBytes: bytes
  },
  response: {
    errorCode: i16,
    errorMessage: text.orNull().default(null),
    authBytes: bytes,
    sessionLifetimeMs: i64.since(1)
  }
})
