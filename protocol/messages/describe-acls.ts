// DescribeAcls, API key 29. 1 adds pattern types (KIP-290), 3 user principals of tokens (KIP-373).

import { api, array, i8, i16, i32, text } from '../schema.ts'

/** Lists access rules that match a filter. */
export const describeAcls = api({
  key: 29,
  name: 'DescribeAcls',
  versions: [1, 3],
  flexibleFrom: 2,
  listeners: ['broker', 'controller'],
  request: {
    resourceTypeFilter: i8,
    resourceNameFilter: text.orNull(),
    patternTypeFilter: i8.default(3),
    principalFilter: text.orNull(),
    hostFilter: text.orNull(),
    operation: i8,
    permissionType: i8
  },
  response: {
    throttleTimeMs: i32,
    errorCode: i16,
    errorMessage: text.orNull().default(null),
    resources: array({
      resourceType: i8,
      resourceName: text,
      patternType: i8.default(3),
      acls: array({
        principal: text,
        host: text,
        operation: i8,
        permissionType: i8
      })
    })
  }
})
