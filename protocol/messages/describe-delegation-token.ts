// DescribeDelegationToken, API key 41. KIP-48; 3 says who asked for them (KIP-373).

import { api, array, bytes, i16, i32, i64, text } from '../schema.ts'

/** Lists delegation tokens. */
export const describeDelegationToken = api({
  key: 41,
  name: 'DescribeDelegationToken',
  versions: [1, 3],
  flexibleFrom: 2,
  listeners: ['broker', 'controller'],
  request: {
    owners: array({
      principalType: text,
      principalName: text
    }).orNull()
  },
  response: {
    errorCode: i16,
    tokens: array({
      principalType: text,
      principalName: text,
      tokenRequesterPrincipalType: text.since(3),
      tokenRequesterPrincipalName: text.since(3),
      issueTimestamp: i64,
      expiryTimestamp: i64,
      maxTimestamp: i64,
      tokenId: text,
      hmac: bytes,
      renewers: array({
        principalType: text,
        principalName: text
      })
    }),
    throttleTimeMs: i32
  }
})
