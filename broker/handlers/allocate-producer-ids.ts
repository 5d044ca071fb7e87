// AllocateProducerIds 0: the next block of producer ids, for one broker (KIP-730).
import { allocateProducerIds } from '../../protocol/messages/allocate-producer-ids.ts'
import { handler } from './handler.ts'

export const onAllocateProducerIds = handler(allocateProducerIds, async (request, _context, { controller }) => {
  const { brokerId, brokerEpoch } = request
  const { errorCode, producerIdStart, producerIdLen } = await controller.allocateProducerIds(brokerId, brokerEpoch)
  return { errorCode, producerIdStart, producerIdLen }
})
