// The follower's side of one partition: what to ask the leader for, and what to do with its answer. Pure: inputs in,
// effects out; broker/following.ts performs the effects on the log. What must hold: the offset asked for is the synced
// end, so that the leader may count on it; records go only where leader and follower agree, by epochs and never by the
// high watermark (KIP-101, KIP-279, KIP-595); the high watermark never passes the log's end.
import type { BrokerId, LeaderEpoch, Offset } from '../protocol/types.ts'

/** What a fetch says of the partition. The answer counts only while all of it still holds. */
export interface FetchAsk {
  readonly leaderEpoch: LeaderEpoch
  readonly fetchOffset: Offset
  /** Epoch of the last record, -1 where there is none: what the leader finds a divergence by. */
  readonly lastFetchedEpoch: LeaderEpoch
  readonly logStartOffset: Offset
  readonly highWatermark: Offset
}

/** fetching: a fetch may go out. appending, cutting, locating: until the log or the leader has answered. offline: the
 *  log failed, and this replica does nothing more in this reign. */
export type FollowerStatus = 'fetching' | 'appending' | 'cutting' | 'locating' | 'offline'

export interface Follower {
  readonly leaderId: BrokerId
  readonly leaderEpoch: LeaderEpoch
  status: FollowerStatus
  logStartOffset: Offset
  logEndOffset: Offset
  syncedEndOffset: Offset
  lastEpoch: LeaderEpoch
  highWatermark: Offset
  /** As the leader last said. */
  leaderHighWatermark: Offset
  leaderLogStartOffset: Offset
  /** Answers in a row that brought nothing on: each waits longer than the one before. */
  failures: number
}

/** How the log is, after what was asked of it. */
export interface LogState {
  readonly logStartOffset: Offset
  readonly logEndOffset: Offset
  readonly syncedEndOffset: Offset
  readonly lastEpoch: LeaderEpoch
}

export interface Following extends LogState {
  readonly leaderId: BrokerId
  readonly leaderEpoch: LeaderEpoch
  readonly highWatermark: Offset
}
