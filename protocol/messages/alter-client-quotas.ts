// AlterClientQuotas, API key 49. KIP-546.

import { api, array, bool, f64, i16, i32, text } from '../schema.ts'

/** Sets or removes client quotas. */
export const alterClientQuotas = api({
  key: 49,
  name: 'AlterClientQuotas',
  versions: [0, 1],
  flexibleFrom: 1,
  listeners: ['broker', 'controller'],
  request: {
    entries: array({
      entity: array({
        entityType: text,
        entityName: text.orNull()
      }),
      ops: array({
        key: text,
        value: f64,
        remove: bool
      })
    }),
    validateOnly: bool
  },
  response: {
    throttleTimeMs: i32,
    entries: array({
      errorCode: i16,
      errorMessage: text.orNull().default(null),
      entity: array({
        entityType: text,
        entityName: text.orNull()
      })
    })
  }
})
