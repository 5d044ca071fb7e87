// The metadata quorum of this node: whose epoch it is, who votes, and what a majority of voters has synced. Pure, in
// the shape of KRaft (raft/.../QuorumState.java, LeaderState.java) for any number of voters; as the sole voter a node
// elects itself at each start. What must hold: an epoch is durable before anything is done in it, and the high
// watermark passes nothing of an earlier epoch before a record of the own epoch is on a majority (KIP-595).
import assert from 'node:assert/strict'
import type { BrokerId, LeaderEpoch, Offset, Uuid } from '../../protocol/types.ts'

export interface Voter {
  readonly id: BrokerId
  /** Zero while kraft.version is 0, which knows no directories. */
  readonly directoryId: Uuid
}

/** Unattached: knows an epoch and no leader in it. Candidate: its own vote is durable. Leader: of `epoch`. */
export type Role =
  | { readonly kind: 'unattached' }
  | { readonly kind: 'candidate'; readonly granting: Set<BrokerId> }
  | {
      readonly kind: 'leader'
      readonly grantingVoters: readonly BrokerId[]
      /** Where the own epoch begins: at its LeaderChange record. */
      readonly epochStartOffset: Offset
      /** The synced end of each voter, -1 while unknown. */
      readonly ends: Map<BrokerId, Offset>
    }

export interface Quorum {
  readonly nodeId: BrokerId
  readonly voters: readonly Voter[]
  epoch: LeaderEpoch
  /** -1: none known in this epoch. */
  leaderId: BrokerId
  /** The vote given in this epoch, -1 for none. */
  votedId: BrokerId
  role: Role
  /** What a majority has synced; -1 until this life knows. */
  highWatermark: Offset
}

export type Input =
  /** The log is open, up to here; everything in it is synced. */
  | { readonly kind: 'started'; readonly logEndOffset: Offset }
  /** The quorum state of that epoch is durable. */
  | { readonly kind: 'stored'; readonly epoch: LeaderEpoch; readonly logEndOffset: Offset }
  /** The own log is synced up to here. */
  | { readonly kind: 'synced'; readonly syncedEndOffset: Offset }
  /** A voter fetches from here on: it has synced everything before. */
  | { readonly kind: 'fetched'; readonly by: BrokerId; readonly from: Offset }
  /** The log failed, or the node stops: leads no more. */
  | { readonly kind: 'resigned' }

export type Effect =
  /** Write the quorum-state file and sync it, then say 'stored'. */
  | { readonly kind: 'store'; readonly epoch: LeaderEpoch; readonly leaderId: BrokerId; readonly votedId: BrokerId }
  /** Leads now: append this epoch's LeaderChange before anything else. */
  | { readonly kind: 'lead'; readonly epoch: LeaderEpoch; readonly grantingVoters: readonly BrokerId[] }
  | { readonly kind: 'advance-high-watermark'; readonly to: Offset }

/** `stored` is what the quorum-state file says; null where there is none. */
export function createQuorum(
  nodeId: BrokerId,
  voters: readonly Voter[],
  stored: { readonly leaderEpoch: LeaderEpoch; readonly leaderId: BrokerId; readonly votedId: BrokerId } | null
): Quorum {
  assert(
    voters.some(voter => voter.id === nodeId),
    'this node is a voter'
  )
  return {
    nodeId,
    voters,
    epoch: stored?.leaderEpoch ?? 0,
    leaderId: stored?.leaderId ?? -1,
    votedId: stored?.votedId ?? -1,
    role: { kind: 'unattached' },
    highWatermark: -1
  }
}

export function step(quorum: Quorum, input: Input): Effect[] {
  const effects: Effect[] = []
  switch (input.kind) {
    case 'started':
      // Never leads in an epoch of an earlier life: what it promised then is not all remembered.
      if (isMajority(quorum, 1)) stand(quorum, effects)
      break
    case 'stored':
      if (quorum.role.kind === 'candidate' && input.epoch === quorum.epoch) count(quorum, input.logEndOffset, effects)
      break
    case 'synced':
      if (quorum.role.kind === 'leader') ended(quorum.role, quorum.nodeId, input.syncedEndOffset)
      break
    case 'fetched':
      if (quorum.role.kind === 'leader' && quorum.role.ends.has(input.by)) ended(quorum.role, input.by, input.from)
      break
    case 'resigned':
      quorum.role = { kind: 'unattached' }
      quorum.leaderId = -1
      break
    default:
      input satisfies never
  }
  advance(quorum, effects)
  return effects
}

/** The next epoch, with the own vote. A sole voter's vote decides, so that vote and victory are stored as one. */
function stand(quorum: Quorum, effects: Effect[]): void {
  const { nodeId } = quorum
  quorum.epoch++
  quorum.role = { kind: 'candidate', granting: new Set([nodeId]) }
  const wins = isMajority(quorum, 1)
  quorum.leaderId = wins ? nodeId : -1
  // A leader's own vote is not noted (LeaderState has none).
  quorum.votedId = wins ? -1 : nodeId
  effects.push({ kind: 'store', epoch: quorum.epoch, leaderId: quorum.leaderId, votedId: quorum.votedId })
}

function count(quorum: Quorum, logEndOffset: Offset, effects: Effect[]): void {
  assert(quorum.role.kind === 'candidate')
  const grantingVoters = [...quorum.role.granting]
  if (!isMajority(quorum, grantingVoters.length)) return
  quorum.leaderId = quorum.nodeId
  quorum.role = {
    kind: 'leader',
    grantingVoters,
    epochStartOffset: logEndOffset,
    ends: new Map(quorum.voters.map(voter => [voter.id, -1]))
  }
  effects.push({ kind: 'lead', epoch: quorum.epoch, grantingVoters })
}

function ended(role: Role & { kind: 'leader' }, voter: BrokerId, end: Offset): void {
  role.ends.set(voter, Math.max(end, role.ends.get(voter) ?? -1))
}

function advance(quorum: Quorum, effects: Effect[]): void {
  if (quorum.role.kind !== 'leader') return
  const ends = [...quorum.role.ends.values()].sort((left, right) => right - left)
  const to = ends[Math.floor(ends.length / 2)] as Offset
  if (to <= quorum.role.epochStartOffset || to <= quorum.highWatermark) return
  quorum.highWatermark = to
  effects.push({ kind: 'advance-high-watermark', to })
}

function isMajority(quorum: Quorum, votes: number): boolean {
  return votes > quorum.voters.length / 2
}
