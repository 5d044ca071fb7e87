// JoinGroup, API key 11. 1 adds the rebalance time-out (KIP-62), 4 asks for a member id first (KIP-394), 5 static
// members (KIP-345), 8 a reason (KIP-800), 9 lets the leader skip the assignment (KIP-814).

import { api, array, bool, bytes, i16, i32, text } from '../schema.ts'

/** A member of a classic group asks to take part in its next generation. */
export const joinGroup = api({
  key: 11,
  name: 'JoinGroup',
  versions: [0, 9],
  flexibleFrom: 6,
  listeners: ['broker'],
  request: {
    groupId: text,
    sessionTimeoutMs: i32,
    rebalanceTimeoutMs: i32.since(1).default(-1),
    memberId: text,
    groupInstanceId: text.since(5).orNull().default(null),
    protocolType: text,
    protocols: array({
      name: text,
      metadata: bytes
    }),
    reason: text.since(8).orNull().default(null)
  },
  response: {
    throttleTimeMs: i32.since(2),
    errorCode: i16,
    generationId: i32.default(-1),
    protocolType: text.since(7).orNull().default(null),
    protocolName: text.orNull(7),
    leader: text,
    skipAssignment: bool.since(9),
    memberId: text,
    members: array({
      memberId: text,
      groupInstanceId: text.since(5).orNull().default(null),
      metadata: bytes
    })
  }
})
