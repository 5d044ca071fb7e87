// Vote 0-2: a candidate of the metadata quorum asks for a vote (KIP-595); 2 asks whether it would get it (KIP-996).
import { vote } from '../../protocol/messages/vote.ts'
import { handler } from './handler.ts'

export const onVote = handler(vote, (request, _context, { controller }) =>
  controller.metadataLog.answers.onVote(request)
)
