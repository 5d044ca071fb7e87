// What a node knows of the metadata quorum: epoch, leader, vote, its role, and the end of its log. Only step() changes it;
// it runs ahead of the effects (a role is taken when it is decided, its `store` follows), so a shell acts on effects and
// reads here what it reports.
import assert from 'node:assert/strict'
import type { BrokerId, LeaderEpoch, Offset } from '../../protocol/types.ts'

export interface QuorumTimeouts {
  /** controller.quorum.election.timeout.ms: how long a voter without a leader waits; up to twice as long, by chance. */
  readonly electionMs: number
  /** controller.quorum.fetch.timeout.ms: how long a follower waits for an answer of its leader. */
  readonly fetchMs: number
  /** controller.quorum.election.backoff.max.ms */
  readonly backoffMaxMs: number
}

/** What the quorum-state file says. */
export interface StoredVote {
  readonly leaderEpoch: LeaderEpoch
  readonly leaderId: BrokerId
  readonly votedId: BrokerId
}

/** What the leader knows of who fetches from it, voter or not. Times by the monotonic clock, -1 for never. */
export interface Replica {
  /** Its synced end, -1 while unknown. */
  logEndOffset: Offset
  lastFetchMs: number
  lastCaughtUpMs: number
  /** Where this log ended at its last fetch. */
  leaderLogEndOffset: Offset
  /** The high watermark that it said it knows, -1 while unknown. */
  highWatermark: Offset
}

/** Waits for votes. `rejecting` answered and denied. */
export interface Election {
  readonly granting: Set<BrokerId>
  readonly rejecting: Set<BrokerId>
  /** When who has not granted is asked again (a candidate asks only who has not answered). */
  resendMs: number
  resends: number
  /** When the election is given up. */
  deadlineMs: number
}

export type Role =
  /** Knows no leader, perhaps voted. */
  | { readonly kind: 'unattached'; deadlineMs: number }
  /** Asks every voter whether its log is empty. Votes for nobody (see Quorum.isFresh). */
  | ({ readonly kind: 'fresh' } & Election)
  | {
      readonly kind: 'follower'
      /** When it stands. */
      deadlineMs: number
      /** When the leader answered a fetch, -1 for never. */
      lastFetchMs: number
      /** What the leader told in this epoch, -1 while it told none. */
      leaderHighWatermark: Offset
      /** Fresh only: the first high watermark that was told in this epoch; behind it the node is as good as any. */
      joinedAt: Offset
    }
  /** Asks whether it would be elected (KIP-996). */
  | ({ readonly kind: 'prospective' } & Election)
  /** Its vote in this epoch is its own. */
  | ({ readonly kind: 'candidate' } & Election)
  | {
      readonly kind: 'leader'
      readonly grantingVoters: readonly BrokerId[]
      /** Where the own epoch begins: at its LeaderChange record. */
      readonly epochStartOffset: Offset
      sinceMs: number
      /** Everybody who fetched in this epoch, and every other voter. */
      readonly replicas: Map<BrokerId, Replica>
      /** What this epoch has committed, -1 while that is nothing: what fetchers may be told. */
      highWatermark: Offset
      /** When voters who do not fetch are told again who leads. */
      beginMs: number
      begins: number
    }
  /** Led this epoch, in this life or an earlier one, and does so no more. */
  | { readonly kind: 'resigned'; deadlineMs: number }
  /** Not started, or broken: takes no part. Before its log is known it could vote for a shorter one. */
  | { readonly kind: 'absent' }

export interface Quorum {
  readonly nodeId: BrokerId
  readonly voters: readonly BrokerId[]
  readonly timeouts: QuorumTimeouts
  epoch: LeaderEpoch
  /** -1: none known in this epoch. */
  leaderId: BrokerId
  /** The vote given in this epoch, -1 for none. The own id where it may have voted and cannot know for whom. */
  votedId: BrokerId
  role: Role
  /** Nothing is known of an earlier life, which may have voted and acknowledged: neither votes nor stands (rule of the
   * empty directory). Ends with the first `store`. */
  isFresh: boolean
  /** Fresh only: who has answered in this life, and when first after a candidate of an earlier life must have ended. */
  readonly heard: Set<BrokerId>
  readonly heardLate: Set<BrokerId>
  startedMs: number
  /** The node stops: votes, but stands no more. */
  isStopping: boolean
  /** The leader's process is gone, or it handed over; until it answers again. */
  isLeaderGone: boolean
  /** What the quorum-state file says once all effects are performed. */
  stored: StoredVote | null
  /** Elections lost in a row. */
  losses: number
  /** The own log. */
  logEndOffset: Offset
  lastEpoch: LeaderEpoch
  syncedEndOffset: Offset
  /** What is known to be committed, and synced here or led from here; -1 until this life knows. Never goes back. */
  highWatermark: Offset
}

export interface QuorumOptions {
  readonly nodeId: BrokerId
  readonly voters: readonly BrokerId[]
  readonly timeouts: QuorumTimeouts
  /** Null where there is no quorum-state file. */
  readonly stored: StoredVote | null
  /** The directory was formatted by an operator (meta.properties is there), who vouches that it is new. */
  readonly isFormatted: boolean
}

export function createQuorum({ nodeId, voters, timeouts, stored, isFormatted }: QuorumOptions): Quorum {
  assert(voters.includes(nodeId), 'this node is a voter')
  return {
    nodeId,
    voters,
    timeouts,
    epoch: stored?.leaderEpoch ?? 0,
    leaderId: stored?.leaderId ?? -1,
    votedId: stored?.votedId ?? -1,
    role: { kind: 'absent' },
    isFresh: stored === null && !isFormatted && voters.length > 1,
    heard: new Set(),
    heardLate: new Set(),
    startedMs: 0,
    isStopping: false,
    isLeaderGone: false,
    stored,
    losses: 0,
    logEndOffset: 0,
    lastEpoch: 0,
    syncedEndOffset: 0,
    highWatermark: -1
  }
}

export function majority(quorum: Quorum): number {
  return Math.floor(quorum.voters.length / 2) + 1
}

/** What an answer to Fetch says, -1 while it is unknown: a leader tells none before a record of its own epoch is
 * committed, for what it learned as a follower may be less than what was told before (LeaderState). */
export function toldHighWatermark(quorum: Quorum): Offset {
  return quorum.role.kind === 'leader' ? quorum.role.highWatermark : -1
}
