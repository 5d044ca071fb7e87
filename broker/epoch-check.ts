// A client that names the leader epoch it knows is told when it, or this broker, is behind (KIP-320).
import { ErrorCode } from '../protocol/errors.ts'
import type { LeaderEpoch } from '../protocol/types.ts'
import type { Located } from './partitions.ts'

const NO_EPOCH = -1

/** `claimed` is -1 where the client knows none. */
function epochError(claimed: LeaderEpoch, leaderEpoch: LeaderEpoch): number {
  if (claimed === NO_EPOCH || claimed === leaderEpoch) return ErrorCode.NONE
  return claimed < leaderEpoch ? ErrorCode.FENCED_LEADER_EPOCH : ErrorCode.UNKNOWN_LEADER_EPOCH
}

/** Why a client that claims that epoch is not served, NONE where it is. Its epoch is looked at first, whether this broker
 *  leads or not (Partition.scala, getLocalLog). */
export function refusalOf(claimed: LeaderEpoch, { errorCode, leaderEpoch }: Located): number {
  if (errorCode !== ErrorCode.NONE && errorCode !== ErrorCode.NOT_LEADER_OR_FOLLOWER) return errorCode
  return epochError(claimed, leaderEpoch) || errorCode
}
