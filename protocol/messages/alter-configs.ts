// AlterConfigs, API key 33.

import { api, array, bool, i8, i16, i32, text } from '../schema.ts'

/** Replaces all settings of a resource. */
export const alterConfigs = api({
  key: 33,
  name: 'AlterConfigs',
  versions: [0, 2],
  flexibleFrom: 2,
  listeners: ['broker', 'controller'],
  request: {
    resources: array({
      resourceType: i8,
      resourceName: text,
      configs: array({
        name: text,
        value: text.orNull()
      })
    }),
    validateOnly: bool
  },
  response: {
    throttleTimeMs: i32,
    responses: array({
      errorCode: i16,
      errorMessage: text.orNull().default(null),
      resourceType: i8,
      resourceName: text
    })
  }
})
