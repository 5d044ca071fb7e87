// ShareGroupDescribe, API key 77. KIP-932.

import { api, array, bool, i16, i32, struct, text, uuid } from '../schema.ts'

const topicPartitions = {
  topicId: uuid,
  topicName: text,
  partitions: array(i32)
}

const assignment = {
  topicPartitions: array(topicPartitions)
}

/** Describes share groups. */
export const shareGroupDescribe = api({
  key: 77,
  name: 'ShareGroupDescribe',
  versions: [1, 1],
  flexibleFrom: 0,
  listeners: ['broker'],
  request: {
    groupIds: array(text),
    includeAuthorizedOperations: bool
  },
  response: {
    throttleTimeMs: i32,
    groups: array({
      errorCode: i16,
      errorMessage: text.orNull().default(null),
      groupId: text,
      groupState: text,
      groupEpoch: i32,
      assignmentEpoch: i32,
      assignorName: text,
      members: array({
        memberId: text,
        rackId: text.orNull().default(null),
        memberEpoch: i32,
        clientId: text,
        clientHost: text,
        subscribedTopicNames: array(text),
        assignment: struct(assignment)
      }),
      authorizedOperations: i32.default(-2147483648)
    })
  }
})
