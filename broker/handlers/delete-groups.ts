// DeleteGroups 0-2: empty groups, with their offsets (KIP-229).
import { deleteGroups } from '../../protocol/messages/delete-groups.ts'
import { handler } from './handler.ts'

export const onDeleteGroups = handler(deleteGroups, async (request, _context, { groups }) => ({
  results: await groups.deleteGroups(request.groupsNames)
}))
