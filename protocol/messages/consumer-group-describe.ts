// ConsumerGroupDescribe, API key 69. KIP-848; 1 adds the type of members (KIP-1099).

import { api, array, bool, i8, i16, i32, struct, text, uuid } from '../schema.ts'

const topicPartitions = {
  topicId: uuid,
  topicName: text,
  partitions: array(i32)
}

const assignment = {
  topicPartitions: array(topicPartitions)
}

/** Describes consumer groups. */
export const consumerGroupDescribe = api({
  key: 69,
  name: 'ConsumerGroupDescribe',
  versions: [0, 1],
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
        instanceId: text.orNull().default(null),
        rackId: text.orNull().default(null),
        memberEpoch: i32,
        clientId: text,
        clientHost: text,
        subscribedTopicNames: array(text),
        subscribedTopicRegex: text.orNull().default(null),
        assignment: struct(assignment),
        targetAssignment: struct(assignment),
        memberType: i8.since(1).default(-1)
      }),
      authorizedOperations: i32.default(-2147483648)
    })
  }
})
