// CreateAcls, API key 30. 1 adds pattern types (KIP-290).

import { api, array, i8, i16, i32, text } from '../schema.ts'

/** Adds access rules. */
export const createAcls = api({
  key: 30,
  name: 'CreateAcls',
  versions: [1, 3],
  flexibleFrom: 2,
  listeners: ['broker', 'controller'],
  request: {
    creations: array({
      resourceType: i8,
      resourceName: text,
      resourcePatternType: i8.default(3),
      principal: text,
      host: text,
      operation: i8,
      permissionType: i8
    })
  },
  response: {
    throttleTimeMs: i32,
    results: array({
      errorCode: i16,
      errorMessage: text.orNull().default(null)
    })
  }
})
