// GetTelemetrySubscriptions, API key 71. KIP-714.

import { api, array, bool, i8, i16, i32, text, uuid } from '../schema.ts'

/** A client asks which of its metrics the cluster wants. */
export const getTelemetrySubscriptions = api({
  key: 71,
  name: 'GetTelemetrySubscriptions',
  versions: [0, 0],
  flexibleFrom: 0,
  listeners: ['broker'],
  request: {
    clientInstanceId: uuid
  },
  response: {
    throttleTimeMs: i32,
    errorCode: i16,
    clientInstanceId: uuid,
    subscriptionId: i32,
    acceptedCompressionTypes: array(i8),
    pushIntervalMs: i32,
    telemetryMaxBytes: i32,
    deltaTemporality: bool,
    requestedMetrics: array(text)
  }
})
