// CreateDelegationToken, API key 38. KIP-48; 3 lets one principal ask for another (KIP-373).

import { api, array, bytes, i16, i32, i64, text } from '../schema.ts'

/** Issues a delegation token. */
export const createDelegationToken = api({
  key: 38,
  name: 'CreateDelegationToken',
  versions: [1, 3],
  flexibleFrom: 2,
  listeners: ['broker', 'controller'],
  request: {
    ownerPrincipalType: text.since(3).orNull(),
    ownerPrincipalName: text.since(3).orNull(),
    renewers: array({
      principalType: text,
      principalName: text
    }),
    maxLifetimeMs: i64
  },
  response: {
    errorCode: i16,
    principalType: text,
    principalName: text,
    tokenRequesterPrincipalType: text.since(3),
    tokenRequesterPrincipalName: text.since(3),
    issueTimestampMs: i64,
    expiryTimestampMs: i64,
    maxTimestampMs: i64,
    tokenId: text,
    hmac: bytes,
    throttleTimeMs: i32
  }
})
