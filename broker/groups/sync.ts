// SyncGroup and Heartbeat: the leader hands in the assignment, which is stored before anybody learns it; the others
// wait for theirs. Codes per state as in GroupMetadataManager.classicGroupSync and classicGroupHeartbeat.
import { ErrorCode } from '../../protocol/errors.ts'
import { type ClassicGroup, isLeader, type Member, NO_ASSIGNMENT } from './classic-group.ts'
import { checkMember } from './join.ts'
import { dropAssignments, rebalanceOrCompleteJoin, syncArrived } from './rebalance.ts'
import {
  answer,
  changeState,
  completeJoin,
  failJoin,
  failSync,
  type Input,
  joinReply,
  type SyncReply,
  type SyncRequest,
  startSession,
  store,
  type Turn
} from './turn.ts'

export function onSync(turn: Turn, input: Extract<Input, { kind: 'sync' }>): void {
  const { group } = turn
  const { request, token } = input
  const errorCode = checkSync(group, request)
  const member = group.members.get(request.memberId)
  if (errorCode !== ErrorCode.NONE || !member) {
    answer(turn, token, refusedSync(errorCode))
    return
  }
  switch (group.state) {
    case 'PreparingRebalance':
      answer(turn, token, refusedSync(ErrorCode.REBALANCE_IN_PROGRESS))
      return
    case 'CompletingRebalance':
      failSync(turn, member, ErrorCode.REBALANCE_IN_PROGRESS, NO_ASSIGNMENT)
      member.sync = token
      syncArrived(turn, member.memberId)
      if (isLeader(group, member.memberId)) storeAssignments(turn, request)
      return
    case 'Stable':
      syncArrived(turn, member.memberId)
      answer(turn, token, syncReply(group, member))
      return
    default:
      answer(turn, token, refusedSync(ErrorCode.UNKNOWN_MEMBER_ID))
      return
  }
}

export function onHeartbeat(turn: Turn, input: Extract<Input, { kind: 'heartbeat' }>): void {
  answer(turn, input.token, { errorCode: beat(turn, input.request) })
}

/** The assignment of this generation is committed: everybody learns it. A newer rebalance has dropped it already. */
export function onAssignmentStored(turn: Turn, generationId: number, assignments: ReadonlyMap<string, Buffer>): void {
  const { group } = turn
  if (group.state !== 'CompletingRebalance' || group.generationId !== generationId) return
  for (const member of group.members.values()) member.assignment = assignments.get(member.memberId) ?? NO_ASSIGNMENT
  for (const member of group.members.values()) {
    if (member.sync === null) continue
    answer(turn, member.sync, syncReply(group, member))
    member.sync = null
    startSession(turn, member)
  }
  changeState(turn, 'Stable', `the leader's assignment of generation ${generationId} is stored`)
}

/** The assignment could not be stored: the generation has none, and the members try again. */
export function onAssignmentFailed(turn: Turn, generationId: number, errorCode: number): void {
  const { group } = turn
  if (group.state !== 'CompletingRebalance' || group.generationId !== generationId) return
  dropAssignments(turn, errorCode)
  rebalanceOrCompleteJoin(turn, `the assignment of generation ${generationId} could not be stored (error ${errorCode})`)
}

/** A static member's new id is committed: its join is answered, unless a rebalance has taken that over. */
export function onStaticStored(
  turn: Turn,
  kept: { memberId: string; join: number; skipAssignment: boolean; leader: string },
  errorCode: number
): void {
  const { group } = turn
  const member = group.members.get(kept.memberId)
  if (!member || member.join !== kept.join || group.state !== 'Stable') return
  if (errorCode !== ErrorCode.NONE) {
    failJoin(turn, member, '', errorCode)
    return
  }
  member.isNew = false
  const reply = joinReply(group, member, kept.leader, kept.skipAssignment)
  // A leader that cannot skip the assignment must not believe that it leads.
  const tellsMembers = kept.leader === member.memberId
  completeJoin(turn, member, tellsMembers ? reply : { ...reply, members: [] })
}

function checkSync(group: ClassicGroup, request: SyncRequest): number {
  const errorCode = checkMember(group, request.memberId, request.groupInstanceId)
  if (errorCode !== ErrorCode.NONE) return errorCode
  if (request.generationId !== group.generationId) return ErrorCode.ILLEGAL_GENERATION
  // KIP-559: a member may say which protocol it believes in.
  if (contradicts(request.protocolType, group.protocolType) || contradicts(request.protocolName, group.protocolName)) {
    return ErrorCode.INCONSISTENT_GROUP_PROTOCOL
  }
  return ErrorCode.NONE
}

function contradicts(said: string | null, held: string | null): boolean {
  return said !== null && held !== null && said !== held
}

function storeAssignments(turn: Turn, request: SyncRequest): void {
  const assignments = new Map<string, Buffer>()
  for (const { memberId, assignment } of request.assignments) {
    // The frame that this is a view of would be kept alive as long as the group.
    if (turn.group.members.has(memberId)) assignments.set(memberId, Buffer.from(assignment))
  }
  store(turn, { purpose: 'assignment', generationId: turn.group.generationId, assignments }, assignments)
}

function syncReply(group: ClassicGroup, member: Member): SyncReply {
  return {
    errorCode: ErrorCode.NONE,
    protocolType: group.protocolType,
    protocolName: group.protocolName,
    assignment: member.assignment
  }
}

function refusedSync(errorCode: number): SyncReply {
  return { errorCode, protocolType: null, protocolName: null, assignment: NO_ASSIGNMENT }
}

function beat(turn: Turn, request: Extract<Input, { kind: 'heartbeat' }>['request']): number {
  const { group } = turn
  const errorCode = checkMember(group, request.memberId, request.groupInstanceId)
  const member = group.members.get(request.memberId)
  if (errorCode !== ErrorCode.NONE || !member) return errorCode
  if (request.generationId !== group.generationId) return ErrorCode.ILLEGAL_GENERATION
  if (group.state === 'Empty' || group.state === 'Dead') return ErrorCode.UNKNOWN_MEMBER_ID
  startSession(turn, member)
  return group.state === 'PreparingRebalance' ? ErrorCode.REBALANCE_IN_PROGRESS : ErrorCode.NONE
}
