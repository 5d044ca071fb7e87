// The leader's side: who has fetched and synced how far, what a majority has, and when to give up
// (raft/.../LeaderState.java). What must hold: the high watermark passes nothing of an earlier epoch before a record of
// the own epoch is on a majority (KIP-595), and counts nobody's synced end above what it last said.
import type { Offset } from '../../protocol/types.ts'
import type { Input } from './inputs.ts'
import { backoffMs, isVoter, others, type Turn } from './roles.ts'
import { majority, type Quorum, type Replica, type Role } from './state.ts'

type Leader = Role & { kind: 'leader' }

/** How long an observer is remembered after its last fetch (LeaderState.OBSERVER_SESSION_TIMEOUT_MS). */
export const OBSERVER_SESSION_MS = 300_000
const OBSERVERS_MAX = 1000

/** LeaderState.CHECK_QUORUM_TIMEOUT_FACTOR: some time for the network above the followers' own patience. */
const CHECK_QUORUM_FACTOR = 1.5

export function onFetched(turn: Turn, { by, from, highWatermark }: Input & { kind: 'fetched' }): void {
  const { quorum, at } = turn
  const { role } = quorum
  if (role.kind !== 'leader' || by < 0 || by === quorum.nodeId) return
  const replica = role.replicas.get(by) ?? observer(turn, role, by)
  if (replica === null) return
  if (from >= quorum.logEndOffset) replica.lastCaughtUpMs = at.nowMs
  else if (from >= replica.leaderLogEndOffset) {
    replica.lastCaughtUpMs = Math.max(replica.lastFetchMs, replica.lastCaughtUpMs)
  }
  replica.lastFetchMs = at.nowMs
  replica.leaderLogEndOffset = quorum.logEndOffset
  // Down too: a node that lost its disk has nothing of what it acknowledged before.
  replica.logEndOffset = from
  replica.highWatermark = highWatermark
  advance(turn)
}

/** Who fetches and has no vote. Any number may be said to be one, so that only so many are remembered, and not for long:
 *  null for one too many. */
function observer({ quorum, at }: Turn, role: Leader, id: number): Replica | null {
  for (const [known, { lastFetchMs }] of role.replicas) {
    if (!isVoter(quorum, known) && at.nowMs - lastFetchMs > OBSERVER_SESSION_MS) role.replicas.delete(known)
  }
  if (role.replicas.size >= quorum.voters.length + OBSERVERS_MAX) return null
  const replica = { logEndOffset: -1, lastFetchMs: -1, lastCaughtUpMs: -1, leaderLogEndOffset: -1, highWatermark: -1 }
  role.replicas.set(id, replica)
  return replica
}

/** After anybody synced further. */
export function advance({ quorum, effects }: Turn): void {
  const { role } = quorum
  if (role.kind !== 'leader') return
  const ends: Offset[] = others(quorum).map(id => role.replicas.get(id)?.logEndOffset ?? -1)
  ends.push(quorum.syncedEndOffset)
  ends.sort((left, right) => right - left)
  const to = ends[majority(quorum) - 1] as Offset
  if (to <= role.epochStartOffset || to <= role.highWatermark) return
  role.highWatermark = to
  if (to <= quorum.highWatermark) return
  quorum.highWatermark = to
  effects.push({ kind: 'advance-high-watermark', to })
}

export function leaderDeadlineMs(quorum: Quorum, role: Leader): number {
  return quorum.voters.length === 1 ? Infinity : Math.min(role.beginMs, checkQuorumMs(quorum, role))
}

/** When the last majority that fetched is too long ago. */
function checkQuorumMs(quorum: Quorum, role: Leader): number {
  const times = others(quorum).map(id => Math.max(role.sinceMs, role.replicas.get(id)?.lastFetchMs ?? -1))
  times.sort((left, right) => right - left)
  return (times[majority(quorum) - 2] as number) + CHECK_QUORUM_FACTOR * quorum.timeouts.fetchMs
}

export function onLeaderTicked(turn: Turn, role: Leader): void {
  const { quorum, at } = turn
  if (at.nowMs >= checkQuorumMs(quorum, role)) resign(turn)
  else if (at.nowMs >= role.beginMs) beginAgain(turn, role)
}

/** Tells again who leads to those who do not fetch, soon to those who never did. */
function beginAgain(turn: Turn, role: Leader): void {
  const { quorum, at, effects } = turn
  const intervalMs = quorum.timeouts.fetchMs / 2
  let isKnownToAll = true
  for (const to of others(quorum)) {
    const lastFetchMs = role.replicas.get(to)?.lastFetchMs ?? -1
    if (lastFetchMs === -1) isKnownToAll = false
    if (lastFetchMs !== -1 && at.nowMs < lastFetchMs + intervalMs) continue
    effects.push({ kind: 'send-begin', to, epoch: quorum.epoch })
  }
  role.begins++
  role.beginMs = at.nowMs + (isKnownToAll ? intervalMs : Math.min(intervalMs, backoffMs(turn, role.begins)))
}

/** Leads no more, votes for nobody in this epoch, and asks the others to elect another, best log first. */
export function resign({ quorum, at, effects }: Turn): void {
  const { epoch, nodeId, role } = quorum
  if (role.kind !== 'leader') return
  const endOf = (id: number): Offset => role.replicas.get(id)?.logEndOffset ?? -1
  const preferredSuccessors = others(quorum).sort((left, right) => endOf(right) - endOf(left))
  quorum.leaderId = -1
  quorum.votedId = nodeId
  quorum.role = { kind: 'resigned', deadlineMs: at.nowMs + quorum.timeouts.electionMs * (1 + at.chance) }
  for (const to of others(quorum)) effects.push({ kind: 'send-end', to, epoch, preferredSuccessors })
}
