// DeleteGroups, API key 42. KIP-229.

import { api, array, i16, i32, text } from '../schema.ts'

/** Deletes empty groups with their offsets. */
export const deleteGroups = api({
  key: 42,
  name: 'DeleteGroups',
  versions: [0, 2],
  flexibleFrom: 2,
  listeners: ['broker'],
  request: {
    groupsNames: array(text)
  },
  response: {
    throttleTimeMs: i32,
    results: array({
      groupId: text,
      errorCode: i16
    })
  }
})
