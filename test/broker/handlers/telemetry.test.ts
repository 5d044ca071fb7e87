// GetTelemetrySubscriptions and PushTelemetry (KIP-714) while nothing is asked for.
import { test } from 'tap'
import { systemRandom } from '../../../broker/clock.ts'
import { loadConfig } from '../../../broker/config.ts'
import { onGetTelemetrySubscriptions } from '../../../broker/handlers/get-telemetry-subscriptions.ts'
import type { RequestContext } from '../../../broker/handlers/handler.ts'
import { onPushTelemetry } from '../../../broker/handlers/push-telemetry.ts'
import type { Services } from '../../../broker/services.ts'
import { ErrorCode } from '../../../protocol/errors.ts'
import { ZERO_UUID } from '../../../protocol/types.ts'

test('telemetry: an empty subscription, and pushes that fit it', async t => {
  const { config } = loadConfig({ set: ['telemetry.max.bytes=10'] })
  const services = { config, random: systemRandom } as unknown as Services
  const context = { apiVersion: 0 } as RequestContext
  const subscription = await onGetTelemetrySubscriptions.handle(
    { clientInstanceId: ZERO_UUID } as never,
    context,
    services
  )
  t.match(subscription, { errorCode: 0, requestedMetrics: [], telemetryMaxBytes: 10, pushIntervalMs: 300000 })
  t.not(subscription!.clientInstanceId, ZERO_UUID)
  const clientInstanceId = subscription!.clientInstanceId as string
  t.equal(
    (await onGetTelemetrySubscriptions.handle({ clientInstanceId } as never, context, services))!.clientInstanceId,
    clientInstanceId
  )
  const push = async (changes: object) => {
    const request = {
      clientInstanceId,
      subscriptionId: 0,
      terminating: false,
      compressionType: 0,
      metrics: Buffer.alloc(10),
      ...changes
    }
    return (await onPushTelemetry.handle(request as never, context, services))!.errorCode
  }
  t.equal(await push({}), ErrorCode.NONE)
  t.equal(await push({ clientInstanceId: ZERO_UUID }), ErrorCode.INVALID_REQUEST)
  t.equal(await push({ subscriptionId: 1 }), ErrorCode.UNKNOWN_SUBSCRIPTION_ID)
  t.equal(await push({ compressionType: 9 }), ErrorCode.UNSUPPORTED_COMPRESSION_TYPE)
  t.equal(await push({ metrics: Buffer.alloc(11) }), ErrorCode.TELEMETRY_TOO_LARGE)
})
