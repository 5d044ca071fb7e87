// ListPartitionReassignments, API key 46. KIP-455.

import { api, array, i16, i32, text } from '../schema.ts'

/** Lists moves of replicas that are under way. */
export const listPartitionReassignments = api({
  key: 46,
  name: 'ListPartitionReassignments',
  versions: [0, 0],
  flexibleFrom: 0,
  listeners: ['broker', 'controller'],
  request: {
    timeoutMs: i32.default(60000),
    topics: array({
      name: text,
      partitionIndexes: array(i32)
    })
      .orNull()
      .default(null)
  },
  response: {
    throttleTimeMs: i32,
    errorCode: i16,
    errorMessage: text.orNull().default(null),
    topics: array({
      name: text,
      partitions: array({
        partitionIndex: i32,
        replicas: array(i32),
        addingReplicas: array(i32),
        removingReplicas: array(i32)
      })
    })
  }
})
