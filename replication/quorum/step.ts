// The metadata quorum of this node: one input in, effects out (raft/.../KafkaRaftClient.java, QuorumState.java with the
// table of transitions, KIP-595, KIP-996), for static voters (kraft.version 0). What must hold: votes and epochs are
// durable before anything is said or done in them, so `store` comes before all that follows from it.
import { onElectionTicked, onVoteAnswered, onVoteRequested } from './election.ts'
import {
  follow,
  heardOf,
  onBeginRequested,
  onEndRequested,
  onFetchAnswered,
  onHinted,
  onLeaderTold
} from './follower.ts'
import type { At, Effect, Input, LogEnd } from './inputs.ts'
import { advance, leaderDeadlineMs, onFetched, onLeaderTicked, resign } from './leader.ts'
import { stand, startUp, type Turn } from './roles.ts'
import type { Quorum, Role } from './state.ts'

export type { At, Effect, Input } from './inputs.ts'
export { createQuorum, type Quorum, toldHighWatermark } from './state.ts'

export function step(quorum: Quorum, input: Input, at: At): Effect[] {
  const before = { epoch: quorum.epoch, leaderId: quorum.leaderId, role: quorum.role }
  const turn: Turn = { quorum, at, effects: [] }
  take(turn, input)
  return [...announcements(quorum, before, input.kind === 'started'), ...turn.effects]
}

/** When `ticked` is due; Infinity for never. */
export function nextDeadlineMs(quorum: Quorum): number {
  const { role } = quorum
  switch (role.kind) {
    case 'leader':
      return leaderDeadlineMs(quorum, role)
    case 'fresh':
    case 'prospective':
    case 'candidate':
      return quorum.isStopping ? Infinity : Math.min(role.resendMs, role.deadlineMs)
    case 'unattached':
    case 'follower':
    case 'resigned':
      return quorum.isStopping ? Infinity : role.deadlineMs
    case 'absent':
      return Infinity
    default:
      return role satisfies never
  }
}

function take(turn: Turn, input: Input): void {
  const { quorum } = turn
  if (quorum.role.kind === 'absent' && input.kind !== 'started' && !('token' in input)) return
  switch (input.kind) {
    case 'started':
      onLog(quorum, input, input.logEndOffset)
      startUp(turn)
      break
    case 'ticked':
      onTicked(turn)
      break
    case 'stalled':
      onStalled(turn, input.forMs)
      break
    case 'vote-requested':
      onVoteRequested(turn, input)
      break
    case 'vote-answered':
      onVoteAnswered(turn, input)
      break
    case 'begin-requested':
      onBeginRequested(turn, input)
      break
    case 'begin-answered':
      heardOf(turn, input.epoch, input.leaderId)
      break
    case 'end-requested':
      onEndRequested(turn, input)
      break
    case 'leader-told':
      onLeaderTold(turn, input)
      break
    case 'fetch-answered':
      onFetchAnswered(turn, input)
      break
    case 'fetched':
      onFetched(turn, input)
      break
    case 'appended':
      onLog(quorum, input, quorum.syncedEndOffset)
      break
    case 'synced':
      quorum.syncedEndOffset = Math.max(quorum.syncedEndOffset, input.syncedEndOffset)
      advance(turn)
      follow(turn)
      break
    case 'truncated':
      onLog(quorum, input, input.syncedEndOffset)
      follow(turn)
      break
    case 'hinted':
      onHinted(turn, input.leaderId)
      break
    case 'stopping':
      onStopping(turn)
      break
    case 'failed':
      onFailed(turn)
      break
    default:
      input satisfies never
  }
}

function onLog(quorum: Quorum, { logEndOffset, lastEpoch }: LogEnd, syncedEndOffset: number): void {
  quorum.logEndOffset = logEndOffset
  quorum.lastEpoch = lastEpoch
  quorum.syncedEndOffset = syncedEndOffset
}

function onTicked(turn: Turn): void {
  const { quorum, at } = turn
  const { role } = quorum
  if (at.nowMs < nextDeadlineMs(quorum)) return
  if (role.kind === 'leader') onLeaderTicked(turn, role)
  else if (role.kind === 'unattached' || role.kind === 'follower' || role.kind === 'resigned') stand(turn)
  else if (role.kind !== 'absent') onElectionTicked(turn, role)
}

function onStalled({ quorum, at }: Turn, forMs: number): void {
  const { role } = quorum
  if (role.kind === 'unattached' || role.kind === 'follower' || role.kind === 'resigned') role.deadlineMs += forMs
  if (role.kind !== 'leader') return
  role.sinceMs = Math.min(at.nowMs, role.sinceMs + forMs)
  for (const replica of role.replicas.values()) {
    if (replica.lastFetchMs !== -1) replica.lastFetchMs = Math.min(at.nowMs, replica.lastFetchMs + forMs)
  }
}

function onStopping(turn: Turn): void {
  const { quorum } = turn
  quorum.isStopping = true
  if (quorum.role.kind === 'leader') resign(turn)
  else if (quorum.role.kind === 'prospective' || quorum.role.kind === 'candidate') {
    quorum.role = { kind: 'unattached', deadlineMs: Infinity }
  }
}

function onFailed(turn: Turn): void {
  resign(turn)
  turn.quorum.role = { kind: 'absent' }
}

type Before = Pick<Quorum, 'epoch' | 'leaderId' | 'role'>

/** What follows from the change of state, in this order: leads no more, the promise on the disk, the new role. */
function announcements(quorum: Quorum, before: Before, isStart: boolean): Effect[] {
  const effects: Effect[] = []
  const { epoch, leaderId, role, votedId } = quorum
  const isNewEpoch = epoch !== before.epoch
  if (before.role.kind === 'leader' && (role.kind !== 'leader' || isNewEpoch)) {
    effects.push({ kind: 'resigned', epoch: before.epoch })
  }
  if (mustStore(quorum)) {
    quorum.stored = { leaderEpoch: epoch, leaderId, votedId }
    effects.push({ kind: 'store', epoch, leaderId, votedId })
  }
  const isNew = isStart || isNewEpoch || leaderId !== before.leaderId
  if (role.kind === 'leader') {
    if (isNew) effects.push({ kind: 'lead', epoch, grantingVoters: role.grantingVoters })
  } else if (role.kind === 'follower') {
    if (isNew || before.role.kind !== 'follower') effects.push({ kind: 'follow', leaderId, epoch })
  } else if (isStart || isNewEpoch || isAttached(before.role)) effects.push({ kind: 'unattached', epoch })
  return effects
}

function isAttached(role: Role): boolean {
  return role.kind === 'leader' || role.kind === 'follower'
}

/** A fresh node writes nothing: that there is no file is what tells it. Nor does one that takes no part. To forget a leader needs no write, and who is
 * noted as the leader has voted for itself. */
function mustStore({ epoch, isFresh, leaderId, nodeId, role, stored, votedId }: Quorum): boolean {
  if (isFresh || role.kind === 'absent') return false
  if (stored === null || epoch !== stored.leaderEpoch) return true
  const isVoteNoted = votedId === -1 || votedId === stored.votedId || (votedId === nodeId && stored.leaderId === nodeId)
  return !isVoteNoted || (leaderId !== -1 && leaderId !== stored.leaderId)
}
