// RemoveRaftVoter, API key 81. KIP-853.

import { api, i16, i32, text, uuid } from '../schema.ts'

/** Removes a voter from the metadata quorum. */
export const removeRaftVoter = api({
  key: 81,
  name: 'RemoveRaftVoter',
  versions: [0, 0],
  flexibleFrom: 0,
  listeners: ['broker', 'controller'],
  request: {
    clusterId: text.orNull(),
    voterId: i32,
    voterDirectoryId: uuid
  },
  response: {
    throttleTimeMs: i32,
    errorCode: i16,
    errorMessage: text.orNull().default(null)
  }
})
