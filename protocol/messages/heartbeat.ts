// Heartbeat, API key 12. 3 adds static membership (KIP-345).

import { api, i16, i32, text } from '../schema.ts'

/** A group member tells its coordinator that it is alive. */
export const heartbeat = api({
  key: 12,
  name: 'Heartbeat',
  versions: [0, 4],
  flexibleFrom: 4,
  listeners: ['broker'],
  request: {
    groupId: text,
    generationId: i32,
    memberId: text,
    groupInstanceId: text.since(3).orNull().default(null)
  },
  response: {
    throttleTimeMs: i32.since(1),
    errorCode: i16
  }
})
