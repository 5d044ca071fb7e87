// Heartbeat 0-4.
import { heartbeat } from '../../protocol/messages/heartbeat.ts'
import { handler } from './handler.ts'

export const onHeartbeat = handler(heartbeat, (request, _context, { groups }) => groups.heartbeat(request))
