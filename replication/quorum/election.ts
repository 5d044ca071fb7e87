// Votes asked for and votes given (KIP-595, KIP-996). What must hold: one vote in one epoch, none to a shorter log, and
// none by a node that cannot know what it promised before (rule of the empty directory).
import { ErrorCode } from '../../protocol/errors.ts'
import type { BrokerId } from '../../protocol/types.ts'
import { heardOf } from './follower.ts'
import type { Input } from './inputs.ts'
import {
  askForVotes,
  backoffMs,
  becomeCandidate,
  becomeFollower,
  becomeLeader,
  enterEpoch,
  isVoter,
  others,
  stand,
  type Turn,
  vote
} from './roles.ts'
import { type Election, majority, type Quorum } from './state.ts'

type VoteRequested = Input & { kind: 'vote-requested' }
type VoteAnswered = Input & { kind: 'vote-answered' }

/** A node whose directory was empty waits so little before it stands itself: the others are about to notice the same. */
const FIRST_ELECTION_SPREAD_MS = 50

export function onVoteRequested(turn: Turn, input: VoteRequested): void {
  const { quorum, effects } = turn
  const errorCode = voteError(quorum, input)
  if (errorCode === ErrorCode.NONE && input.epoch > quorum.epoch) enterEpoch(turn, input.epoch)
  const isGranted = errorCode === ErrorCode.NONE && (input.isPreVote ? grantsPreVote(turn, input) : grants(turn, input))
  const { epoch, leaderId } = quorum
  effects.push({ kind: 'reply', token: input.token, errorCode, epoch, leaderId, isGranted })
}

function voteError(
  quorum: Quorum,
  { candidateId, epoch, isPreVote, lastOffset, lastOffsetEpoch }: VoteRequested
): number {
  if (quorum.role.kind === 'absent') return ErrorCode.BROKER_NOT_AVAILABLE
  if (candidateId === quorum.nodeId || lastOffset < 0 || lastOffsetEpoch < 0) return ErrorCode.INVALID_REQUEST
  // Who asks for a pre-vote names the epoch it is in, which may have records already.
  if (lastOffsetEpoch > epoch || (lastOffsetEpoch === epoch && !isPreVote)) return ErrorCode.INVALID_REQUEST
  if (!isVoter(quorum, candidateId)) return ErrorCode.INCONSISTENT_VOTER_SET
  return epoch < quorum.epoch ? ErrorCode.FENCED_LEADER_EPOCH : ErrorCode.NONE
}

function grants(turn: Turn, input: VoteRequested): boolean {
  const { quorum } = turn
  if (quorum.isFresh || quorum.role.kind === 'leader' || quorum.role.kind === 'resigned') return false
  if (quorum.votedId !== -1) return quorum.votedId === input.candidateId
  if (quorum.leaderId !== -1 || !isUpToDate(quorum, input)) return false
  vote(turn, input.candidateId)
  return true
}

/** Promises nothing. Not while it follows a leader who answers: an election would only disturb. */
function grantsPreVote({ quorum, at }: Turn, input: VoteRequested): boolean {
  const { role, timeouts } = quorum
  if (role.kind === 'leader') return false
  const isLed = role.kind === 'follower' && role.lastFetchMs !== -1 && at.nowMs < role.lastFetchMs + timeouts.fetchMs
  if (isLed && !quorum.isLeaderGone) return false
  // Its vote would not follow, so that it grants only what an empty directory asks for.
  if (quorum.isFresh) return input.lastOffset === 0 && quorum.logEndOffset === 0
  return isUpToDate(quorum, input)
}

/** Is the candidate's log at least as long as this one, by epoch first. */
function isUpToDate({ lastEpoch, logEndOffset }: Quorum, { lastOffset, lastOffsetEpoch }: VoteRequested): boolean {
  return lastOffsetEpoch > lastEpoch || (lastOffsetEpoch === lastEpoch && lastOffset >= logEndOffset)
}

export function onVoteAnswered(turn: Turn, input: VoteAnswered): void {
  const { quorum, at } = turn
  if (!isVoter(quorum, input.from)) return
  quorum.heard.add(input.from)
  if (at.nowMs >= quorum.startedMs + 2 * quorum.timeouts.electionMs) quorum.heardLate.add(input.from)
  heardOf(turn, input.epoch, input.leaderId)
  const { role } = quorum
  if (role.kind !== 'fresh' && role.kind !== 'prospective' && role.kind !== 'candidate') return
  if (input.requestEpoch !== quorum.epoch || input.isPreVote !== (role.kind !== 'candidate')) return
  // Who counts votes no longer than that can be waited for (see mayJoin).
  if (role.kind === 'candidate' && at.nowMs >= role.deadlineMs) return
  if (input.isGranted) onGranted(turn, role, input.from)
  else if (!role.granting.has(input.from)) onRejected(turn, role, input.from)
}

function onGranted(turn: Turn, role: Election & { kind: string }, from: BrokerId): void {
  const { quorum } = turn
  role.granting.add(from)
  role.rejecting.delete(from)
  if (role.kind === 'fresh') {
    if (role.granting.size === quorum.voters.length) becomeVoter(turn)
  } else if (role.granting.size >= majority(quorum)) {
    if (role.kind === 'prospective') becomeCandidate(turn)
    else becomeLeader(turn)
  }
}

/** Nobody knows of anything: this is the first start of all. What an earlier life voted, somebody's epoch tells. */
function becomeVoter({ quorum, at }: Turn): void {
  quorum.isFresh = false
  quorum.leaderId = -1
  quorum.votedId = quorum.nodeId
  quorum.role = { kind: 'unattached', deadlineMs: at.nowMs + at.chance * FIRST_ELECTION_SPREAD_MS }
}

function onRejected(turn: Turn, role: Election & { kind: string }, from: BrokerId): void {
  const { quorum, at } = turn
  role.rejecting.add(from)
  if (role.kind === 'candidate') {
    // Split, perhaps with the third voter gone for good: does not wait for it.
    role.deadlineMs = Math.min(role.deadlineMs, at.nowMs + backoffMs(turn, quorum.losses))
  } else if (role.kind === 'prospective' && role.rejecting.size > quorum.voters.length - majority(quorum)) {
    quorum.losses++
    role.rejecting.clear()
    // The leader is there for the others, as it seems.
    if (quorum.leaderId !== -1 && !quorum.isLeaderGone) becomeFollower(turn, quorum.leaderId)
  }
}

/** Asks again, or gives up. */
export function onElectionTicked(turn: Turn, role: Election & { kind: string }): void {
  const { quorum, at } = turn
  if (at.nowMs >= role.deadlineMs) {
    if (role.kind !== 'fresh') quorum.losses++
    // Tries the leader again, if one is known; else starts anew, for grants grow old.
    if (role.kind === 'prospective' && quorum.leaderId !== -1) becomeFollower(turn, quorum.leaderId)
    else stand(turn)
    return
  }
  if (at.nowMs < role.resendMs) return
  role.resends++
  role.resendMs = at.nowMs + backoffMs(turn, role.resends)
  const silent = others(quorum).filter(id => !role.granting.has(id))
  askForVotes(turn, role.kind === 'candidate' ? silent.filter(id => !role.rejecting.has(id)) : silent)
}
