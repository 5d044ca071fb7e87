// BeginQuorumEpoch 0-1: a new leader of the metadata quorum makes itself known (KIP-595).
import { beginQuorumEpoch } from '../../protocol/messages/begin-quorum-epoch.ts'
import { handler } from './handler.ts'

export const onBeginQuorumEpoch = handler(beginQuorumEpoch, (request, _context, { controller }) =>
  controller.metadataLog.answers.onBegin(request)
)
