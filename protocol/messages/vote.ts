// Vote, API key 52. KIP-595; 1 adds directory ids (KIP-853), 2 pre-votes (KIP-996).

import { api, array, bool, i16, i32, i64, text, u16, uuid } from '../schema.ts'

/** A candidate of the metadata quorum asks for a vote. */
export const vote = api({
  key: 52,
  name: 'Vote',
  versions: [0, 2],
  flexibleFrom: 0,
  listeners: ['controller'],
  request: {
    clusterId: text.orNull().default(null),
    voterId: i32.since(1).default(-1),
    topics: array({
      topicName: text,
      partitions: array({
        partitionIndex: i32,
        replicaEpoch: i32,
        replicaId: i32,
        replicaDirectoryId: uuid.since(1),
        voterDirectoryId: uuid.since(1),
        lastOffsetEpoch: i32,
        lastOffset: i64,
        preVote: bool.since(2)
      })
    })
  },
  response: {
    errorCode: i16,
    topics: array({
      topicName: text,
      partitions: array({
        partitionIndex: i32,
        errorCode: i16,
        leaderId: i32,
        leaderEpoch: i32,
        voteGranted: bool
      })
    }),
    nodeEndpoints: array({
      nodeId: i32,
      host: text,
      port: u16
    }).tag(0, 1)
  }
})
