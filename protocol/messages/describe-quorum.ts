// DescribeQuorum, API key 55. KIP-595; 1 adds times of the last fetch (KIP-836), 2 directory ids and endpoints
// (KIP-853).

import { api, array, i16, i32, i64, text, u16, uuid } from '../schema.ts'

const replicaState = {
  replicaId: i32,
  replicaDirectoryId: uuid.since(2),
  logEndOffset: i64,
  lastFetchTimestamp: i64.since(1).default(-1),
  lastCaughtUpTimestamp: i64.since(1).default(-1)
}

/** Describes the metadata quorum: leader, voters, observers, how far each is. */
export const describeQuorum = api({
  key: 55,
  name: 'DescribeQuorum',
  versions: [0, 2],
  flexibleFrom: 0,
  listeners: ['broker', 'controller'],
  request: {
    topics: array({
      topicName: text,
      partitions: array({
        partitionIndex: i32
      })
    })
  },
  response: {
    errorCode: i16,
    errorMessage: text.since(2).orNull().default(null),
    topics: array({
      topicName: text,
      partitions: array({
        partitionIndex: i32,
        errorCode: i16,
        errorMessage: text.since(2).orNull().default(null),
        leaderId: i32,
        leaderEpoch: i32,
        highWatermark: i64,
        currentVoters: array(replicaState),
        observers: array(replicaState)
      })
    }),
    nodes: array({
      nodeId: i32,
      listeners: array({
        name: text,
        host: text,
        port: u16
      })
    }).since(2)
  }
})
