// CreatePartitions 0-3: a topic grows (KIP-195); it can never shrink.
import { createPartitions } from '../../protocol/messages/create-partitions.ts'
import { handler } from './handler.ts'

export const onCreatePartitions = handler(createPartitions, async (request, _context, { controller }) => {
  return { results: await controller.createPartitions(request) }
})
