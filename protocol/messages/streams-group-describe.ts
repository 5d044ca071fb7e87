// StreamsGroupDescribe, API key 89. KIP-1071.

import { api, array, bool, i16, i32, i64, struct, text, u16 } from '../schema.ts'

const keyValue = {
  key: text,
  value: text
}

const topicInfo = {
  name: text,
  partitions: i32,
  replicationFactor: i16,
  topicConfigs: array(keyValue)
}

const endpoint = {
  host: text,
  port: u16
}

const taskOffset = {
  subtopologyId: text,
  partition: i32,
  offset: i64
}

const taskIds = {
  subtopologyId: text,
  partitions: array(i32)
}

const assignment = {
  activeTasks: array(taskIds),
  standbyTasks: array(taskIds),
  warmupTasks: array(taskIds)
}

/** Describes streams groups. */
export const streamsGroupDescribe = api({
  key: 89,
  name: 'StreamsGroupDescribe',
  versions: [0, 0],
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
      topology: struct({
        epoch: i32,
        subtopologies: array({
          subtopologyId: text,
          sourceTopics: array(text),
          repartitionSinkTopics: array(text),
          stateChangelogTopics: array(topicInfo),
          repartitionSourceTopics: array(topicInfo)
        })
          .orNull()
          .default(null)
      })
        .orNull()
        .default(null),
      members: array({
        memberId: text,
        memberEpoch: i32,
        instanceId: text.orNull().default(null),
        rackId: text.orNull().default(null),
        clientId: text,
        clientHost: text,
        topologyEpoch: i32,
        processId: text,
        userEndpoint: struct(endpoint).orNull().default(null),
        clientTags: array(keyValue),
        taskOffsets: array(taskOffset),
        taskEndOffsets: array(taskOffset),
        assignment: struct(assignment),
        targetAssignment: struct(assignment),
        isClassic: bool
      }),
      authorizedOperations: i32.default(-2147483648)
    })
  }
})
