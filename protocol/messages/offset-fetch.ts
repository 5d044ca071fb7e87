// OffsetFetch, API key 9. 7 can insist on stable offsets (KIP-447), 8 asks for several groups at once, 9 checks
// member epochs (KIP-848), 10 names topics by id.

import { api, array, bool, i16, i32, i64, text, uuid } from '../schema.ts'

/** Reads the committed positions of groups. */
export const offsetFetch = api({
  key: 9,
  name: 'OffsetFetch',
  versions: [1, 10],
  flexibleFrom: 6,
  listeners: ['broker'],
  request: {
    groupId: text.until(7),
    topics: array({
      name: text.until(7),
      partitionIndexes: array(i32).until(7)
    })
      .until(7)
      .orNull(2, 7),
    groups: array({
      groupId: text,
      memberId: text.since(9).orNull().default(null),
      memberEpoch: i32.since(9).default(-1),
      topics: array({
        name: text.until(9),
        topicId: uuid.since(10),
        partitionIndexes: array(i32)
      }).orNull()
    }).since(8),
    requireStable: bool.since(7)
  },
  response: {
    throttleTimeMs: i32.since(3),
    topics: array({
      name: text.until(7),
      partitions: array({
        partitionIndex: i32.until(7),
        committedOffset: i64.until(7),
        committedLeaderEpoch: i32.since(5).until(7).default(-1),
        metadata: text.until(7).orNull(0, 7),
        errorCode: i16.until(7)
      }).until(7)
    }).until(7),
    errorCode: i16.since(2).until(7),
    groups: array({
      groupId: text,
      topics: array({
        name: text.until(9),
        topicId: uuid.since(10),
        partitions: array({
          partitionIndex: i32,
          committedOffset: i64,
          committedLeaderEpoch: i32.default(-1),
          metadata: text.orNull(),
          errorCode: i16
        })
      }),
      errorCode: i16
    }).since(8)
  }
})
