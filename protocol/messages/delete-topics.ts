// DeleteTopics, API key 20. 5 adds messages, 6 deletion by id (KIP-516).

import { api, array, i16, i32, text, uuid } from '../schema.ts'

/** Deletes topics. */
export const deleteTopics = api({
  key: 20,
  name: 'DeleteTopics',
  versions: [1, 6],
  flexibleFrom: 4,
  listeners: ['broker', 'controller'],
  request: {
    topics: array({
      name: text.orNull().default(null),
      topicId: uuid
    }).since(6),
    topicNames: array(text).until(5),
    timeoutMs: i32
  },
  response: {
    throttleTimeMs: i32,
    responses: array({
      name: text.orNull(6),
      topicId: uuid.since(6),
      errorCode: i16,
      errorMessage: text.since(5).orNull().default(null)
    })
  }
})
