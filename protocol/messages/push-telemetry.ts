// PushTelemetry, API key 72. KIP-714.

import { api, bool, bytes, i8, i16, i32, uuid } from '../schema.ts'

/** A client delivers its metrics. */
export const pushTelemetry = api({
  key: 72,
  name: 'PushTelemetry',
  versions: [0, 0],
  flexibleFrom: 0,
  listeners: ['broker'],
  request: {
    clientInstanceId: uuid,
    subscriptionId: i32,
    terminating: bool,
    compressionType: i8,
    metrics: bytes
  },
  response: {
    throttleTimeMs: i32,
    errorCode: i16
  }
})
