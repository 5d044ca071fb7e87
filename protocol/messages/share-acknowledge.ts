// ShareAcknowledge, API key 79. KIP-932; 2 adds lock renewal (KIP-1222).

import { api, array, bool, i8, i16, i32, i64, struct, text, uuid } from '../schema.ts'

/** A member of a share group acknowledges records. */
export const shareAcknowledge = api({
  key: 79,
  name: 'ShareAcknowledge',
  versions: [1, 2],
  flexibleFrom: 0,
  listeners: ['broker'],
  request: {
    groupId: text.orNull().default(null),
    memberId: text.orNull(),
    shareSessionEpoch: i32,
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
    })
  },
  response: {
    throttleTimeMs: i32,
    errorCode: i16,
    errorMessage: text.orNull().default(null),
    acquisitionLockTimeoutMs: i32.since(2),
    responses: array({
      topicId: uuid,
      partitions: array({
        partitionIndex: i32,
        errorCode: i16,
        errorMessage: text.orNull().default(null),
        currentLeader: struct({
          leaderId: i32,
          leaderEpoch: i32
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
