// Produce, API key 0. 3 is the oldest with batches of magic 2; 8 adds errors of single records (KIP-467), 10 the
// new leader (KIP-951), 13 topic ids (KIP-516).

import { api, array, i16, i32, i64, records, struct, text, uuid } from '../schema.ts'

/** A producer appends record batches to partitions. */
export const produce = api({
  key: 0,
  name: 'Produce',
  versions: [3, 13],
  flexibleFrom: 9,
  listeners: ['broker'],
  request: {
    transactionalId: text.orNull().default(null),
    acks: i16,
    timeoutMs: i32,
    topicData: array({
      name: text.until(12),
      topicId: uuid.since(13),
      partitionData: array({
        index: i32,
        records: records
      })
    })
  },
  response: {
    responses: array({
      name: text.until(12),
      topicId: uuid.since(13),
      partitionResponses: array({
        index: i32,
        errorCode: i16,
        baseOffset: i64,
        logAppendTimeMs: i64.default(-1),
        logStartOffset: i64.since(5).default(-1),
        recordErrors: array({
          batchIndex: i32,
          batchIndexErrorMessage: text.orNull().default(null)
        }).since(8),
        errorMessage: text.since(8).orNull().default(null),
        currentLeader: struct({
          leaderId: i32.default(-1),
          leaderEpoch: i32.default(-1)
        }).tag(0, 10)
      })
    }),
    throttleTimeMs: i32,
    nodeEndpoints: array({
      nodeId: i32,
      host: text,
      port: i32,
      rack: text.orNull().default(null)
    }).tag(0, 10)
  }
})
