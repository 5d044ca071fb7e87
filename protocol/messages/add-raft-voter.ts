// AddRaftVoter, API key 80. KIP-853; 1 may answer before the change is committed.

import { api, array, bool, i16, i32, text, u16, uuid } from '../schema.ts'

/** Adds a voter to the metadata quorum. */
export const addRaftVoter = api({
  key: 80,
  name: 'AddRaftVoter',
  versions: [0, 1],
  flexibleFrom: 0,
  listeners: ['broker', 'controller'],
  request: {
    clusterId: text.orNull(),
    timeoutMs: i32,
    voterId: i32,
    voterDirectoryId: uuid,
    listeners: array({
      name: text,
      host: text,
      port: u16
    }),
    ackWhenCommitted: bool.since(1).default(true)
  },
  response: {
    throttleTimeMs: i32,
    errorCode: i16,
    errorMessage: text.orNull().default(null)
  }
})
