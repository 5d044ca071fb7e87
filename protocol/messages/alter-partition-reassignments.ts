// AlterPartitionReassignments, API key 45. KIP-455; 1 may forbid a change of the replication factor (KIP-860).

import { api, array, bool, i16, i32, text } from '../schema.ts'

/** Begins or cancels moves of replicas. */
export const alterPartitionReassignments = api({
  key: 45,
  name: 'AlterPartitionReassignments',
  versions: [0, 1],
  flexibleFrom: 0,
  listeners: ['broker', 'controller'],
  request: {
    timeoutMs: i32.default(60000),
    allowReplicationFactorChange: bool.since(1).default(true),
    topics: array({
      name: text,
      partitions: array({
        partitionIndex: i32,
        replicas: array(i32).orNull().default(null)
      })
    })
  },
  response: {
    throttleTimeMs: i32,
    allowReplicationFactorChange: bool.since(1).default(true),
    errorCode: i16,
    errorMessage: text.orNull().default(null),
    responses: array({
      name: text,
      partitions: array({
        partitionIndex: i32,
        errorCode: i16,
        errorMessage: text.orNull().default(null)
      })
    })
  }
})
