// AlterPartition 2-3: a leader asks for another in-sync set (KIP-497).
import { alterPartition } from '../../protocol/messages/alter-partition.ts'
import { handler } from './handler.ts'

export const onAlterPartition = handler(alterPartition, (request, _context, { controller }) =>
  controller.alterPartition(request)
)
