// AlterUserScramCredentials, API key 51. KIP-554.

import { api, array, bytes, i8, i16, i32, text } from '../schema.ts'

/** Sets or removes SCRAM credentials. */
export const alterUserScramCredentials = api({
  key: 51,
  name: 'AlterUserScramCredentials',
  versions: [0, 0],
  flexibleFrom: 0,
  listeners: ['broker', 'controller'],
  request: {
    deletions: array({
      name: text,
      mechanism: i8
    }),
    upsertions: array({
      name: text,
      mechanism: i8,
      iterations: i32,
      salt: bytes,
      saltedPassword: bytes
    })
  },
  response: {
    throttleTimeMs: i32,
    results: array({
      user: text,
      errorCode: i16,
      errorMessage: text.orNull().default(null)
    })
  }
})
