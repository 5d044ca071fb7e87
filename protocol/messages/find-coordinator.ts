// FindCoordinator, API key 10. 1 adds key types, 4 several keys at once (KIP-699), 6 share groups (KIP-932).

import { api, array, i8, i16, i32, text } from '../schema.ts'

/** Asks which broker coordinates a group, a transactional id, or a share partition. */
export const findCoordinator = api({
  key: 10,
  name: 'FindCoordinator',
  versions: [0, 6],
  flexibleFrom: 3,
  listeners: ['broker'],
  request: {
    key: text.until(3),
    keyType: i8.since(1),
    coordinatorKeys: array(text).since(4)
  },
  response: {
    throttleTimeMs: i32.since(1),
    errorCode: i16.until(3),
    errorMessage: text.since(1).until(3).orNull(1, 3).default(null),
    nodeId: i32.until(3),
    host: text.until(3),
    port: i32.until(3),
    coordinators: array({
      key: text,
      nodeId: i32,
      host: text,
      port: i32,
      errorCode: i16,
      errorMessage: text.orNull().default(null)
    }).since(4)
  }
})
