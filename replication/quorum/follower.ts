// Who leads, as others tell it, and the follower's side: contact with the leader, its high watermark, its end, and how a
// node with an empty directory becomes a voter. What must hold: committed here is only what is synced here.
import { ErrorCode } from '../../protocol/errors.ts'
import type { BrokerId, LeaderEpoch } from '../../protocol/types.ts'
import type { Input } from './inputs.ts'
import { becomeFollower, enterEpoch, HINT_SPREAD_MS, isVoter, stand, type Turn } from './roles.ts'
import { majority, type Quorum } from './state.ts'

/** How long the second of the preferred successors leaves the first alone; the next ones twice as long each. */
const SUCCESSOR_MS = 50

/** An answer names an epoch and, perhaps, its leader. */
export function heardOf(turn: Turn, epoch: LeaderEpoch, leaderId: BrokerId): void {
  const { quorum } = turn
  if (epoch < quorum.epoch) return
  if (epoch > quorum.epoch) enterEpoch(turn, epoch)
  // A leader of this epoch and who led it cannot learn of another one.
  const { kind } = quorum.role
  if (kind === 'leader' || kind === 'resigned' || kind === 'absent') return
  if (quorum.leaderId === -1 && leaderId !== quorum.nodeId && isVoter(quorum, leaderId)) quorum.leaderId = leaderId
  else if (kind !== 'fresh') return
  if (quorum.leaderId !== -1 && mayJoin(quorum)) becomeFollower(turn, quorum.leaderId)
}

/** A node without a past must not help a leader of the past: another one may have its vote of before. Whoever got that
 * vote knows its epoch, so it hears all others first; or, where some do not answer, so many that every majority it was
 * part of is among them, and so late that no candidate still counts an old vote. */
function mayJoin(quorum: Quorum): boolean {
  const { heard, heardLate, isFresh, voters } = quorum
  return !isFresh || heard.size === voters.length - 1 || heardLate.size > voters.length - majority(quorum)
}

/** Somebody's own word on who leads: when the leader itself says that it does not, it is gone. */
export function onLeaderTold(turn: Turn, { from, epoch, leaderId }: Input & { kind: 'leader-told' }): void {
  const { quorum } = turn
  if (epoch === quorum.epoch && from === quorum.leaderId && leaderId !== from) onHinted(turn, from)
  else heardOf(turn, epoch, leaderId)
}

export function onBeginRequested(turn: Turn, { token, leaderId, epoch }: Input & { kind: 'begin-requested' }): void {
  const { quorum, effects } = turn
  const errorCode = leaderError(quorum, leaderId, epoch)
  if (errorCode === ErrorCode.NONE) {
    heardOf(turn, epoch, leaderId)
    // It is there after all.
    if (quorum.role.kind === 'prospective' || quorum.isLeaderGone) becomeFollower(turn, leaderId)
    quorum.isLeaderGone = false
  }
  effects.push({ kind: 'reply', token, errorCode, epoch: quorum.epoch, leaderId: quorum.leaderId, isGranted: false })
}

/** The leader goes. Its preferred successors stand one after the other. */
export function onEndRequested(turn: Turn, input: Input & { kind: 'end-requested' }): void {
  const { quorum, at, effects } = turn
  const { token, leaderId, epoch, preferredSuccessors } = input
  const errorCode = leaderError(quorum, leaderId, epoch)
  if (errorCode === ErrorCode.NONE) {
    if (epoch > quorum.epoch) enterEpoch(turn, epoch)
    const { role } = quorum
    if (role.kind === 'follower' || role.kind === 'unattached') {
      const index = preferredSuccessors.indexOf(quorum.nodeId)
      const position = index === -1 ? preferredSuccessors.length : index
      quorum.isLeaderGone = true
      if (position === 0) stand(turn)
      else role.deadlineMs = at.nowMs + Math.min(SUCCESSOR_MS * 2 ** (position - 1), quorum.timeouts.backoffMaxMs)
    }
  }
  effects.push({ kind: 'reply', token, errorCode, epoch: quorum.epoch, leaderId: quorum.leaderId, isGranted: false })
}

function leaderError(quorum: Quorum, leaderId: BrokerId, epoch: LeaderEpoch): number {
  if (quorum.role.kind === 'absent') return ErrorCode.BROKER_NOT_AVAILABLE
  if (epoch < quorum.epoch) return ErrorCode.FENCED_LEADER_EPOCH
  if (leaderId === quorum.nodeId) return ErrorCode.INVALID_REQUEST
  if (!isVoter(quorum, leaderId)) return ErrorCode.INCONSISTENT_VOTER_SET
  const { kind } = quorum.role
  const isOther = quorum.leaderId !== -1 ? quorum.leaderId !== leaderId : kind === 'resigned'
  return epoch === quorum.epoch && isOther ? ErrorCode.INVALID_REQUEST : ErrorCode.NONE
}

export function onFetchAnswered(turn: Turn, input: Input & { kind: 'fetch-answered' }): void {
  const { quorum, at } = turn
  if (input.epoch > quorum.epoch) heardOf(turn, input.epoch, input.from)
  if (input.epoch < quorum.epoch || input.from !== quorum.leaderId) return
  if (quorum.role.kind === 'prospective') becomeFollower(turn, input.from)
  const { role } = quorum
  if (role.kind !== 'follower') return
  role.lastFetchMs = at.nowMs
  role.deadlineMs = at.nowMs + quorum.timeouts.fetchMs
  quorum.isLeaderGone = false
  quorum.losses = 0
  role.leaderHighWatermark = Math.max(role.leaderHighWatermark, input.highWatermark)
  if (role.joinedAt === -1) role.joinedAt = input.highWatermark
  follow(turn)
}

/** After the leader told its high watermark, or the own log was synced further. */
export function follow({ quorum, effects }: Turn): void {
  const { role, syncedEndOffset } = quorum
  if (role.kind !== 'follower') return
  const to = Math.min(role.leaderHighWatermark, syncedEndOffset)
  if (to > quorum.highWatermark) {
    quorum.highWatermark = to
    effects.push({ kind: 'advance-high-watermark', to })
  }
  // What an earlier life acknowledged is committed below that, or was never counted on.
  if (quorum.isFresh && role.joinedAt !== -1 && syncedEndOffset >= role.joinedAt) quorum.isFresh = false
}

export function onHinted(turn: Turn, leaderId: BrokerId): void {
  const { quorum, at } = turn
  if (leaderId !== quorum.leaderId) return
  if (quorum.role.kind === 'fresh') quorum.leaderId = -1
  if (quorum.role.kind !== 'follower') return
  quorum.isLeaderGone = true
  quorum.role.deadlineMs = Math.min(quorum.role.deadlineMs, at.nowMs + at.chance * HINT_SPREAD_MS)
}
