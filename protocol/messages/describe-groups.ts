// DescribeGroups, API key 15. 3 adds authorised operations (KIP-430), 4 static members (KIP-345), 6 says
// GROUP_ID_NOT_FOUND with a message (KIP-1043).

import { api, array, bool, bytes, i16, i32, text } from '../schema.ts'

/** Describes classic groups and their members. */
export const describeGroups = api({
  key: 15,
  name: 'DescribeGroups',
  versions: [0, 6],
  flexibleFrom: 5,
  listeners: ['broker'],
  request: {
    groups: array(text),
    includeAuthorizedOperations: bool.since(3)
  },
  response: {
    throttleTimeMs: i32.since(1),
    groups: array({
      errorCode: i16,
      errorMessage: text.since(6).orNull().default(null),
      groupId: text,
      groupState: text,
      protocolType: text,
      protocolData: text,
      members: array({
        memberId: text,
        groupInstanceId: text.since(4).orNull().default(null),
        clientId: text,
        clientHost: text,
        memberMetadata: bytes,
        memberAssignment: bytes
      }),
      authorizedOperations: i32.since(3).default(-2147483648)
    })
  }
})
