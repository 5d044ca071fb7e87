// How the quorum's roles begin, and how long each waits (raft/.../QuorumState.java, KafkaRaftClient.java). They change
// the state only; what has to be stored, followed or given up is told once per step by comparing before and after. What
// must hold: a node leads only an epoch that it stood for in this life, so none of an earlier one.
import type { BrokerId, LeaderEpoch } from '../../protocol/types.ts'
import type { At, Effect } from './inputs.ts'
import { type Election, majority, type Quorum, type Role } from './state.ts'

/** One step on its way: the effects so far. */
export interface Turn {
  readonly quorum: Quorum
  readonly at: At
  readonly effects: Effect[]
}

/** The first wait after a lost election, and the first time between two requests of one. */
const BACKOFF_MS = 20
/** A voter that starts asks soon, whom a pre-vote cannot disturb; not all at the same time. */
const START_SPREAD_MS = 100
/** After a hint the followers stand one after the other, not all in one round trip. */
export const HINT_SPREAD_MS = 30

export function isVoter(quorum: Quorum, id: BrokerId): boolean {
  return quorum.voters.includes(id)
}

export function others(quorum: Quorum): BrokerId[] {
  return quorum.voters.filter(id => id !== quorum.nodeId)
}

/** Any time from now on up to a bound that doubles, so that two who collide part soon, however far apart they are. */
export function backoffMs({ quorum, at }: Turn, attempts: number): number {
  const bound = Math.min(quorum.timeouts.backoffMaxMs, BACKOFF_MS * 2 ** Math.min(attempts, 16))
  return BACKOFF_MS + at.chance * bound
}

function electionMs({ quorum, at }: Turn): number {
  return quorum.timeouts.electionMs * (1 + at.chance)
}

export function startUp(turn: Turn): void {
  const { quorum, at } = turn
  quorum.startedMs = at.nowMs
  if (quorum.lastEpoch > quorum.epoch) {
    // The file is older than the log: a vote in that epoch is forgotten, so that none may be given.
    quorum.epoch = quorum.lastEpoch
    quorum.leaderId = -1
    quorum.votedId = quorum.nodeId
  }
  const deadlineMs = at.nowMs + at.chance * START_SPREAD_MS
  if (quorum.voters.length === 1) becomeCandidate(turn)
  else if (quorum.isFresh) askAll(turn)
  else if (quorum.leaderId === quorum.nodeId) {
    quorum.leaderId = -1
    quorum.votedId = quorum.nodeId
    quorum.role = { kind: 'resigned', deadlineMs }
  } else if (isVoter(quorum, quorum.leaderId)) becomeFollower(turn, quorum.leaderId)
  else {
    quorum.leaderId = -1
    quorum.role = { kind: 'unattached', deadlineMs }
  }
}

/** A higher epoch was heard of, and no leader in it. Who waited for its turn to stand goes on waiting for it. */
export function enterEpoch(turn: Turn, epoch: LeaderEpoch): void {
  const { quorum, at } = turn
  const { role } = quorum
  quorum.epoch = epoch
  quorum.leaderId = -1
  quorum.votedId = -1
  quorum.isLeaderGone = false
  if (quorum.isFresh) askAll(turn)
  else quorum.role = { kind: 'unattached', deadlineMs: standsAtMs(role) ?? at.nowMs + electionMs(turn) }
}

function standsAtMs(role: Role): number | null {
  if (role.kind === 'unattached') return role.deadlineMs
  if (role.kind === 'prospective' || role.kind === 'candidate') return Math.min(role.resendMs, role.deadlineMs)
  return null
}

/** Votes in this epoch, and gives the candidate the time to win. */
export function vote(turn: Turn, candidateId: BrokerId): void {
  const { quorum, at } = turn
  quorum.votedId = candidateId
  quorum.role = { kind: 'unattached', deadlineMs: at.nowMs + electionMs(turn) }
}

export function becomeFollower({ quorum, at }: Turn, leaderId: BrokerId): void {
  if (leaderId !== quorum.leaderId) quorum.isLeaderGone = false
  quorum.leaderId = leaderId
  quorum.role = {
    kind: 'follower',
    deadlineMs: at.nowMs + quorum.timeouts.fetchMs,
    lastFetchMs: -1,
    leaderHighWatermark: -1,
    joinedAt: -1
  }
}

/** Time is up. As a voter it asks for pre-votes; a fresh node asks all anew. */
export function stand(turn: Turn): void {
  const { quorum } = turn
  if (quorum.isStopping) return
  if (quorum.isFresh) {
    quorum.leaderId = -1
    askAll(turn)
  } else {
    quorum.role = { kind: 'prospective', ...election(turn, quorum.losses) }
    askForVotes(turn, others(quorum))
  }
}

/** Fresh: asks all voters whether they are empty, again and again. */
export function askAll(turn: Turn): void {
  const { quorum } = turn
  quorum.role = { kind: 'fresh', ...election(turn, 0) }
  askForVotes(turn, others(quorum))
}

/** The next epoch with the own vote. A sole voter's vote decides, so that vote and victory are stored as one. */
export function becomeCandidate(turn: Turn): void {
  const { quorum } = turn
  quorum.epoch++
  quorum.leaderId = -1
  quorum.votedId = quorum.nodeId
  quorum.isLeaderGone = false
  quorum.role = { kind: 'candidate', ...election(turn, quorum.losses) }
  if (majority(quorum) === 1) becomeLeader(turn)
  else askForVotes(turn, others(quorum))
}

export function becomeLeader(turn: Turn): void {
  const { quorum, at, effects } = turn
  const { epoch, nodeId, role } = quorum
  const replica = { logEndOffset: -1, lastFetchMs: -1, lastCaughtUpMs: -1, leaderLogEndOffset: -1, highWatermark: -1 }
  quorum.leaderId = nodeId
  // A leader's own vote is not noted (LeaderState has none).
  quorum.votedId = -1
  quorum.losses = 0
  quorum.role = {
    kind: 'leader',
    grantingVoters: role.kind === 'candidate' ? [...role.granting] : [nodeId],
    epochStartOffset: quorum.logEndOffset,
    sinceMs: at.nowMs,
    replicas: new Map(others(quorum).map(id => [id, { ...replica }])),
    highWatermark: -1,
    beginMs: at.nowMs + BACKOFF_MS,
    begins: 0
  }
  for (const to of others(quorum)) effects.push({ kind: 'send-begin', to, epoch })
}

function election(turn: Turn, losses: number): Election {
  const { quorum, at } = turn
  return {
    granting: new Set([quorum.nodeId]),
    rejecting: new Set(),
    resendMs: at.nowMs + backoffMs(turn, losses),
    resends: losses,
    deadlineMs: at.nowMs + electionMs(turn)
  }
}

/** Vote to each of them, as the role has it. A fresh node claims an empty log: who has anything denies. */
export function askForVotes({ quorum, effects }: Turn, to: readonly BrokerId[]): void {
  const { epoch, isFresh, role } = quorum
  const lastOffset = isFresh ? 0 : quorum.logEndOffset
  const lastOffsetEpoch = isFresh ? 0 : quorum.lastEpoch
  const isPreVote = role.kind !== 'candidate'
  for (const id of to) effects.push({ kind: 'send-vote', to: id, epoch, lastOffset, lastOffsetEpoch, isPreVote })
}
