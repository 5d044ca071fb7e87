// DescribeCluster, API key 60. KIP-700; 1 can ask for controllers (KIP-919), 2 for fenced brokers (KIP-1073).

import { api, array, bool, i8, i16, i32, text } from '../schema.ts'

/** Describes the nodes of the cluster. */
export const describeCluster = api({
  key: 60,
  name: 'DescribeCluster',
  versions: [0, 2],
  flexibleFrom: 0,
  listeners: ['broker', 'controller'],
  request: {
    includeClusterAuthorizedOperations: bool,
    endpointType: i8.since(1).default(1),
    includeFencedBrokers: bool.since(2)
  },
  response: {
    throttleTimeMs: i32,
    errorCode: i16,
    errorMessage: text.orNull().default(null),
    endpointType: i8.since(1).default(1),
    clusterId: text,
    controllerId: i32.default(-1),
    brokers: array({
      brokerId: i32,
      host: text,
      port: i32,
      rack: text.orNull().default(null),
      isFenced: bool.since(2)
    }),
    clusterAuthorizedOperations: i32.default(-2147483648)
  }
})
