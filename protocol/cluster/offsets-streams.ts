// Records of __consumer_offsets about streams groups (KIP-1071).

import { array, hash64, i8, i16, i32, i64, message, struct, text, u16 } from '../schema.ts'

export const streamsGroupMetadataKey = message({
  name: 'StreamsGroupMetadataKey',
  versions: [0, 0],
  flexibleFrom: null,
  fields: {
    groupId: text
  }
})

const lastAssignmentConfig = {
  key: text,
  value: text
}

/** The epoch of a group. */
export const streamsGroupMetadataValue = message({
  name: 'StreamsGroupMetadataValue',
  versions: [0, 0],
  flexibleFrom: 0,
  fields: {
    epoch: i32,
    metadataHash: hash64,
    validatedTopologyEpoch: i32.tag(0, 0).default(-1),
    lastAssignmentConfigs: array(lastAssignmentConfig).orNull().tag(1, 0)
  }
})

export const streamsGroupMemberMetadataKey = message({
  name: 'StreamsGroupMemberMetadataKey',
  versions: [0, 0],
  flexibleFrom: null,
  fields: {
    groupId: text,
    memberId: text
  }
})

const endpoint = {
  host: text,
  port: u16
}

const keyValue = {
  key: text,
  value: text
}

/** What a member said of itself. */
export const streamsGroupMemberMetadataValue = message({
  name: 'StreamsGroupMemberMetadataValue',
  versions: [0, 0],
  flexibleFrom: 0,
  fields: {
    instanceId: text.orNull(),
    rackId: text.orNull(),
    clientId: text,
    clientHost: text,
    rebalanceTimeoutMs: i32.default(-1),
    topologyEpoch: i32,
    processId: text,
    userEndpoint: struct(endpoint).orNull().default(null),
    clientTags: array(keyValue)
  }
})

export const streamsGroupTargetAssignmentMetadataKey = message({
  name: 'StreamsGroupTargetAssignmentMetadataKey',
  versions: [0, 0],
  flexibleFrom: null,
  fields: {
    groupId: text
  }
})

/** The epoch that the target assignment belongs to. */
export const streamsGroupTargetAssignmentMetadataValue = message({
  name: 'StreamsGroupTargetAssignmentMetadataValue',
  versions: [0, 0],
  flexibleFrom: 0,
  fields: {
    assignmentEpoch: i32,
    assignmentTimestamp: i64.tag(0, 0)
  }
})

export const streamsGroupTargetAssignmentMemberKey = message({
  name: 'StreamsGroupTargetAssignmentMemberKey',
  versions: [0, 0],
  flexibleFrom: null,
  fields: {
    groupId: text,
    memberId: text
  }
})

const taskIds = {
  subtopologyId: text,
  partitions: array(i32)
}

/** Which tasks a member shall have. */
export const streamsGroupTargetAssignmentMemberValue = message({
  name: 'StreamsGroupTargetAssignmentMemberValue',
  versions: [0, 0],
  flexibleFrom: 0,
  fields: {
    activeTasks: array(taskIds),
    standbyTasks: array(taskIds),
    warmupTasks: array(taskIds)
  }
})

export const streamsGroupCurrentMemberAssignmentKey = message({
  name: 'StreamsGroupCurrentMemberAssignmentKey',
  versions: [0, 0],
  flexibleFrom: null,
  fields: {
    groupId: text,
    memberId: text
  }
})

const streamsGroupCurrentMemberAssignmentValueTaskIds = {
  subtopologyId: text,
  partitions: array(i32),
  assignmentEpochs: array(i32).orNull().tag(0, 0)
}

/** Which tasks a member has, and which it still has to give up. */
export const streamsGroupCurrentMemberAssignmentValue = message({
  name: 'StreamsGroupCurrentMemberAssignmentValue',
  versions: [0, 0],
  flexibleFrom: 0,
  fields: {
    memberEpoch: i32,
    previousMemberEpoch: i32,
    state: i8,
    activeTasks: array(streamsGroupCurrentMemberAssignmentValueTaskIds),
    standbyTasks: array(streamsGroupCurrentMemberAssignmentValueTaskIds),
    warmupTasks: array(streamsGroupCurrentMemberAssignmentValueTaskIds),
    activeTasksPendingRevocation: array(streamsGroupCurrentMemberAssignmentValueTaskIds),
    standbyTasksPendingRevocation: array(streamsGroupCurrentMemberAssignmentValueTaskIds),
    warmupTasksPendingRevocation: array(streamsGroupCurrentMemberAssignmentValueTaskIds)
  }
})

export const streamsGroupTopologyKey = message({
  name: 'StreamsGroupTopologyKey',
  versions: [0, 0],
  flexibleFrom: null,
  fields: {
    groupId: text
  }
})

const topicConfig = {
  key: text,
  value: text
}

const topicInfo = {
  name: text,
  partitions: i32,
  replicationFactor: i16,
  topicConfigs: array(topicConfig)
}

/** The topology of the application. */
export const streamsGroupTopologyValue = message({
  name: 'StreamsGroupTopologyValue',
  versions: [0, 0],
  flexibleFrom: 0,
  fields: {
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
  }
})
