// CreateTopics, API key 19. 4 takes broker defaults for counts (KIP-464), 5 answers with the settings (KIP-525), 7
// with topic ids (KIP-516).

import { api, array, bool, i8, i16, i32, text, uuid } from '../schema.ts'

/** Creates topics. */
export const createTopics = api({
  key: 19,
  name: 'CreateTopics',
  versions: [2, 7],
  flexibleFrom: 5,
  listeners: ['broker', 'controller'],
  request: {
    topics: array({
      name: text,
      numPartitions: i32,
      replicationFactor: i16,
      assignments: array({
        partitionIndex: i32,
        brokerIds: array(i32)
      }),
      configs: array({
        name: text,
        value: text.orNull()
      })
    }),
    timeoutMs: i32.default(60000),
    validateOnly: bool
  },
  response: {
    throttleTimeMs: i32,
    topics: array({
      name: text,
      topicId: uuid.since(7),
      errorCode: i16,
      errorMessage: text.orNull().default(null),
      topicConfigErrorCode: i16.tag(0, 5),
      numPartitions: i32.since(5).default(-1),
      replicationFactor: i16.since(5).default(-1),
      configs: array({
        name: text,
        value: text.orNull(),
        readOnly: bool,
        configSource: i8.default(-1),
        isSensitive: bool
      })
        .since(5)
        .orNull()
    })
  }
})
