// The step of one classic consumer group: one input in, effects out. Mutable state, no clock, no chance, no I/O. The
// shard parks replies under tokens, appends what is to be stored, and looks again at `checkAtMs`.
import { ErrorCode } from '../../protocol/errors.ts'
import { type ClassicGroup, earliestDeadline, NO_ASSIGNMENT, type Now } from './classic-group.ts'
import { onJoin } from './join.ts'
import { onLeave } from './leave.ts'
import {
  completeJoinIfReady,
  onJoinDeadline,
  onSyncDeadline,
  prepareRebalance,
  rebalanceOrCompleteJoin
} from './rebalance.ts'
import { onAssignmentFailed, onAssignmentStored, onHeartbeat, onStaticStored, onSync } from './sync.ts'
import {
  type Effect,
  evict,
  failJoin,
  failSync,
  type Input,
  type StepSettings,
  startSession,
  type Turn
} from './turn.ts'

export function step(group: ClassicGroup, input: Input, now: Now, settings: StepSettings): Effect[] {
  const turn: Turn = { group, now, settings, effects: [] }
  switch (input.kind) {
    case 'join':
      onJoin(turn, input)
      break
    case 'sync':
      onSync(turn, input)
      break
    case 'heartbeat':
      onHeartbeat(turn, input)
      break
    case 'leave':
      onLeave(turn, input)
      break
    case 'committed-offsets':
      onCommittedOffsets(turn, input.memberId)
      break
    case 'ticked':
      onTicked(turn)
      break
    case 'stored':
      onStored(turn, input.ticket, ErrorCode.NONE)
      break
    case 'store-failed':
      onStored(turn, input.ticket, input.errorCode)
      break
    case 'loaded':
      onLoaded(turn)
      break
    case 'resigned':
      onResigned(turn, input.errorCode)
      break
    default:
      input satisfies never
  }
  return turn.effects
}

function onCommittedOffsets(turn: Turn, memberId: string): void {
  const { group } = turn
  const member = group.members.get(memberId)
  if (member && (group.state === 'Stable' || group.state === 'PreparingRebalance')) startSession(turn, member)
}

/** Judges what is due. A member whose request waits here is alive by that, unless its first join was never answered. */
function onTicked(turn: Turn): void {
  const { group, now } = turn
  const due = now.monotonicMs
  group.checkAtMs = Infinity
  if (group.joinDeadlineMs <= due) onJoinDeadline(turn)
  if (group.syncDeadlineMs <= due) onSyncDeadline(turn)
  for (const [memberId, deadlineMs] of group.pendingJoins) {
    if (deadlineMs > due) continue
    group.pendingJoins.delete(memberId)
    completeJoinIfReady(turn)
  }
  for (const member of [...group.members.values()]) {
    if (member.deadlineMs > due || !group.members.has(member.memberId)) continue
    if (!member.isNew && (member.join !== null || member.sync !== null)) {
      startSession(turn, member)
      continue
    }
    evict(turn, member.memberId)
    afterExpiry(turn, `session of member ${member.memberId} timed out`)
  }
  group.checkAtMs = earliestDeadline(group)
}

function afterExpiry(turn: Turn, reason: string): void {
  const { state } = turn.group
  if (state === 'Stable' || state === 'CompletingRebalance') rebalanceOrCompleteJoin(turn, reason)
  else completeJoinIfReady(turn)
}

function onStored(turn: Turn, ticket: number, errorCode: number): void {
  const kept = turn.group.stores.get(ticket)
  if (!kept) return
  turn.group.stores.delete(ticket)
  if (kept.purpose === 'static') onStaticStored(turn, kept, errorCode)
  else if (kept.purpose === 'assignment') {
    if (errorCode === ErrorCode.NONE) onAssignmentStored(turn, kept.generationId, kept.assignments)
    else onAssignmentFailed(turn, kept.generationId, errorCode)
  }
}

function onLoaded(turn: Turn): void {
  const { group, settings } = turn
  for (const member of group.members.values()) startSession(turn, member)
  if (group.members.size > settings.maxSize) {
    prepareRebalance(turn, `the loaded group has more than group.max.size=${settings.maxSize} members`)
  }
}

function onResigned(turn: Turn, errorCode: number): void {
  const { group } = turn
  for (const member of group.members.values()) {
    failJoin(turn, member, member.memberId, errorCode)
    failSync(turn, member, errorCode, NO_ASSIGNMENT)
  }
  group.stores.clear()
  group.checkAtMs = Infinity
  group.state = 'Dead'
}
