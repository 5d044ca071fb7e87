// What the metadata quorum is told and what it wants done: the vocabulary of step(). What must hold in the shell: inputs
// are given one after another, each after all effects of the one before it; effects are performed in their order; and
// `store` is on the disk before the effect behind it begins, since all that follows builds on it.
import type { BrokerId, LeaderEpoch, Offset } from '../../protocol/types.ts'

/** When an input is taken, by the monotonic clock, and one throw of the dice for it. */
export interface At {
  readonly nowMs: number
  /** 0 <= chance < 1, fresh for each call. */
  readonly chance: number
}

/** Where a log ends. */
export interface LogEnd {
  readonly logEndOffset: Offset
  /** The epoch of its last record, 0 where it has none. */
  readonly lastEpoch: LeaderEpoch
}

export type Input =
  /** The log is open; all that is in it is synced. */
  | ({ readonly kind: 'started' } & LogEnd)
  | { readonly kind: 'ticked' }
  /** The loop stood still for so long: what others may have said meanwhile is not held against them. */
  | { readonly kind: 'stalled'; readonly forMs: number }
  /** Vote (KIP-595, KIP-996). */
  | {
      readonly kind: 'vote-requested'
      readonly token: number
      readonly candidateId: BrokerId
      readonly epoch: LeaderEpoch
      readonly lastOffset: Offset
      readonly lastOffsetEpoch: LeaderEpoch
      readonly isPreVote: boolean
    }
  | {
      readonly kind: 'vote-answered'
      readonly from: BrokerId
      readonly requestEpoch: LeaderEpoch
      readonly isPreVote: boolean
      readonly epoch: LeaderEpoch
      readonly leaderId: BrokerId
      readonly isGranted: boolean
    }
  /** BeginQuorumEpoch */
  | {
      readonly kind: 'begin-requested'
      readonly token: number
      readonly leaderId: BrokerId
      readonly epoch: LeaderEpoch
    }
  | {
      readonly kind: 'begin-answered'
      readonly from: BrokerId
      readonly epoch: LeaderEpoch
      readonly leaderId: BrokerId
    }
  /** EndQuorumEpoch */
  | {
      readonly kind: 'end-requested'
      readonly token: number
      readonly leaderId: BrokerId
      readonly epoch: LeaderEpoch
      readonly preferredSuccessors: readonly BrokerId[]
    }
  /** Any answer that names an epoch, and its leader or -1. */
  | { readonly kind: 'leader-told'; readonly from: BrokerId; readonly epoch: LeaderEpoch; readonly leaderId: BrokerId }
  /** The leader answered a Fetch or FetchSnapshot. Its high watermark where it found the log up to the fetch offset to be
   * its own; -1 where it told no high watermark, a diverging epoch or a snapshot. */
  | {
      readonly kind: 'fetch-answered'
      readonly from: BrokerId
      readonly epoch: LeaderEpoch
      readonly highWatermark: Offset
    }
  /** Somebody fetches in this epoch, and has synced everything before `from`, which agrees with the own log (no diverging
   * epoch, no snapshot needed). -1: it fetches, but its log does not agree, or it fetches a snapshot. */
  | {
      readonly kind: 'fetched'
      readonly by: BrokerId
      readonly from: Offset
      /** What it says it knows (Fetch v18, KIP-1166), -1 where it does not say. */
      readonly highWatermark: Offset
    }
  /** The own log got records: as the leader from `append`, as a follower from the leader. */
  | ({ readonly kind: 'appended' } & LogEnd)
  | { readonly kind: 'synced'; readonly syncedEndOffset: Offset }
  /** The own log was cut, or begins anew at a snapshot. */
  | ({ readonly kind: 'truncated'; readonly syncedEndOffset: Offset } & LogEnd)
  /** The process of that node is surely gone: nobody listens at its address. */
  | { readonly kind: 'hinted'; readonly leaderId: BrokerId }
  /** The node stops: hands over, and stands no more. */
  | { readonly kind: 'stopping' }
  /** The log failed: leads, votes and stands no more. */
  | { readonly kind: 'failed' }

export type Effect =
  /** Write the quorum-state file and sync it. */
  | { readonly kind: 'store'; readonly epoch: LeaderEpoch; readonly leaderId: BrokerId; readonly votedId: BrokerId }
  | {
      readonly kind: 'reply'
      readonly token: number
      readonly errorCode: number
      readonly epoch: LeaderEpoch
      readonly leaderId: BrokerId
      /** Of Vote only; false elsewhere. */
      readonly isGranted: boolean
    }
  | {
      readonly kind: 'send-vote'
      readonly to: BrokerId
      readonly epoch: LeaderEpoch
      readonly lastOffset: Offset
      readonly lastOffsetEpoch: LeaderEpoch
      readonly isPreVote: boolean
    }
  | { readonly kind: 'send-begin'; readonly to: BrokerId; readonly epoch: LeaderEpoch }
  | {
      readonly kind: 'send-end'
      readonly to: BrokerId
      readonly epoch: LeaderEpoch
      readonly preferredSuccessors: readonly BrokerId[]
    }
  /** Leads now: append this epoch's LeaderChange before anything else. */
  | { readonly kind: 'lead'; readonly epoch: LeaderEpoch; readonly grantingVoters: readonly BrokerId[] }
  /** Fetch from it, in that epoch. */
  | { readonly kind: 'follow'; readonly leaderId: BrokerId; readonly epoch: LeaderEpoch }
  /** No leader is followed: stop fetching, and send nobody a Fetch. The leader is found by votes and BeginQuorumEpoch. */
  | { readonly kind: 'unattached'; readonly epoch: LeaderEpoch }
  /** Leads that epoch no more: append nothing, serve nothing. Comes before `store`, for it needs no promise. */
  | { readonly kind: 'resigned'; readonly epoch: LeaderEpoch }
  /** Everything before it is committed, and synced here or (leader) on a majority. Never goes back. */
  | { readonly kind: 'advance-high-watermark'; readonly to: Offset }
