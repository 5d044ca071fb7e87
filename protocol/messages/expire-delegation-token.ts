// ExpireDelegationToken, API key 40. KIP-48.

import { api, bytes, i16, i32, i64 } from '../schema.ts'

/** Ends a delegation token, now or at a time. */
export const expireDelegationToken = api({
  key: 40,
  name: 'ExpireDelegationToken',
  versions: [1, 2],
  flexibleFrom: 2,
  listeners: ['broker', 'controller'],
  request: {
    hmac: bytes,
    expiryTimePeriodMs: i64
  },
  response: {
    errorCode: i16,
    expiryTimestampMs: i64,
    throttleTimeMs: i32
  }
})
