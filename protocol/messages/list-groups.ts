// ListGroups, API key 16. 4 filters by state (KIP-518), 5 by type (KIP-848).

import { api, array, i16, i32, text } from '../schema.ts'

/** Lists the groups that a broker coordinates. */
export const listGroups = api({
  key: 16,
  name: 'ListGroups',
  versions: [0, 5],
  flexibleFrom: 3,
  listeners: ['broker'],
  request: {
    statesFilter: array(text).since(4),
    typesFilter: array(text).since(5)
  },
  response: {
    throttleTimeMs: i32.since(1),
    errorCode: i16,
    groups: array({
      groupId: text,
      protocolType: text,
      groupState: text.since(4),
      groupType: text.since(5)
    })
  }
})
