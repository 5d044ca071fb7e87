// FetchSnapshot, API key 59. KIP-630; 1 adds directory ids and endpoints (KIP-853).

import { api, array, i16, i32, i64, records, struct, text, u16, uuid } from '../schema.ts'

/** A lagging member of the metadata quorum reads a snapshot in pieces. */
export const fetchSnapshot = api({
  key: 59,
  name: 'FetchSnapshot',
  versions: [0, 1],
  flexibleFrom: 0,
  listeners: ['controller'],
  request: {
    clusterId: text.orNull().tag(0, 0).default(null),
    replicaId: i32.default(-1),
    maxBytes: i32.default(2147483647),
    topics: array({
      name: text,
      partitions: array({
        partition: i32,
        currentLeaderEpoch: i32,
        snapshotId: struct({
          endOffset: i64,
          epoch: i32
        }),
        position: i64,
        replicaDirectoryId: uuid.tag(0, 1)
      })
    })
  },
  response: {
    throttleTimeMs: i32,
    errorCode: i16,
    topics: array({
      name: text,
      partitions: array({
        index: i32,
        errorCode: i16,
        snapshotId: struct({
          endOffset: i64,
          epoch: i32
        }),
        currentLeader: struct({
          leaderId: i32,
          leaderEpoch: i32
        }).tag(0, 0),
        size: i64,
        position: i64,
        unalignedRecords: records
      })
    }),
    nodeEndpoints: array({
      nodeId: i32,
      host: text,
      port: u16
    }).tag(0, 1)
  }
})
