// UnregisterBroker 0: a broker that will not come back is forgotten. One that lives registers again.
import { unregisterBroker } from '../../protocol/messages/unregister-broker.ts'
import { forwarded } from './handler.ts'

export const onUnregisterBroker = forwarded(
  unregisterBroker,
  ({ brokerId }, _context, { controller }) => controller.unregisterBroker(brokerId),
  null
)
