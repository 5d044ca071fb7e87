// The phases of a rebalance: begin one, wait for the members to join, make the next generation, wait for the leader's
// assignment. The rules are those of Kafka's classic groups (GroupMetadataManager.java: prepareRebalance,
// completeClassicGroupJoin, expirePendingSync).
import { ErrorCode } from '../../protocol/errors.ts'
import { checkBy, hasAllJoined, NO_ASSIGNMENT, rebalanceTimeoutMs, selectProtocol } from './classic-group.ts'
import { changeState, completeJoin, evict, failSync, joinReply, refreshSubscription, store, type Turn } from './turn.ts'

/** Begins a rebalance where the state allows one; where one is running, looks whether it can go on. */
export function rebalanceOrCompleteJoin(turn: Turn, reason: string): void {
  const { state } = turn.group
  if (state === 'Empty' || state === 'CompletingRebalance' || state === 'Stable') prepareRebalance(turn, reason)
  else completeJoinIfReady(turn)
}

export function prepareRebalance(turn: Turn, reason: string): void {
  const { group, settings } = turn
  if (group.state === 'CompletingRebalance') dropAssignments(turn, ErrorCode.REBALANCE_IN_PROGRESS)
  stopSyncWait(turn)
  const isFirst = group.state === 'Empty'
  changeState(turn, 'PreparingRebalance', reason)
  if (!isFirst) {
    completeJoinOrWait(turn)
    return
  }
  // The first members of an empty group wait for others, so that they do not rebalance once per member.
  const delayMs = settings.initialRebalanceDelayMs
  group.newMemberAdded = false
  group.initialRemainingMs = Math.max(rebalanceTimeoutMs(group) - delayMs, 0)
  waitForJoins(turn, delayMs)
}

/** In PreparingRebalance: goes on once everybody joined. A first rebalance goes on by its timer only. */
export function completeJoinIfReady(turn: Turn): void {
  const { group } = turn
  if (group.state !== 'PreparingRebalance' || group.initialRemainingMs !== null) return
  if (hasAllJoined(group)) completeJoinPhase(turn)
}

/** The wait for joins is over. */
export function onJoinDeadline(turn: Turn): void {
  const { group, settings } = turn
  group.joinDeadlineMs = Infinity
  if (group.state !== 'PreparingRebalance') return
  const remainingMs = group.initialRemainingMs
  if (remainingMs === null || remainingMs === 0 || !group.newMemberAdded) {
    completeJoinPhase(turn)
    return
  }
  const delayMs = Math.min(settings.initialRebalanceDelayMs, remainingMs)
  group.newMemberAdded = false
  group.initialRemainingMs = Math.max(remainingMs - settings.initialRebalanceDelayMs, 0)
  waitForJoins(turn, delayMs)
}

/** Members that got this generation but never asked for their assignment hold up the others: they go. */
export function onSyncDeadline(turn: Turn): void {
  const { group } = turn
  group.syncDeadlineMs = Infinity
  if (group.pendingSyncs.size === 0) return
  if (group.state !== 'CompletingRebalance' && group.state !== 'Stable') return
  const gone = [...group.pendingSyncs]
  for (const memberId of gone) evict(turn, memberId)
  prepareRebalance(turn, `removing ${gone.join(', ')}: no SyncGroup within the rebalance time-out`)
}

/** A member's SyncGroup has come. */
export function syncArrived(turn: Turn, memberId: string): void {
  const { group } = turn
  group.pendingSyncs.delete(memberId)
  if (group.pendingSyncs.size === 0) group.syncDeadlineMs = Infinity
}

/** Every waiting member learns that there will be no assignment in this generation. */
export function dropAssignments(turn: Turn, errorCode: number): void {
  for (const member of turn.group.members.values()) {
    member.assignment = NO_ASSIGNMENT
    failSync(turn, member, errorCode, NO_ASSIGNMENT)
  }
}

function completeJoinOrWait(turn: Turn): void {
  if (hasAllJoined(turn.group)) completeJoinPhase(turn)
  else waitForJoins(turn, rebalanceTimeoutMs(turn.group))
}

function waitForJoins(turn: Turn, forMs: number): void {
  turn.group.joinDeadlineMs = turn.now.monotonicMs + forMs
  checkBy(turn.group, turn.group.joinDeadlineMs)
}

function completeJoinPhase(turn: Turn): void {
  const { group } = turn
  group.joinDeadlineMs = Infinity
  const late: string[] = []
  // A static member keeps its place until its session ends (KIP-345).
  for (const member of group.members.values()) {
    if (member.join === null && member.groupInstanceId === null) late.push(member.memberId)
  }
  for (const memberId of late) evict(turn, memberId)
  group.initialRemainingMs = null
  if (!electJoinedLeader(turn)) {
    waitForJoins(turn, rebalanceTimeoutMs(group))
    return
  }
  nextGeneration(turn, late)
}

/** The leader must be one that joined. False when members remain and none of them joined. */
function electJoinedLeader(turn: Turn): boolean {
  const { group } = turn
  if (group.leaderId === null) return group.members.size === 0
  if (group.members.get(group.leaderId)?.join !== null) return true
  for (const member of group.members.values()) {
    if (member.join === null) continue
    group.leaderId = member.memberId
    return true
  }
  return false
}

function nextGeneration(turn: Turn, late: readonly string[]): void {
  const { group, now } = turn
  group.generationId++
  group.pendingSyncs.clear()
  group.protocolName = group.members.size > 0 ? selectProtocol(group) : null
  refreshSubscription(group)
  const missing = late.length > 0 ? `; not back in time: ${late.join(', ')}` : ''
  if (group.members.size === 0) {
    changeState(turn, 'Empty', `no members are left${missing}`)
    store(turn, { purpose: 'empty' }, new Map())
    return
  }
  changeState(turn, 'CompletingRebalance', `generation ${group.generationId} begins${missing}`)
  const leader = group.leaderId ?? ''
  for (const member of group.members.values()) {
    completeJoin(turn, member, joinReply(group, member, leader))
    member.isNew = false
    group.pendingSyncs.add(member.memberId)
  }
  group.syncDeadlineMs = now.monotonicMs + rebalanceTimeoutMs(group)
  checkBy(group, group.syncDeadlineMs)
}

function stopSyncWait(turn: Turn): void {
  turn.group.pendingSyncs.clear()
  turn.group.syncDeadlineMs = Infinity
}
