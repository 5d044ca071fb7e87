// BrokerRegistration 0-4: a broker becomes a member, fenced, and gets the epoch of this life (KIP-631).
import { brokerRegistration } from '../../protocol/messages/broker-registration.ts'
import { handler } from './handler.ts'

export const onBrokerRegistration = handler(brokerRegistration, async (request, context, { controller }) => {
  const { errorCode, brokerEpoch } = await controller.registerBroker(request, context)
  return { errorCode, brokerEpoch }
})
