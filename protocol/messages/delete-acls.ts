// DeleteAcls, API key 31. 1 adds pattern types (KIP-290).

import { api, array, i8, i16, i32, text } from '../schema.ts'

/** Removes the access rules that match filters. */
export const deleteAcls = api({
  key: 31,
  name: 'DeleteAcls',
  versions: [1, 3],
  flexibleFrom: 2,
  listeners: ['broker', 'controller'],
  request: {
    filters: array({
      resourceTypeFilter: i8,
      resourceNameFilter: text.orNull(),
      patternTypeFilter: i8.default(3),
      principalFilter: text.orNull(),
      hostFilter: text.orNull(),
      operation: i8,
      permissionType: i8
    })
  },
  response: {
    throttleTimeMs: i32,
    filterResults: array({
      errorCode: i16,
      errorMessage: text.orNull().default(null),
      matchingAcls: array({
        errorCode: i16,
        errorMessage: text.orNull().default(null),
        resourceType: i8,
        resourceName: text,
        patternType: i8.default(3),
        principal: text,
        host: text,
        operation: i8,
        permissionType: i8
      })
    })
  }
})
