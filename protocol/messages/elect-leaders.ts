// ElectLeaders, API key 43. KIP-183; 1 adds unclean elections (KIP-460).

import { api, array, i8, i16, i32, text } from '../schema.ts'

/** Has leaders elected: the preferred ones, or unclean ones. */
export const electLeaders = api({
  key: 43,
  name: 'ElectLeaders',
  versions: [0, 2],
  flexibleFrom: 2,
  listeners: ['broker', 'controller'],
  request: {
    electionType: i8.since(1),
    topicPartitions: array({
      topic: text,
      partitions: array(i32)
    }).orNull(),
    timeoutMs: i32.default(60000)
  },
  response: {
    throttleTimeMs: i32,
    errorCode: i16.since(1),
    replicaElectionResults: array({
      topic: text,
      partitionResult: array({
        partitionId: i32,
        errorCode: i16,
        errorMessage: text.orNull().default(null)
      })
    })
  }
})
