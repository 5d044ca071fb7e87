// StreamsGroupHeartbeat, API key 88. KIP-1071.

import { api, array, bool, i8, i16, i32, i64, struct, text, u16 } from '../schema.ts'

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

const taskIds = {
  subtopologyId: text,
  partitions: array(i32)
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

const status = {
  statusCode: i8,
  statusDetail: text
}

const topicPartition = {
  topic: text,
  partitions: array(i32)
}

/** A member of a streams group says what it runs and learns its tasks. */
export const streamsGroupHeartbeat = api({
  key: 88,
  name: 'StreamsGroupHeartbeat',
  versions: [0, 0],
  flexibleFrom: 0,
  listeners: ['broker'],
  request: {
    groupId: text,
    memberId: text,
    memberEpoch: i32,
    endpointInformationEpoch: i32,
    instanceId: text.orNull().default(null),
    rackId: text.orNull().default(null),
    rebalanceTimeoutMs: i32.default(-1),
    topology: struct({
      epoch: i32,
      subtopologies: array({
        subtopologyId: text,
        sourceTopics: array(text),
        sourceTopicRegex: array(text),
        stateChangelogTopics: array(topicInfo),
        repartitionSinkTopics: array(text),
        repartitionSourceTopics: array(topicInfo),
        copartitionGroups: array({
          sourceTopics: array(i16),
          sourceTopicRegex: array(i16),
          repartitionSourceTopics: array(i16)
        })
      })
    })
      .orNull()
      .default(null),
    activeTasks: array(taskIds).orNull().default(null),
    standbyTasks: array(taskIds).orNull().default(null),
    warmupTasks: array(taskIds).orNull().default(null),
    processId: text.orNull().default(null),
    userEndpoint: struct(endpoint).orNull().default(null),
    clientTags: array(keyValue).orNull().default(null),
    taskOffsets: array(taskOffset).orNull().default(null),
    taskEndOffsets: array(taskOffset).orNull().default(null),
    shutdownApplication: bool
  },
  response: {
    throttleTimeMs: i32,
    errorCode: i16,
    errorMessage: text.orNull().default(null),
    memberId: text,
    memberEpoch: i32,
    heartbeatIntervalMs: i32,
    acceptableRecoveryLag: i32,
    taskOffsetIntervalMs: i32,
    status: array(status).orNull(),
    activeTasks: array(taskIds).orNull().default(null),
    standbyTasks: array(taskIds).orNull().default(null),
    warmupTasks: array(taskIds).orNull().default(null),
    endpointInformationEpoch: i32,
    partitionsByUserEndpoint: array({
      userEndpoint: struct(endpoint),
      activePartitions: array(topicPartition),
      standbyPartitions: array(topicPartition)
    })
      .orNull()
      .default(null)
  }
})
