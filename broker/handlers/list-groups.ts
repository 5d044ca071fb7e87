// ListGroups 0-5: the groups of the partitions of __consumer_offsets that this broker leads.
import { listGroups } from '../../protocol/messages/list-groups.ts'
import { handler } from './handler.ts'

export const onListGroups = handler(listGroups, (request, _context, { groups }) => groups.listGroups(request))
