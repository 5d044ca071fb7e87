// AlterReplicaLogDirs, API key 34. KIP-113.

import { api, array, i16, i32, text } from '../schema.ts'

/** Moves replicas of one broker between its log directories. */
export const alterReplicaLogDirs = api({
  key: 34,
  name: 'AlterReplicaLogDirs',
  versions: [1, 2],
  flexibleFrom: 2,
  listeners: ['broker'],
  request: {
    dirs: array({
      path: text,
      topics: array({
        name: text,
        partitions: array(i32)
      })
    })
  },
  response: {
    throttleTimeMs: i32,
    results: array({
      topicName: text,
      partitions: array({
        partitionIndex: i32,
        errorCode: i16
      })
    })
  }
})
