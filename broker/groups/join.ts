// JoinGroup: a new member, a static member that comes back under a new id (KIP-345), or a member that joins again.
// Order of checks and answers as in GroupMetadataManager.classicGroupJoin* and the tests of Kafka's group coordinator.
import { ErrorCode } from '../../protocol/errors.ts'
import {
  addMember,
  type ClassicGroup,
  checkBy,
  isLeader,
  type Member,
  NO_ASSIGNMENT,
  type Protocol,
  removeMember,
  selectProtocol,
  setProtocols,
  supportsProtocols,
  type Token
} from './classic-group.ts'
import { completeJoinIfReady, prepareRebalance, rebalanceOrCompleteJoin } from './rebalance.ts'
import {
  answer,
  type Client,
  failJoin,
  failSync,
  type Input,
  type JoinRequest,
  joinReply,
  NEW_MEMBER_JOIN_TIMEOUT_MS,
  parkJoin,
  refuseJoin,
  startSession,
  store,
  type Turn
} from './turn.ts'

type Join = Extract<Input, { kind: 'join' }>

/** From here on a join without a member id is sent back with one (KIP-394). */
const REQUIRES_MEMBER_ID_SINCE = 4
/** From here on a returning static leader can be told to skip the assignment (KIP-814). */
const SKIPS_ASSIGNMENT_SINCE = 9

export function onJoin(turn: Turn, input: Join): void {
  const { group } = turn
  const { request, token } = input
  if (!hasRoom(turn, request.memberId)) {
    group.pendingJoins.delete(request.memberId)
    refuseJoin(turn, token, '', ErrorCode.GROUP_MAX_SIZE_REACHED)
    return
  }
  if (!supportsProtocols(group, request.protocolType, request.protocols)) {
    refuseJoin(turn, token, request.memberId, ErrorCode.INCONSISTENT_GROUP_PROTOCOL)
    return
  }
  if (request.memberId === '') joinWithoutId(turn, input)
  else joinWithId(turn, input)
}

/** KIP-389: a group at group.max.size lets in only those that it knows. */
function hasRoom(turn: Turn, memberId: string): boolean {
  const { group, settings } = turn
  const member = group.members.get(memberId)
  switch (group.state) {
    case 'PreparingRebalance':
      return (member !== undefined && member.join !== null) || group.joinedCount < settings.maxSize
    case 'CompletingRebalance':
    case 'Stable':
      return member !== undefined || group.members.size < settings.maxSize
    default:
      return true
  }
}

function joinWithoutId(turn: Turn, input: Join): void {
  const { group, now } = turn
  const { request, token, newMemberId } = input
  if (request.groupInstanceId !== null) {
    const oldMemberId = group.instances.get(request.groupInstanceId)
    if (oldMemberId === undefined) {
      addAndRebalance(turn, input, newMemberId)
      return
    }
    replaceStaticMember(turn, input, oldMemberId)
    return
  }
  if (input.client.apiVersion < REQUIRES_MEMBER_ID_SINCE) {
    addAndRebalance(turn, input, newMemberId)
    return
  }
  const deadlineMs = now.monotonicMs + request.sessionTimeoutMs
  group.pendingJoins.set(newMemberId, deadlineMs)
  checkBy(group, deadlineMs)
  refuseJoin(turn, token, newMemberId, ErrorCode.MEMBER_ID_REQUIRED)
}

function joinWithId(turn: Turn, input: Join): void {
  const { group } = turn
  const { request, token } = input
  // Only a client that changes its mind about being static sends an instance id with an id given to a dynamic member.
  if (group.pendingJoins.has(request.memberId) && request.groupInstanceId === null) {
    addAndRebalance(turn, input, request.memberId)
    return
  }
  const errorCode = checkMember(group, request.memberId, request.groupInstanceId)
  const member = group.members.get(request.memberId)
  if (errorCode !== ErrorCode.NONE || !member) {
    refuseJoin(turn, token, request.memberId, errorCode)
    return
  }
  const why = reasonOf(request)
  switch (group.state) {
    case 'PreparingRebalance':
      updateAndPark(turn, input, member)
      completeJoinIfReady(turn)
      return
    case 'CompletingRebalance':
      if (!sameProtocols(member.protocols, request.protocols)) {
        rejoin(turn, input, member, `member ${member.memberId} changed its metadata${why}`)
        return
      }
      // The answer to its join was lost: it gets the same again.
      answer(turn, token, joinReply(group, member, group.leaderId ?? ''))
      return
    case 'Stable':
      // A leader that joins again wants a new assignment, for instance because partitions were added.
      if (isLeader(group, member.memberId)) {
        rejoin(turn, input, member, `leader ${member.memberId} rejoined${why}`)
        return
      }
      if (!sameProtocols(member.protocols, request.protocols)) {
        rejoin(turn, input, member, `member ${member.memberId} changed its metadata${why}`)
        return
      }
      answer(turn, token, joinReply(group, member, group.leaderId ?? ''))
      return
    default:
      refuseJoin(turn, token, request.memberId, ErrorCode.UNKNOWN_MEMBER_ID)
      return
  }
}

/** UNKNOWN_MEMBER_ID, FENCED_INSTANCE_ID where another member holds the instance id, or NONE. */
export function checkMember(group: ClassicGroup, memberId: string, groupInstanceId: string | null): number {
  if (groupInstanceId !== null) {
    const holder = group.instances.get(groupInstanceId)
    if (holder === undefined) return ErrorCode.UNKNOWN_MEMBER_ID
    if (holder !== memberId) return ErrorCode.FENCED_INSTANCE_ID
  }
  return group.members.has(memberId) ? ErrorCode.NONE : ErrorCode.UNKNOWN_MEMBER_ID
}

/** A time-out of 0 or less says nothing: version 0 has no field for it, and old clients send 0. The session's holds then. */
export function effectiveRebalanceTimeoutMs(request: JoinRequest): number {
  return request.rebalanceTimeoutMs > 0 ? request.rebalanceTimeoutMs : request.sessionTimeoutMs
}

function addAndRebalance(turn: Turn, input: Join, memberId: string): void {
  const { group } = turn
  const { request, token, client } = input
  const member = newMember(memberId, request, client, token)
  if (group.state === 'PreparingRebalance' && group.initialRemainingMs !== null) group.newMemberAdded = true
  addMember(group, member)
  startSession(turn, member, NEW_MEMBER_JOIN_TIMEOUT_MS)
  const as = request.groupInstanceId === null ? '' : ` with instance id ${request.groupInstanceId}`
  rebalanceOrCompleteJoin(turn, `new member ${memberId}${as}${reasonOf(request)}`)
}

function newMember(memberId: string, request: JoinRequest, client: Client, join: Token): Member {
  return {
    memberId,
    groupInstanceId: request.groupInstanceId,
    clientId: client.clientId,
    clientHost: client.clientHost,
    rebalanceTimeoutMs: effectiveRebalanceTimeoutMs(request),
    sessionTimeoutMs: request.sessionTimeoutMs,
    protocolType: request.protocolType,
    protocols: kept(request.protocols),
    assignment: NO_ASSIGNMENT,
    isNew: true,
    join,
    sync: null,
    deadlineMs: Infinity
  }
}

function rejoin(turn: Turn, input: Join, member: Member, reason: string): void {
  updateAndPark(turn, input, member)
  rebalanceOrCompleteJoin(turn, reason)
}

function updateAndPark(turn: Turn, input: Join, member: Member): void {
  const { request, token, client } = input
  setProtocols(turn.group, member, kept(request.protocols))
  member.rebalanceTimeoutMs = effectiveRebalanceTimeoutMs(request)
  member.sessionTimeoutMs = request.sessionTimeoutMs
  member.clientId = client.clientId
  member.clientHost = client.clientHost
  parkJoin(turn, member, token, ErrorCode.REBALANCE_IN_PROGRESS)
}

/** The instance came back under a new id: the old id is fenced, and in a stable group nobody else needs to know. */
function replaceStaticMember(turn: Turn, input: Join, oldMemberId: string): void {
  const { group } = turn
  const { request, token, newMemberId } = input
  const oldLeader = group.leaderId ?? ''
  const member = renameMember(turn, oldMemberId, newMemberId)
  if (!member) {
    refuseJoin(turn, token, '', ErrorCode.UNKNOWN_MEMBER_ID)
    return
  }
  startSession(turn, member)
  updateAndPark(turn, input, member)
  const who = `static member ${request.groupInstanceId} came back as ${newMemberId}`
  if (group.state === 'CompletingRebalance') {
    prepareRebalance(turn, `${who}${reasonOf(request)}`)
    return
  }
  if (group.state !== 'Stable') {
    completeJoinIfReady(turn)
    return
  }
  if (selectProtocol(group) !== group.protocolName) {
    rebalanceOrCompleteJoin(turn, `${who}, and its protocols change the group's${reasonOf(request)}`)
    return
  }
  // An old client that is told that it leads would assign anew: it is shown the id that it no longer knows instead.
  const skips = input.client.apiVersion >= SKIPS_ASSIGNMENT_SINCE
  const leader = skips ? (group.leaderId ?? '') : oldLeader
  const skipAssignment = skips && isLeader(group, newMemberId)
  const assignments = new Map([...group.members.values()].map(each => [each.memberId, each.assignment]))
  store(turn, { purpose: 'static', memberId: newMemberId, join: token, skipAssignment, leader }, assignments)
}

function renameMember(turn: Turn, oldMemberId: string, newMemberId: string): Member | undefined {
  const { group } = turn
  const old = group.members.get(oldMemberId)
  if (!old) return undefined
  failJoin(turn, old, oldMemberId, ErrorCode.FENCED_INSTANCE_ID)
  failSync(turn, old, ErrorCode.FENCED_INSTANCE_ID, NO_ASSIGNMENT)
  const member: Member = { ...old, memberId: newMemberId }
  const wasLeader = isLeader(group, oldMemberId)
  const wasAwaited = group.pendingSyncs.has(oldMemberId)
  removeMember(group, oldMemberId)
  addMember(group, member)
  if (wasLeader) group.leaderId = newMemberId
  if (wasAwaited) group.pendingSyncs.add(newMemberId)
  return member
}

function sameProtocols(one: readonly Protocol[], other: readonly Protocol[]): boolean {
  if (one.length !== other.length) return false
  return one.every((protocol, i) => {
    const candidate = other[i] as Protocol
    return protocol.name === candidate.name && protocol.metadata.equals(candidate.metadata)
  })
}

/** Copies: the request's buffers are views of a frame that would be kept alive as long as the member. */
function kept(protocols: readonly Protocol[]): Protocol[] {
  return protocols.map(({ name, metadata }) => ({ name, metadata: Buffer.from(metadata) }))
}

function reasonOf(request: JoinRequest): string {
  return request.reason ? `; client reason: ${request.reason}` : ''
}
