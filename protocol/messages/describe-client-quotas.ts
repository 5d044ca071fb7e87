// DescribeClientQuotas, API key 48. KIP-546.

import { api, array, bool, f64, i8, i16, i32, text } from '../schema.ts'

/** Lists client quotas that match a filter. */
export const describeClientQuotas = api({
  key: 48,
  name: 'DescribeClientQuotas',
  versions: [0, 1],
  flexibleFrom: 1,
  listeners: ['broker'],
  request: {
    components: array({
      entityType: text,
      matchType: i8,
      match: text.orNull()
    }),
    strict: bool
  },
  response: {
    throttleTimeMs: i32,
    errorCode: i16,
    errorMessage: text.orNull().default(null),
    entries: array({
      entity: array({
        entityType: text,
        entityName: text.orNull()
      }),
      values: array({
        key: text,
        value: f64
      })
    }).orNull()
  }
})
