// EndQuorumEpoch 0-1: the leader of the metadata quorum resigns, and names who should stand first (KIP-595).
import { endQuorumEpoch } from '../../protocol/messages/end-quorum-epoch.ts'
import { handler } from './handler.ts'

export const onEndQuorumEpoch = handler(endQuorumEpoch, (request, _context, { controller }) =>
  controller.metadataLog.answers.onEnd(request)
)
