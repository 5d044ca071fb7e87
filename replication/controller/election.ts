// Who leads a partition after something changed, and who counts as in sync or as eligible (KIP-966, eligible leader
// replicas; metadata/.../PartitionChangeBuilder.java). Pure: a partition and a wish in, the fields of one
// PartitionChangeRecord out, or null where nothing changes. Only a clean choice is made unless the topic allows more.
import type { BrokerId } from '../../protocol/types.ts'
import { NO_LEADER, NO_LEADER_CHANGE, type Partition, RECOVERED, RECOVERING } from '../metadata/partition.ts'

/** preferred: the first replica if it can; online: keep the leader if it can; unclean: rather lose records than wait. */
export type Election = 'preferred' | 'online' | 'unclean'

export interface Wish {
  /** The in-sync set wanted; left out, it stays. */
  readonly isr?: readonly BrokerId[]
  /** Brokers that may have lost acknowledged records: neither in sync nor eligible any more. */
  readonly uncleanReplicas?: readonly BrokerId[]
  readonly election?: Election
  readonly leaderRecoveryState?: number
}

export interface Circumstances {
  /** Registered, unfenced and not shutting down, with the partition's directory online. */
  readonly mayLead: (brokerId: BrokerId) => boolean
  /** min.insync.replicas, at most the number of replicas. */
  readonly minIsr: number
  /** eligible.leader.replicas.version is 1. */
  readonly elrEnabled: boolean
}

/** The fields of a PartitionChangeRecord that differ from "no change". */
export interface PartitionChange {
  isr?: readonly BrokerId[]
  leader?: BrokerId
  leaderRecoveryState?: number
  eligibleLeaderReplicas?: readonly BrokerId[]
  lastKnownElr?: readonly BrokerId[]
}

interface Elected {
  readonly leader: BrokerId
  readonly unclean: boolean
}

export function changePartition(partition: Partition, wish: Wish, now: Circumstances): PartitionChange | null {
  const change: PartitionChange = {}
  let isr = wish.isr ?? partition.isr
  let elr = eligible(partition, isr, wish, now)

  const elected = elect(partition, isr, elr, wish.election ?? 'online', now)
  if (elected.leader !== partition.leader) {
    change.leader = elected.leader
    if (elr.includes(elected.leader)) {
      isr = [elected.leader]
      elr = elr.filter(id => id !== elected.leader)
    }
    if (elected.unclean) {
      change.isr = [elected.leader]
      elr = []
      if (partition.leaderRecoveryState !== RECOVERING) change.leaderRecoveryState = RECOVERING
    }
  }
  if (!same(elr, partition.elr)) change.eligibleLeaderReplicas = elr
  // Without eligible replicas, the last broker in sync stays so: its name is all that says who may lead again.
  if (change.isr === undefined && (isr.length > 0 || now.elrEnabled) && !same(isr, partition.isr)) change.isr = isr
  noteLastKnownLeader(partition, change, now)
  if (wish.leaderRecoveryState !== undefined && wish.leaderRecoveryState !== partition.leaderRecoveryState) {
    change.leaderRecoveryState = wish.leaderRecoveryState
  }
  return Object.keys(change).length === 0 ? null : change
}

/** Members that left the in-sync set below min ISR have everything committed, since nothing was committed after. */
function eligible(
  partition: Partition,
  isr: readonly BrokerId[],
  wish: Wish,
  { elrEnabled, minIsr }: Circumstances
): readonly BrokerId[] {
  if (!elrEnabled) return partition.elr
  if (isr.length >= minIsr) return []
  const candidates = new Set([...partition.elr, ...partition.isr])
  return [...candidates].filter(id => !isr.includes(id) && !wish.uncleanReplicas?.includes(id))
}

function elect(
  partition: Partition,
  isr: readonly BrokerId[],
  elr: readonly BrokerId[],
  election: Election,
  { mayLead, elrEnabled }: Circumstances
): Elected {
  const isClean = (id: BrokerId): boolean => (isr.includes(id) || (isr.length === 0 && elr.includes(id))) && mayLead(id)
  const { replicas, leader, lastKnownElr } = partition
  const order = election === 'preferred' ? [replicas[0] as BrokerId, leader, ...replicas] : [leader, ...replicas]
  const clean = order.find(isClean)
  if (clean !== undefined) return { leader: clean, unclean: false }
  // Everyone lost the proof of being complete: the one that led last is the best guess, once it is back.
  const last = lastKnownElr[0]
  if (elrEnabled && isr.length === 0 && elr.length === 0 && lastKnownElr.length === 1 && last !== undefined) {
    if (mayLead(last)) return { leader: last, unclean: true }
  }
  const any = election === 'unclean' ? replicas.find(mayLead) : undefined
  return any === undefined ? { leader: NO_LEADER, unclean: false } : { leader: any, unclean: true }
}

/** When the in-sync set empties, the leader's name is kept until there is a leader again. */
function noteLastKnownLeader(partition: Partition, change: PartitionChange, { elrEnabled }: Circumstances): void {
  if (!elrEnabled) return
  const leader = change.leader ?? NO_LEADER_CHANGE
  const { lastKnownElr } = partition
  if (change.isr?.length === 0 && partition.leader !== NO_LEADER && !same(lastKnownElr, [partition.leader])) {
    change.lastKnownElr = [partition.leader]
  } else if (lastKnownElr.length > 0 && (leader >= 0 || (partition.leader !== NO_LEADER && leader !== NO_LEADER))) {
    change.lastKnownElr = []
  }
}

/** A new partition: led by the first of its replicas that can. */
export function newPartition(
  replicas: readonly BrokerId[],
  isr: readonly BrokerId[],
  directories: readonly string[]
): Partition {
  return {
    replicas,
    directories,
    isr,
    removingReplicas: [],
    addingReplicas: [],
    leader: isr[0] as BrokerId,
    leaderRecoveryState: RECOVERED,
    leaderEpoch: 0,
    partitionEpoch: 0,
    elr: [],
    lastKnownElr: []
  }
}

function same(left: readonly BrokerId[], right: readonly BrokerId[]): boolean {
  return left.length === right.length && left.every((id, index) => id === right[index])
}
