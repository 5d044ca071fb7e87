// RenewDelegationToken, API key 39. KIP-48.

import { api, bytes, i16, i32, i64 } from '../schema.ts'

/** Prolongs a delegation token. */
export const renewDelegationToken = api({
  key: 39,
  name: 'RenewDelegationToken',
  versions: [1, 2],
  flexibleFrom: 2,
  listeners: ['broker', 'controller'],
  request: {
    hmac: bytes,
    renewPeriodMs: i64
  },
  response: {
    errorCode: i16,
    expiryTimestampMs: i64,
    throttleTimeMs: i32
  }
})
