// BeginQuorumEpoch, API key 53. KIP-595; 1 adds directory ids and endpoints (KIP-853).

import { api, array, i16, i32, text, u16, uuid } from '../schema.ts'

/** A new leader of the metadata quorum announces itself. */
export const beginQuorumEpoch = api({
  key: 53,
  name: 'BeginQuorumEpoch',
  versions: [0, 1],
  flexibleFrom: 1,
  listeners: ['controller'],
  request: {
    clusterId: text.orNull().default(null),
    voterId: i32.since(1).default(-1),
    topics: array({
      topicName: text,
      partitions: array({
        partitionIndex: i32,
        voterDirectoryId: uuid.since(1),
        leaderId: i32,
        leaderEpoch: i32
      })
    }),
    leaderEndpoints: array({
      name: text,
      host: text,
      port: u16
    }).since(1)
  },
  response: {
    errorCode: i16,
    topics: array({
      topicName: text,
      partitions: array({
        partitionIndex: i32,
        errorCode: i16,
        leaderId: i32,
        leaderEpoch: i32
      })
    }),
    nodeEndpoints: array({
      nodeId: i32,
      host: text,
      port: u16
    }).tag(0, 1)
  }
})
