// BrokerHeartbeat 0-2: a broker's sign of life, and its wish to be unfenced or to stop (KIP-631). The connection that
// it comes on is remembered: its end makes the controller look whether the broker is still there.
import { brokerHeartbeat } from '../../protocol/messages/broker-heartbeat.ts'
import { handler } from './handler.ts'

export const onBrokerHeartbeat = handler(brokerHeartbeat, async (request, context, { controller }) => {
  const { errorCode, isCaughtUp, isFenced, shouldShutDown } = await controller.heartbeat(request, context)
  return { errorCode, isCaughtUp, isFenced, shouldShutDown }
})
