// LeaveGroup: one member or several at once, dynamic ones by member id, static ones by instance id alone too (KIP-345).
import { ErrorCode } from '../../protocol/errors.ts'
import { checkMember } from './join.ts'
import { completeJoinIfReady, rebalanceOrCompleteJoin } from './rebalance.ts'
import { answer, evict, type Input, type LeaveReply, type LeavingMember, type Turn } from './turn.ts'

export function onLeave(turn: Turn, input: Extract<Input, { kind: 'leave' }>): void {
  const { group } = turn
  const members: LeaveReply['members'] = []
  const gone: string[] = []
  for (const leaving of input.members) {
    const { memberId, groupInstanceId } = leaving
    const errorCode = leaveOne(turn, leaving)
    members.push({ memberId, groupInstanceId, errorCode })
    if (errorCode === ErrorCode.NONE) gone.push(describe(leaving))
  }
  const { state } = group
  if (gone.length > 0 && (state === 'Stable' || state === 'CompletingRebalance')) {
    rebalanceOrCompleteJoin(turn, `left the group: ${gone.join(', ')}`)
  } else completeJoinIfReady(turn)
  // Last: where the group is empty now, the reply waits for that record.
  answer(turn, input.token, { errorCode: ErrorCode.NONE, members })
}

function leaveOne(turn: Turn, leaving: LeavingMember): number {
  const { group } = turn
  if (leaving.memberId === '') {
    const holder = leaving.groupInstanceId === null ? undefined : group.instances.get(leaving.groupInstanceId)
    if (holder === undefined) return ErrorCode.UNKNOWN_MEMBER_ID
    evict(turn, holder)
    return ErrorCode.NONE
  }
  if (group.pendingJoins.delete(leaving.memberId)) return ErrorCode.NONE
  const errorCode = checkMember(group, leaving.memberId, leaving.groupInstanceId)
  if (errorCode === ErrorCode.NONE) evict(turn, leaving.memberId)
  return errorCode
}

function describe(leaving: LeavingMember): string {
  const who = leaving.memberId || leaving.groupInstanceId
  return leaving.reason ? `${who} (${leaving.reason})` : `${who}`
}
