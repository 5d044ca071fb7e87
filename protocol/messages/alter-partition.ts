// AlterPartition, API key 56. KIP-497; 2 names topics by id, 3 adds broker epochs (KIP-903).

import { api, array, i8, i16, i32, i64, uuid } from '../schema.ts'

/** A partition leader asks the controller for another set of in-sync replicas. */
export const alterPartition = api({
  key: 56,
  name: 'AlterPartition',
  versions: [2, 3],
  flexibleFrom: 0,
  listeners: ['controller'],
  request: {
    brokerId: i32,
    brokerEpoch: i64.default(-1),
    topics: array({
      topicId: uuid,
      partitions: array({
        partitionIndex: i32,
        leaderEpoch: i32,
        newIsr: array(i32).until(2),
        newIsrWithEpochs: array({
          brokerId: i32,
          brokerEpoch: i64.default(-1)
        }).since(3),
        leaderRecoveryState: i8,
        partitionEpoch: i32
      })
    })
  },
  response: {
    throttleTimeMs: i32,
    errorCode: i16,
    topics: array({
      topicId: uuid,
      partitions: array({
        partitionIndex: i32,
        errorCode: i16,
        leaderId: i32,
        leaderEpoch: i32,
        isr: array(i32),
        leaderRecoveryState: i8,
        partitionEpoch: i32
      })
    })
  }
})
