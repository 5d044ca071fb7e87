// PushTelemetry 0 (KIP-714): takes what a client measured. Nothing is asked for yet, so a sound push is dropped.
import { ErrorCode } from '../../protocol/errors.ts'
import { pushTelemetry } from '../../protocol/messages/push-telemetry.ts'
import { ZERO_UUID } from '../../protocol/types.ts'
import { EMPTY_SUBSCRIPTION_ID, PUSH_COMPRESSIONS } from './get-telemetry-subscriptions.ts'
import { handler } from './handler.ts'

const UNCOMPRESSED = 0

export const onPushTelemetry = handler(pushTelemetry, (request, _context, services) => {
  const { clientInstanceId, subscriptionId, compressionType, metrics } = request
  if (clientInstanceId === ZERO_UUID) return { errorCode: ErrorCode.INVALID_REQUEST }
  if (subscriptionId !== EMPTY_SUBSCRIPTION_ID) return { errorCode: ErrorCode.UNKNOWN_SUBSCRIPTION_ID }
  if (compressionType !== UNCOMPRESSED && !PUSH_COMPRESSIONS.includes(compressionType)) {
    return { errorCode: ErrorCode.UNSUPPORTED_COMPRESSION_TYPE }
  }
  if (metrics.length > services.config.get('telemetry.max.bytes')) return { errorCode: ErrorCode.TELEMETRY_TOO_LARGE }
  return { errorCode: ErrorCode.NONE }
})
