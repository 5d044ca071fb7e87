// Metadata, API key 3. 4 lets the client forbid auto-creation, 7 adds leader epochs (KIP-320), 8 authorised
// operations (KIP-430), 10 topic ids (KIP-516), 13 a top-level error.

import { api, array, bool, i16, i32, text, uuid } from '../schema.ts'

/** Tells a client the brokers of the cluster, its topics, their partitions and leaders. */
export const metadata = api({
  key: 3,
  name: 'Metadata',
  versions: [0, 13],
  flexibleFrom: 9,
  listeners: ['broker'],
  request: {
    topics: array({
      topicId: uuid.since(10),
      name: text.orNull(10)
    }).orNull(1),
    allowAutoTopicCreation: bool.since(4).default(true),
    includeClusterAuthorizedOperations: bool.since(8).until(10),
    includeTopicAuthorizedOperations: bool.since(8)
  },
  response: {
    throttleTimeMs: i32.since(3),
    brokers: array({
      nodeId: i32,
      host: text,
      port: i32,
      rack: text.since(1).orNull().default(null)
    }),
    clusterId: text.since(2).orNull().default(null),
    controllerId: i32.since(1).default(-1),
    topics: array({
      errorCode: i16,
      name: text.orNull(12),
      topicId: uuid.since(10),
      isInternal: bool.since(1),
      partitions: array({
        errorCode: i16,
        partitionIndex: i32,
        leaderId: i32,
        leaderEpoch: i32.since(7).default(-1),
        replicaNodes: array(i32),
        isrNodes: array(i32),
        offlineReplicas: array(i32).since(5)
      }),
      topicAuthorizedOperations: i32.since(8).default(-2147483648)
    }),
    clusterAuthorizedOperations: i32.since(8).until(10).default(-2147483648),
    errorCode: i16.since(13)
  }
})
