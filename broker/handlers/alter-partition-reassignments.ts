// AlterPartitionReassignments 0-1: moves of replicas, begun, changed or taken back (KIP-455). Answered when the moves are
// written down, not when they are done. 1 may forbid another replication factor (KIP-860).
import { alterPartitionReassignments } from '../../protocol/messages/alter-partition-reassignments.ts'
import { decideAlterPartitionReassignments } from '../../replication/controller/reassignments.ts'
import { forwarded } from './handler.ts'

export const onAlterPartitionReassignments = forwarded(
  alterPartitionReassignments,
  (request, _context, { controller }) =>
    controller.decideAndShow((image, rules) => decideAlterPartitionReassignments(image, request, rules)),
  null
)
