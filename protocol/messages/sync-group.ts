// SyncGroup, API key 14. 3 adds static membership (KIP-345), 5 the protocol that was chosen (KIP-559).

import { api, array, bytes, i16, i32, text } from '../schema.ts'

/** Members of a classic group get their assignment; the leader brings all of them. */
export const syncGroup = api({
  key: 14,
  name: 'SyncGroup',
  versions: [0, 5],
  flexibleFrom: 4,
  listeners: ['broker'],
  request: {
    groupId: text,
    generationId: i32,
    memberId: text,
    groupInstanceId: text.since(3).orNull().default(null),
    protocolType: text.since(5).orNull().default(null),
    protocolName: text.since(5).orNull().default(null),
    assignments: array({
      memberId: text,
      assignment: bytes
    })
  },
  response: {
    throttleTimeMs: i32.since(1),
    errorCode: i16,
    protocolType: text.since(5).orNull().default(null),
    protocolName: text.since(5).orNull().default(null),
    assignment: bytes
  }
})
