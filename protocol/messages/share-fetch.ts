// ShareFetch, API key 78. KIP-932; 2 adds lock renewal and the way of acquiring (KIP-1206, KIP-1222).

import { api, array, bool, i8, i16, i32, i64, records, struct, text, uuid } from '../schema.ts'

/** A member of a share group acquires records and acknowledges earlier ones. */
export const shareFetch = api({
  key: 78,
  name: 'ShareFetch',
  versions: [1, 2],
  flexibleFrom: 0,
  listeners: ['broker'],
  request: {
    groupId: text.orNull().default(null),
    memberId: text.orNull(),
    shareSessionEpoch: i32,
    maxWaitMs: i32,
    minBytes: i32,
    maxBytes: i32.default(2147483647),
    maxRecords: i32,
    batchSize: i32,
    shareAcquireMode: i8.since(2),
    isRenewAck: bool.since(2),
    topics: array({
      topicId: uuid,
      partitions: array({
        partitionIndex: i32,
        acknowledgementBatches: array({
          firstOffset: i64,
          lastOffset: i64,
          acknowledgeTypes: array(i8)
        })
      })
    }),
    forgottenTopicsData: array({
      topicId: uuid,
      partitions: array(i32)
    })
  },
  response: {
    throttleTimeMs: i32,
    errorCode: i16,
    errorMessage: text.orNull().default(null),
    acquisitionLockTimeoutMs: i32,
    responses: array({
      topicId: uuid,
      partitions: array({
        partitionIndex: i32,
        errorCode: i16,
        errorMessage: text.orNull().default(null),
        acknowledgeErrorCode: i16,
        acknowledgeErrorMessage: text.orNull().default(null),
        currentLeader: struct({
          leaderId: i32,
          leaderEpoch: i32
        }),
        records: records,
        acquiredRecords: array({
          firstOffset: i64,
          lastOffset: i64,
          deliveryCount: i16
        })
      })
    }),
    nodeEndpoints: array({
      nodeId: i32,
      host: text,
      port: i32,
      rack: text.orNull().default(null)
    })
  }
})
