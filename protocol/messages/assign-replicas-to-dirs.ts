// AssignReplicasToDirs, API key 73. KIP-858.

import { api, array, i16, i32, i64, uuid } from '../schema.ts'

/** A broker tells the controller which directories its replicas are in. */
export const assignReplicasToDirs = api({
  key: 73,
  name: 'AssignReplicasToDirs',
  versions: [0, 0],
  flexibleFrom: 0,
  listeners: ['controller'],
  request: {
    brokerId: i32,
    brokerEpoch: i64.default(-1),
    directories: array({
      id: uuid,
      topics: array({
        topicId: uuid,
        partitions: array({
          partitionIndex: i32
        })
      })
    })
  },
  response: {
    throttleTimeMs: i32,
    errorCode: i16,
    directories: array({
      id: uuid,
      topics: array({
        topicId: uuid,
        partitions: array({
          partitionIndex: i32,
          errorCode: i16
        })
      })
    })
  }
})
