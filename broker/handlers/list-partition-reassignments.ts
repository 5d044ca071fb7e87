// ListPartitionReassignments 0: moves of replicas that are under way (KIP-455).
import { listPartitionReassignments } from '../../protocol/messages/list-partition-reassignments.ts'
import { decideListPartitionReassignments } from '../../replication/controller/reassignments.ts'
import { forwarded } from './handler.ts'

export const onListPartitionReassignments = forwarded(
  listPartitionReassignments,
  (request, _context, { controller }) => controller.decide(image => decideListPartitionReassignments(image, request)),
  null
)
