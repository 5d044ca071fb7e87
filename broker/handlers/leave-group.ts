// LeaveGroup 0-5. Below 3 there is one member, and its error is that of the whole.
import { ErrorCode } from '../../protocol/errors.ts'
import { leaveGroup } from '../../protocol/messages/leave-group.ts'
import { handler } from './handler.ts'

const SEVERAL_SINCE = 3

export const onLeaveGroup = handler(leaveGroup, async (request, { apiVersion }, { groups }) => {
  if (apiVersion >= SEVERAL_SINCE) return groups.leaveGroup(request.groupId, request.members)
  const only = { memberId: request.memberId, groupInstanceId: null, reason: null }
  const { errorCode, members } = await groups.leaveGroup(request.groupId, [only])
  return { errorCode: errorCode === ErrorCode.NONE ? (members[0]?.errorCode ?? ErrorCode.NONE) : errorCode }
})
