// What the committed metadata makes of this broker in one partition.
import type { BrokerId, LeaderEpoch } from '../protocol/types.ts'
import type { MetadataImage } from '../replication/metadata/image.ts'
import { type Partition, RECOVERING } from '../replication/metadata/partition.ts'

/** What the committed metadata says of a partition that this broker leads. */
export interface LeaderRole {
  readonly leaderEpoch: LeaderEpoch
  readonly partitionEpoch: number
  readonly replicas: readonly number[]
  readonly isr: readonly number[]
  readonly eligible: ReadonlyMap<number, number>
  readonly replicaLagTimeMaxMs: number
  /** Elected without being in sync (LeaderRecoveryState). */
  readonly isRecovering?: boolean
}

/** What the committed metadata says of a partition that this broker follows. */
export interface FollowerRole {
  readonly leaderId: BrokerId
  readonly leaderEpoch: LeaderEpoch
}

export function leaderRole(registered: Partition, image: MetadataImage, replicaLagTimeMaxMs: number): LeaderRole {
  const { leaderEpoch, partitionEpoch, replicas, isr, leaderRecoveryState } = registered
  const isRecovering = leaderRecoveryState === RECOVERING
  const eligible = eligibleBrokers(image)
  return { leaderEpoch, partitionEpoch, replicas, isr, eligible, replicaLagTimeMaxMs, isRecovering }
}

/** Of each image the last answer, shared by all partitions that it was given to. */
const given = new WeakMap<MetadataImage, ReadonlyMap<number, number>>()

/** Broker epochs of the brokers that may be in sync: registered, not fenced, not stopping (KIP-903). */
export function eligibleBrokers(image: MetadataImage): ReadonlyMap<number, number> {
  const eligible = new Map<number, number>()
  for (const broker of image.brokers.values()) {
    if (!broker.fenced && !broker.inControlledShutdown) eligible.set(broker.brokerId, broker.brokerEpoch)
  }
  const before = given.get(image)
  if (before?.size === eligible.size && [...eligible].every(([id, epoch]) => before.get(id) === epoch)) return before
  given.set(image, eligible)
  return eligible
}
