// IncrementalAlterConfigs, API key 44. KIP-339.

import { api, array, bool, i8, i16, i32, text } from '../schema.ts'

/** Sets, deletes, appends to or subtracts from single settings. */
export const incrementalAlterConfigs = api({
  key: 44,
  name: 'IncrementalAlterConfigs',
  versions: [0, 1],
  flexibleFrom: 1,
  listeners: ['broker', 'controller'],
  request: {
    resources: array({
      resourceType: i8,
      resourceName: text,
      configs: array({
        name: text,
        configOperation: i8,
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
