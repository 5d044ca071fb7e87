// LeaveGroup, API key 13. 3 removes several at once (KIP-345), 5 adds a reason (KIP-800).

import { api, array, i16, i32, text } from '../schema.ts'

/** Members leave a classic group. */
export const leaveGroup = api({
  key: 13,
  name: 'LeaveGroup',
  versions: [0, 5],
  flexibleFrom: 4,
  listeners: ['broker'],
  request: {
    groupId: text,
    memberId: text.until(2),
    members: array({
      memberId: text,
      groupInstanceId: text.orNull().default(null),
      reason: text.since(5).orNull().default(null)
    }).since(3)
  },
  response: {
    throttleTimeMs: i32.since(1),
    errorCode: i16,
    members: array({
      memberId: text,
      groupInstanceId: text.orNull(),
      errorCode: i16
    }).since(3)
  }
})
