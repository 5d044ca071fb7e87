// EndQuorumEpoch, API key 54. KIP-595; 1 adds directory ids and endpoints (KIP-853).

import { api, array, i16, i32, text, u16, uuid } from '../schema.ts'

/** A resigning leader of the metadata quorum names its preferred successors. */
export const endQuorumEpoch = api({
  key: 54,
  name: 'EndQuorumEpoch',
  versions: [0, 1],
  flexibleFrom: 1,
  listeners: ['controller'],
  request: {
    clusterId: text.orNull().default(null),
    topics: array({
      topicName: text,
      partitions: array({
        partitionIndex: i32,
        leaderId: i32,
        leaderEpoch: i32,
        preferredSuccessors: array(i32).until(0),
        preferredCandidates: array({
          candidateId: i32,
          candidateDirectoryId: uuid
        }).since(1)
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
