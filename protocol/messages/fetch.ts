// Fetch, API key 1. 7 brings incremental sessions (KIP-227), 11 the rack of the reader (KIP-392), 12 divergence by
// epoch (KIP-595), 13 topic ids (KIP-516), 15 the follower's state (KIP-903), 16 node endpoints (KIP-951), 17
// directory ids (KIP-853), 18 the follower's high watermark (KIP-1166).

import { api, array, INT64_MAX, i8, i16, i32, i64, i64max, records, struct, text, uuid } from '../schema.ts'

/** A consumer or a follower reads record batches. */
export const fetch = api({
  key: 1,
  name: 'Fetch',
  versions: [4, 18],
  flexibleFrom: 12,
  listeners: ['broker', 'controller'],
  request: {
    clusterId: text.orNull().tag(0, 12).default(null),
    replicaId: i32.until(14).default(-1),
    replicaState: struct({
      replicaId: i32.default(-1),
      replicaEpoch: i64.default(-1)
    }).tag(1, 15),
    maxWaitMs: i32,
    minBytes: i32,
    maxBytes: i32.default(2147483647),
    isolationLevel: i8,
    sessionId: i32.since(7),
    sessionEpoch: i32.since(7).default(-1),
    topics: array({
      topic: text.until(12),
      topicId: uuid.since(13),
      partitions: array({
        partition: i32,
        currentLeaderEpoch: i32.since(9).default(-1),
        fetchOffset: i64,
        lastFetchedEpoch: i32.since(12).default(-1),
        logStartOffset: i64.since(5).default(-1),
        partitionMaxBytes: i32,
        replicaDirectoryId: uuid.tag(0, 17),
        highWatermark: i64max.tag(1, 18).default(INT64_MAX)
      })
    }),
    forgottenTopicsData: array({
      topic: text.until(12),
      topicId: uuid.since(13),
      partitions: array(i32)
    }).since(7),
    rackId: text.since(11)
  },
  response: {
    throttleTimeMs: i32,
    errorCode: i16.since(7),
    sessionId: i32.since(7),
    responses: array({
      topic: text.until(12),
      topicId: uuid.since(13),
      partitions: array({
        partitionIndex: i32,
        errorCode: i16,
        highWatermark: i64,
        lastStableOffset: i64.default(-1),
        logStartOffset: i64.since(5).default(-1),
        divergingEpoch: struct({
          epoch: i32.default(-1),
          endOffset: i64.default(-1)
        }).tag(0, 12),
        currentLeader: struct({
          leaderId: i32.default(-1),
          leaderEpoch: i32.default(-1)
        }).tag(1, 12),
        snapshotId: struct({
          endOffset: i64.default(-1),
          epoch: i32.default(-1)
        }).tag(2, 12),
        abortedTransactions: array({
          producerId: i64,
          firstOffset: i64
        }).orNull(),
        preferredReadReplica: i32.since(11).default(-1),
        records: records
      })
    }),
    nodeEndpoints: array({
      nodeId: i32,
      host: text,
      port: i32,
      rack: text.orNull().default(null)
    }).tag(0, 16)
  }
})
