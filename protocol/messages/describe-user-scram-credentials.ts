// DescribeUserScramCredentials, API key 50. KIP-554.

import { api, array, i8, i16, i32, text } from '../schema.ts'

/** Lists which SCRAM credentials users have. */
export const describeUserScramCredentials = api({
  key: 50,
  name: 'DescribeUserScramCredentials',
  versions: [0, 0],
  flexibleFrom: 0,
  listeners: ['broker', 'controller'],
  request: {
    users: array({
      name: text
    }).orNull()
  },
  response: {
    throttleTimeMs: i32,
    errorCode: i16,
    errorMessage: text.orNull().default(null),
    results: array({
      user: text,
      errorCode: i16,
      errorMessage: text.orNull().default(null),
      credentialInfos: array({
        mechanism: i8,
        iterations: i32
      })
    })
  }
})
