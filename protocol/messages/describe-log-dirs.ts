// DescribeLogDirs, API key 35. KIP-113; 3 adds a top-level error, 4 sizes of the volume (KIP-827), 5 whether the
// directory is cordoned (KIP-1066).

import { api, array, bool, i16, i32, i64, text } from '../schema.ts'

/** Describes log directories and the replicas in them. */
export const describeLogDirs = api({
  key: 35,
  name: 'DescribeLogDirs',
  versions: [1, 5],
  flexibleFrom: 2,
  listeners: ['broker'],
  request: {
    topics: array({
      topic: text,
      partitions: array(i32)
    }).orNull()
  },
  response: {
    throttleTimeMs: i32,
    errorCode: i16.since(3),
    results: array({
      errorCode: i16,
      logDir: text,
      topics: array({
        name: text,
        partitions: array({
          partitionIndex: i32,
          partitionSize: i64,
          offsetLag: i64,
          isFutureKey: bool
        })
      }),
      totalBytes: i64.since(4).default(-1),
      usableBytes: i64.since(4).default(-1),
      isCordoned: bool.since(5)
    })
  }
})
