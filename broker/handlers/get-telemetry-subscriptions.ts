// GetTelemetrySubscriptions 0 (KIP-714): what a client shall measure. This broker asks for nothing yet: the subscription
// is empty, and the client asks again after the usual time.
import { ErrorCode } from '../../protocol/errors.ts'
import { getTelemetrySubscriptions } from '../../protocol/messages/get-telemetry-subscriptions.ts'
import { ZERO_UUID } from '../../protocol/types.ts'
import { handler } from './handler.ts'

/** The one subscription there is: nothing. */
export const EMPTY_SUBSCRIPTION_ID = 0
/** The compressions that a push may have, the preferred one first: zstd, lz4, gzip, snappy. */
export const PUSH_COMPRESSIONS: readonly number[] = [4, 3, 1, 2]
const PUSH_INTERVAL_MS = 300_000

export const onGetTelemetrySubscriptions = handler(getTelemetrySubscriptions, (request, _context, services) => ({
  errorCode: ErrorCode.NONE,
  clientInstanceId: request.clientInstanceId === ZERO_UUID ? services.random.uuid() : request.clientInstanceId,
  subscriptionId: EMPTY_SUBSCRIPTION_ID,
  acceptedCompressionTypes: [...PUSH_COMPRESSIONS],
  pushIntervalMs: PUSH_INTERVAL_MS,
  telemetryMaxBytes: services.config.get('telemetry.max.bytes'),
  deltaTemporality: true,
  requestedMetrics: []
}))
