// CreatePartitions, API key 37. KIP-195.

import { api, array, bool, i16, i32, text } from '../schema.ts'

/** Adds partitions to topics. */
export const createPartitions = api({
  key: 37,
  name: 'CreatePartitions',
  versions: [0, 3],
  flexibleFrom: 2,
  listeners: ['broker', 'controller'],
  request: {
    topics: array({
      name: text,
      count: i32,
      assignments: array({
        brokerIds: array(i32)
      }).orNull()
    }),
    timeoutMs: i32,
    validateOnly: bool
  },
  response: {
    throttleTimeMs: i32,
    results: array({
      name: text,
      errorCode: i16,
      errorMessage: text.orNull().default(null)
    })
  }
})
