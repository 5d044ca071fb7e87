// UpdateRaftVoter, API key 82. KIP-853.

import { api, array, i16, i32, struct, text, u16, uuid } from '../schema.ts'

/** A voter tells the quorum its endpoints and the KRaft versions it can run. */
export const updateRaftVoter = api({
  key: 82,
  name: 'UpdateRaftVoter',
  versions: [0, 0],
  flexibleFrom: 0,
  listeners: ['controller'],
  request: {
    clusterId: text.orNull(),
    currentLeaderEpoch: i32,
    voterId: i32,
    voterDirectoryId: uuid,
    listeners: array({
      name: text,
      host: text,
      port: u16
    }),
    kRaftVersionFeature: struct({
      minSupportedVersion: i16,
      maxSupportedVersion: i16
    })
  },
  response: {
    throttleTimeMs: i32,
    errorCode: i16,
    currentLeader: struct({
      leaderId: i32.default(-1),
      leaderEpoch: i32.default(-1),
      host: text,
      port: i32
    }).tag(0, 0)
  }
})
