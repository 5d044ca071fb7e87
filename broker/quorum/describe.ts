// DescribeQuorum's replicas, as the leader knows them (raft/.../LeaderState.java, KIP-836). The quorum keeps times by the
// monotonic clock; people are told the time of day.
import type { BrokerId, Offset, TimestampMs } from '../../protocol/types.ts'
import { OBSERVER_SESSION_MS } from '../../replication/quorum/leader.ts'
import type { Quorum, Replica } from '../../replication/quorum/state.ts'
import type { Clock } from '../clock.ts'

export interface ReplicaView {
  readonly replicaId: BrokerId
  readonly logEndOffset: Offset
  /** -1: never. */
  readonly lastFetchTimestamp: TimestampMs
  readonly lastCaughtUpTimestamp: TimestampMs
}

/** Null where this node does not lead. */
export function describeReplicas(
  { nodeId, role, voters }: Quorum,
  logEndOffset: Offset,
  clock: Pick<Clock, 'nowMs' | 'monotonicMs'>
): { readonly currentVoters: ReplicaView[]; readonly observers: ReplicaView[] } | null {
  if (role.kind !== 'leader') return null
  const nowMs = clock.nowMs()
  const monotonicMs = clock.monotonicMs()
  const at = (ms: number): TimestampMs => (ms < 0 ? -1 : Math.round(nowMs - (monotonicMs - ms)))
  const view = (replicaId: BrokerId, { logEndOffset, lastFetchMs, lastCaughtUpMs }: Replica): ReplicaView => ({
    replicaId,
    logEndOffset,
    lastFetchTimestamp: at(lastFetchMs),
    lastCaughtUpTimestamp: at(lastCaughtUpMs)
  })
  // The leader is never behind itself.
  const self = { replicaId: nodeId, logEndOffset, lastFetchTimestamp: nowMs, lastCaughtUpTimestamp: nowMs }
  const currentVoters = voters.flatMap(id => {
    const replica = role.replicas.get(id)
    if (id === nodeId) return [self]
    return replica ? [view(id, replica)] : []
  })
  const observers = [...role.replicas]
    .filter(([id, { lastFetchMs }]) => !voters.includes(id) && monotonicMs - lastFetchMs < OBSERVER_SESSION_MS)
    .map(([id, replica]) => view(id, replica))
  return { currentVoters, observers }
}
