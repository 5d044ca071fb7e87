// JoinGroup 0-9. The reply comes when the generation begins: that may be minutes later.
import { joinGroup } from '../../protocol/messages/join-group.ts'
import { handler, type RequestContext } from './handler.ts'

/** The first version whose clients understand that there is no protocol name. */
const NULLABLE_PROTOCOL_NAME_SINCE = 7

export const onJoinGroup = handler(joinGroup, async (request, context, { groups }) => {
  const reply = await groups.joinGroup(request, clientOf(context))
  if (context.apiVersion >= NULLABLE_PROTOCOL_NAME_SINCE) return reply
  return { ...reply, protocolName: reply.protocolName ?? '' }
})

/** The host is shown as Java prints an address that has no name. */
function clientOf({ clientId, clientHost, apiVersion }: RequestContext) {
  return { clientId: clientId ?? '', clientHost: `/${clientHost}`, apiVersion }
}
