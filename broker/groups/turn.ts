// The words of the classic group's step: what goes in, what comes out, and the turn in which one input is handled.

import { ErrorCode } from '../../protocol/errors.ts'
import type { heartbeat } from '../../protocol/messages/heartbeat.ts'
import type { joinGroup } from '../../protocol/messages/join-group.ts'
import type { leaveGroup } from '../../protocol/messages/leave-group.ts'
import type { syncGroup } from '../../protocol/messages/sync-group.ts'
import type { RequestOf } from '../../protocol/schema.ts'
import {
  type ClassicGroup,
  checkBy,
  computeSubscribedTopics,
  type GroupState,
  HISTORY_MAX,
  type Member,
  metadataOf,
  NO_ASSIGNMENT,
  type Now,
  removeMember,
  type Store,
  type Token
} from './classic-group.ts'
import type { GroupMetadata } from './records.ts'

export type JoinRequest = RequestOf<typeof joinGroup>
export type SyncRequest = RequestOf<typeof syncGroup>
export type HeartbeatRequest = RequestOf<typeof heartbeat>
export type LeaveRequest = RequestOf<typeof leaveGroup>
export type LeavingMember = LeaveRequest['members'][number]

/** Who asks: the header's client id, the peer's address, and the version of the request. */
export interface Client {
  readonly clientId: string
  readonly clientHost: string
  readonly apiVersion: number
}

export interface JoinReply {
  readonly errorCode: number
  readonly generationId: number
  readonly protocolType: string | null
  readonly protocolName: string | null
  readonly leader: string
  readonly skipAssignment: boolean
  readonly memberId: string
  readonly members: { memberId: string; groupInstanceId: string | null; metadata: Buffer }[]
}

export interface SyncReply {
  readonly errorCode: number
  readonly protocolType: string | null
  readonly protocolName: string | null
  readonly assignment: Buffer
}

export interface HeartbeatReply {
  readonly errorCode: number
}

export interface LeaveReply {
  readonly errorCode: number
  readonly members: { memberId: string; groupInstanceId: string | null; errorCode: number }[]
}

export type Input =
  /** `newMemberId` is what a member without an id becomes. */
  | {
      readonly kind: 'join'
      readonly token: Token
      readonly request: JoinRequest
      readonly client: Client
      readonly newMemberId: string
    }
  | { readonly kind: 'sync'; readonly token: Token; readonly request: SyncRequest }
  | { readonly kind: 'heartbeat'; readonly token: Token; readonly request: HeartbeatRequest }
  | { readonly kind: 'leave'; readonly token: Token; readonly members: readonly LeavingMember[] }
  /** A member committed offsets: that is a sign of life. */
  | { readonly kind: 'committed-offsets'; readonly memberId: string }
  | { readonly kind: 'ticked' }
  | { readonly kind: 'stored'; readonly ticket: number }
  | { readonly kind: 'store-failed'; readonly ticket: number; readonly errorCode: number }
  /** The group came out of the log: its members have one session to show up. */
  | { readonly kind: 'loaded' }
  /** This broker coordinates the group no longer. */
  | { readonly kind: 'resigned'; readonly errorCode: number }

export type Effect =
  | {
      readonly kind: 'reply'
      readonly token: Token
      readonly reply: JoinReply | SyncReply | HeartbeatReply | LeaveReply
    }
  /** Append this record; answer with `stored` once it is committed, or with `store-failed`. */
  | { readonly kind: 'store'; readonly ticket: number; readonly value: GroupMetadata }
  /** A change of state, for the log. */
  | { readonly kind: 'changed'; readonly from: GroupState; readonly to: GroupState; readonly reason: string }

export interface StepSettings {
  /** group.initial.rebalance.delay.ms */
  readonly initialRebalanceDelayMs: number
  /** group.max.size */
  readonly maxSize: number
}

export interface Turn {
  readonly group: ClassicGroup
  readonly now: Now
  readonly settings: StepSettings
  readonly effects: Effect[]
}

/** A member that never had an answer to its first join may wait this long for it (GroupMetadataManager). */
export const NEW_MEMBER_JOIN_TIMEOUT_MS = 5 * 60_000

const REASON_MAX = 500

export function changeState(turn: Turn, to: GroupState, why: string): void {
  const { group, now, effects } = turn
  // It holds what clients sent: ids and their own reasons, of any length.
  const reason = why.length > REASON_MAX ? `${why.slice(0, REASON_MAX)}...` : why
  const from = group.state
  group.previousState = from
  group.state = to
  group.stateTimestampMs = now.wallMs
  group.history.push({ atMs: now.wallMs, generationId: group.generationId, from, to, reason })
  if (group.history.length > HISTORY_MAX) group.history.shift()
  effects.push({ kind: 'changed', from, to, reason })
}

export function answer(turn: Turn, token: Token, reply: JoinReply | SyncReply | HeartbeatReply | LeaveReply): void {
  turn.effects.push({ kind: 'reply', token, reply })
}

export function refuseJoin(turn: Turn, token: Token, memberId: string, errorCode: number): void {
  answer(turn, token, {
    errorCode,
    generationId: -1,
    protocolType: null,
    protocolName: null,
    leader: '',
    skipAssignment: false,
    memberId,
    members: []
  })
}

/** Answers a member's parked join, and starts its session anew. */
export function completeJoin(turn: Turn, member: Member, reply: JoinReply): void {
  if (member.join === null) return
  answer(turn, member.join, reply)
  member.join = null
  turn.group.joinedCount--
  startSession(turn, member)
}

/** Answers a member's parked join with an error; its session runs on as it was. */
export function failJoin(turn: Turn, member: Member, memberId: string, errorCode: number): void {
  if (member.join === null) return
  refuseJoin(turn, member.join, memberId, errorCode)
  member.join = null
  turn.group.joinedCount--
}

/** Parks a join. One that is parked already was given up by its client, which sent another. */
export function parkJoin(turn: Turn, member: Member, token: Token, abandonedCode: number): void {
  failJoin(turn, member, member.memberId, abandonedCode)
  member.join = token
  turn.group.joinedCount++
}

export function failSync(turn: Turn, member: Member, errorCode: number, assignment: Buffer): void {
  if (member.sync === null) return
  answer(turn, member.sync, { errorCode, protocolType: null, protocolName: null, assignment })
  member.sync = null
}

/** Takes a member out; what it had parked is answered with UNKNOWN_MEMBER_ID. */
export function evict(turn: Turn, memberId: string): void {
  const member = turn.group.members.get(memberId)
  if (!member) return
  failJoin(turn, member, '', ErrorCode.UNKNOWN_MEMBER_ID)
  failSync(turn, member, ErrorCode.UNKNOWN_MEMBER_ID, NO_ASSIGNMENT)
  removeMember(turn.group, memberId)
}

/** The answer to a join of the generation that is. */
export function joinReply(group: ClassicGroup, member: Member, leader: string, skipAssignment = false): JoinReply {
  const tellsMembers = group.leaderId === member.memberId
  return {
    errorCode: ErrorCode.NONE,
    generationId: group.generationId,
    protocolType: group.protocolType,
    protocolName: group.protocolName,
    leader,
    skipAssignment,
    memberId: member.memberId,
    members: tellsMembers ? membersWithMetadata(group) : []
  }
}

export function startSession(turn: Turn, member: Member, timeoutMs: number = member.sessionTimeoutMs): void {
  member.deadlineMs = turn.now.monotonicMs + timeoutMs
  checkBy(turn.group, member.deadlineMs)
}

/** The record of the group as it is now, with these assignments. */
export function store(turn: Turn, purpose: Store, assignments: ReadonlyMap<string, Buffer>): void {
  const { group, effects } = turn
  const ticket = ++group.lastTicket
  group.stores.set(ticket, purpose)
  effects.push({ kind: 'store', ticket, value: metadataRecord(group, assignments) })
}

export function refreshSubscription(group: ClassicGroup): void {
  group.subscribedTopics = computeSubscribedTopics(group)
}

function membersWithMetadata(group: ClassicGroup): JoinReply['members'] {
  return [...group.members.values()].map(member => ({
    memberId: member.memberId,
    groupInstanceId: member.groupInstanceId,
    metadata: metadataOf(member, group.protocolName)
  }))
}

function metadataRecord(group: ClassicGroup, assignments: ReadonlyMap<string, Buffer>): GroupMetadata {
  return {
    protocolType: group.protocolType ?? '',
    generation: group.generationId,
    protocol: group.protocolName,
    leader: group.leaderId,
    currentStateTimestamp: group.stateTimestampMs,
    members: [...group.members.values()].map(member => ({
      memberId: member.memberId,
      groupInstanceId: member.groupInstanceId,
      clientId: member.clientId,
      clientHost: member.clientHost,
      rebalanceTimeout: member.rebalanceTimeoutMs,
      sessionTimeout: member.sessionTimeoutMs,
      subscription: metadataOf(member, group.protocolName),
      assignment: assignments.get(member.memberId) ?? NO_ASSIGNMENT
    }))
  }
}
