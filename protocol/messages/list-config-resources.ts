// ListConfigResources, API key 74. KIP-714, where it was only for client metrics; 1 asks for types (KIP-1142).

import { api, array, i8, i16, i32, text } from '../schema.ts'

/** Lists the resources that have settings. */
export const listConfigResources = api({
  key: 74,
  name: 'ListConfigResources',
  versions: [0, 1],
  flexibleFrom: 0,
  listeners: ['broker'],
  request: {
    resourceTypes: array(i8).since(1)
  },
  response: {
    throttleTimeMs: i32,
    errorCode: i16,
    configResources: array({
      resourceName: text,
      resourceType: i8.since(1).default(16)
    })
  }
})
