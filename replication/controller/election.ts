// Who leads a partition after something changed, and who counts as in sync or as eligible (KIP-966, eligible leader
// replicas; metadata/.../PartitionChangeBuilder.java). Pure: a partition and a wish in, the fields of one
// PartitionChangeRecord out, or null where nothing changes. Only a clean choice is made unless the topic allows more.
import type { BrokerId, Uuid } from '../../protocol/types.ts'
import { NO_LEADER, NO_LEADER_CHANGE, type Partition, RECOVERED, RECOVERING } from '../metadata/partition.ts'

/** preferred: the first replica if it can; online: keep the leader if it can; unclean: rather lose records than wait. */
export type Election = 'preferred' | 'online' | 'unclean'

export interface Wish {
  /** The in-sync set wanted; left out, it stays, and so with the others. */
  readonly isr?: readonly BrokerId[]
  readonly replicas?: readonly BrokerId[]
  readonly addingReplicas?: readonly BrokerId[]
  readonly removingReplicas?: readonly BrokerId[]
  /** Brokers that may have lost acknowledged records: neither in sync nor eligible any more. */
  readonly uncleanReplicas?: readonly BrokerId[]
  /** Brokers whose copy is gone while others have one: not to lead for having led last. */
  readonly emptyReplicas?: readonly BrokerId[]
  readonly election?: Election
  readonly leaderRecoveryState?: number
  /** Where replicas are kept from now on. */
  readonly directories?: ReadonlyMap<BrokerId, Uuid>
}

export interface Circumstances {
  /** Registered, unfenced and not shutting down, with the partition's directory online. */
  readonly mayLead: (brokerId: BrokerId) => boolean
  /** min.insync.replicas; no more counts than there are replicas. */
  readonly minIsr: number
  /** eligible.leader.replicas.version is 1. */
  readonly elrEnabled: boolean
  /** Where a broker keeps a new replica; null where records do not say so (before KIP-858). */
  readonly directoryOf: ((brokerId: BrokerId) => Uuid) | null
}

/** The fields of a PartitionChangeRecord that differ from "no change". */
export interface PartitionChange {
  isr?: readonly BrokerId[]
  leader?: BrokerId
  replicas?: readonly BrokerId[]
  addingReplicas?: readonly BrokerId[]
  removingReplicas?: readonly BrokerId[]
  directories?: readonly Uuid[]
  leaderRecoveryState?: number
  eligibleLeaderReplicas?: readonly BrokerId[]
  lastKnownElr?: readonly BrokerId[]
}

/** Who has a copy, who of them is in sync, and where a move of replicas stands. */
type Assignment = Pick<Partition, 'isr' | 'replicas' | 'addingReplicas' | 'removingReplicas'>

interface Elected {
  readonly leader: BrokerId
  readonly unclean: boolean
}

export function changePartition(partition: Partition, wish: Wish, now: Circumstances): PartitionChange | null {
  const change: PartitionChange = {}
  const target = completed({
    isr: wish.isr ?? partition.isr,
    replicas: wish.replicas ?? partition.replicas,
    addingReplicas: wish.addingReplicas ?? partition.addingReplicas,
    removingReplicas: wish.removingReplicas ?? partition.removingReplicas
  })
  let { isr } = target
  let elr = eligible(partition, target, wish, now)

  const elected = elect(partition, target, elr, wish.election ?? 'online', now)
  if (elected.leader !== partition.leader) {
    change.leader = elected.leader
    if (elr.includes(elected.leader)) {
      isr = [elected.leader]
      // Where it may commit alone (the minimum was lowered meanwhile), the others are not complete for long.
      elr = mayCommit({ ...target, isr }, now) ? [] : elr.filter(id => id !== elected.leader)
    }
    if (elected.unclean) {
      change.isr = [elected.leader]
      elr = []
      if (partition.leaderRecoveryState !== RECOVERING) change.leaderRecoveryState = RECOVERING
    }
  } else if (partition.replicas.some(id => !target.replicas.includes(id))) {
    // Who is not a replica any more shall not be taken for one: a new epoch tells the others apart.
    change.leader = partition.leader
  }
  if (!now.elrEnabled) elr = []
  if (!same(elr, partition.elr)) change.eligibleLeaderReplicas = elr
  // Without eligible replicas, the last broker in sync stays so: its name is all that says who may lead again.
  if (change.isr === undefined && (isr.length > 0 || now.elrEnabled) && !same(isr, partition.isr)) change.isr = isr
  noteLastKnownLeader(partition, wish, change, now)
  noteAssignment(partition, target, wish, change, now)
  if (wish.leaderRecoveryState !== undefined && wish.leaderRecoveryState !== partition.leaderRecoveryState) {
    change.leaderRecoveryState = wish.leaderRecoveryState
  }
  return Object.keys(change).length === 0 ? null : change
}

/** Whether replicas are being moved. */
export function isReassigning({
  addingReplicas,
  removingReplicas
}: Pick<Partition, 'addingReplicas' | 'removingReplicas'>) {
  return addingReplicas.length > 0 || removingReplicas.length > 0
}

/** A move ends once all that shall stay are in sync: those that shall go are dropped (PartitionReassignmentReplicas.java). */
function completed(target: Assignment): Assignment {
  if (!isReassigning(target)) return target
  const stays = (id: BrokerId): boolean => !target.removingReplicas.includes(id)
  const isr = target.isr.filter(stays)
  const replicas = target.replicas.filter(stays)
  if (replicas.length === 0 || !replicas.every(id => isr.includes(id))) return target
  return { isr, replicas, addingReplicas: [], removingReplicas: [] }
}

/** Whether those in sync are enough: whoever is not among them falls behind what is committed. */
function mayCommit({ isr, replicas }: Pick<Assignment, 'isr' | 'replicas'>, { minIsr }: Circumstances): boolean {
  return isr.length >= Math.min(minIsr, replicas.length)
}

/** Members that left the in-sync set below min ISR have everything committed, since nothing was committed after. */
function eligible(
  partition: Partition,
  { isr, replicas }: Assignment,
  wish: Wish,
  now: Circumstances
): readonly BrokerId[] {
  if (!now.elrEnabled) return partition.elr
  if (mayCommit({ isr, replicas }, now)) return []
  const candidates = new Set([...partition.elr, ...partition.isr])
  // Who has no copy any more would come back with an old one.
  return [...candidates].filter(id => replicas.includes(id) && !isr.includes(id) && !wish.uncleanReplicas?.includes(id))
}

function elect(
  { leader, lastKnownElr }: Partition,
  { isr, replicas }: Assignment,
  elr: readonly BrokerId[],
  election: Election,
  { mayLead, elrEnabled }: Circumstances
): Elected {
  const isClean = (id: BrokerId): boolean => (isr.includes(id) || (isr.length === 0 && elr.includes(id))) && mayLead(id)
  const order = election === 'preferred' ? [replicas[0] as BrokerId, leader, ...replicas] : [leader, ...replicas]
  const clean = order.find(isClean)
  if (clean !== undefined) return { leader: clean, unclean: false }
  // Everyone lost the proof of being complete: the one that led last is the best guess, once it is back.
  const last = lastKnownElr[0]
  if (elrEnabled && isr.length === 0 && elr.length === 0 && lastKnownElr.length === 1 && last !== undefined) {
    if (replicas.includes(last) && mayLead(last)) return { leader: last, unclean: true }
  }
  const any = election === 'unclean' ? replicas.find(mayLead) : undefined
  return any === undefined ? { leader: NO_LEADER, unclean: false } : { leader: any, unclean: true }
}

/** When the in-sync set empties, the leader's name is kept until there is a leader again, or its copy is gone. */
function noteLastKnownLeader(
  partition: Partition,
  { emptyReplicas }: Wish,
  change: PartitionChange,
  { elrEnabled }: Circumstances
): void {
  if (!elrEnabled) return
  const leader = change.leader ?? NO_LEADER_CHANGE
  let { lastKnownElr: last } = partition
  if (change.isr?.length === 0 && partition.leader !== NO_LEADER) last = [partition.leader]
  else if (leader >= 0 || (partition.leader !== NO_LEADER && leader !== NO_LEADER)) last = []
  last = last.filter(id => !emptyReplicas?.includes(id))
  if (!same(last, partition.lastKnownElr)) change.lastKnownElr = last
}

function noteAssignment(
  partition: Partition,
  { replicas, addingReplicas, removingReplicas }: Assignment,
  wish: Wish,
  change: PartitionChange,
  { directoryOf }: Circumstances
): void {
  if (directoryOf) {
    const known = (id: BrokerId): Uuid | undefined => partition.directories[partition.replicas.indexOf(id)]
    const directories = replicas.map(id => wish.directories?.get(id) ?? known(id) ?? directoryOf(id))
    if (!same(directories, partition.directories)) change.directories = directories
  }
  if (!same(replicas, partition.replicas)) change.replicas = replicas
  if (!same(addingReplicas, partition.addingReplicas)) change.addingReplicas = addingReplicas
  if (!same(removingReplicas, partition.removingReplicas)) change.removingReplicas = removingReplicas
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

function same<T>(left: readonly T[], right: readonly T[]): boolean {
  return left.length === right.length && left.every((id, index) => id === right[index])
}
