// SyncGroup 0-5. The reply comes when the leader's assignment is stored.
import { ErrorCode } from '../../protocol/errors.ts'
import { syncGroup } from '../../protocol/messages/sync-group.ts'
import { handler } from './handler.ts'

/** From here on a member must say which protocol it believes in (KIP-559). */
const PROTOCOL_REQUIRED_SINCE = 5

export const onSyncGroup = handler(syncGroup, (request, { apiVersion }, { groups }) => {
  const isSilent = request.protocolType === null || request.protocolName === null
  if (apiVersion >= PROTOCOL_REQUIRED_SINCE && isSilent) return { errorCode: ErrorCode.INCONSISTENT_GROUP_PROTOCOL }
  return groups.syncGroup(request)
})
