// CreatePartitions 0-3: a topic grows (KIP-195); it can never shrink.
import { createPartitions } from '../../protocol/messages/create-partitions.ts'
import { forwarded } from './handler.ts'

export const onCreatePartitions = forwarded(
  createPartitions,
  async (request, _context, { controller }) => ({ results: await controller.createPartitions(request) }),
  ({ topics }, outcome) => ({ results: topics.map(({ name }) => ({ name, ...outcome })) })
)
