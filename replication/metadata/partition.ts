// One partition as the metadata records describe it (metadata/.../PartitionRegistration.java). Values never change:
// a change record makes a new one, so that whoever holds one sees one moment of it.
import { MoldauError } from '../../protocol/failure.ts'
import { type BrokerId, type LeaderEpoch, type Uuid, ZERO_UUID } from '../../protocol/types.ts'
import type { RecordOfType } from './records.ts'

/** Leader of a partition that has none. */
export const NO_LEADER: BrokerId = -1
/** In a PartitionChangeRecord: the leader stays, and so does the leader epoch. */
export const NO_LEADER_CHANGE = -2

/** LeaderRecoveryState.java: whether the leader was elected without being in sync, and has not yet checked its log. */
export const RECOVERED = 0
export const RECOVERING = 1
const NO_RECOVERY_CHANGE = -1

export interface Partition {
  readonly replicas: readonly BrokerId[]
  /** The log directory of each replica, in the order of `replicas`. */
  readonly directories: readonly Uuid[]
  readonly isr: readonly BrokerId[]
  readonly removingReplicas: readonly BrokerId[]
  readonly addingReplicas: readonly BrokerId[]
  readonly leader: BrokerId
  readonly leaderRecoveryState: number
  readonly leaderEpoch: LeaderEpoch
  readonly partitionEpoch: number
  /** Eligible leader replicas: left the in-sync set below min ISR, so they have everything committed (KIP-966). */
  readonly elr: readonly BrokerId[]
  readonly lastKnownElr: readonly BrokerId[]
}

/** DirectoryId.java: the 128-bit numbers 1 and 2. The first hundred are reserved; nobody makes such ids by chance. */
export const UNASSIGNED_DIRECTORY: Uuid = 'AAAAAAAAAAAAAAAAAAAAAQ'
export const LOST_DIRECTORY: Uuid = 'AAAAAAAAAAAAAAAAAAAAAg'

/** Whether that broker, which has `logDirs`, can have its copy: nobody knows of it to be elsewhere (DirectoryId.isOnline). */
export function isDirectoryOnline(partition: Partition, brokerId: BrokerId, logDirs: readonly Uuid[]): boolean {
  const directory = partition.directories[partition.replicas.indexOf(brokerId)] ?? UNASSIGNED_DIRECTORY
  if (directory === LOST_DIRECTORY) return false
  const isUnknown = directory === UNASSIGNED_DIRECTORY || directory === ZERO_UUID || logDirs.length === 0
  return isUnknown || logDirs.includes(directory)
}

/** Shared, since most partitions have four empty lists. */
const NOBODY: readonly BrokerId[] = []

/** Shared, since ten thousand partitions have a handful of lists between them: the list that was seen last by these ids or
 *  directories. A few thousand are kept, then all are forgotten: it saves memory, nothing depends on it. */
const LISTS_MAX = 4096
const lists = new Map<BrokerId | string, readonly unknown[]>()

function sharedList<T extends BrokerId | Uuid>(list: readonly T[]): readonly T[] {
  // No id of a broker equals the id of a directory, and no list of several either.
  const key = list.length === 1 ? (list[0] as T) : `${typeof list[0]} ${list.join(' ')}`
  const known = lists.get(key)
  if (known !== undefined) return known as readonly T[]
  if (lists.size >= LISTS_MAX) lists.clear()
  lists.set(key, list)
  return list
}

export function partitionOf(record: RecordOfType<'PartitionRecord'>): Partition {
  return {
    replicas: sharedList(record.replicas),
    directories: sharedList(directoriesFor(record.replicas, record.directories)),
    isr: sharedList(record.isr),
    removingReplicas: shared(record.removingReplicas),
    addingReplicas: shared(record.addingReplicas),
    leader: record.leader,
    leaderRecoveryState: record.leaderRecoveryState,
    leaderEpoch: record.leaderEpoch,
    partitionEpoch: record.partitionEpoch,
    elr: shared(record.eligibleLeaderReplicas),
    lastKnownElr: shared(record.lastKnownElr)
  }
}

/** The partition after the change: the partition epoch always grows, the leader epoch when a leader is named. */
export function changed(partition: Partition, record: RecordOfType<'PartitionChangeRecord'>): Partition {
  const replicas = record.replicas ? sharedList(record.replicas) : partition.replicas
  const names = record.leader !== NO_LEADER_CHANGE
  return {
    replicas,
    directories: record.directories
      ? sharedList(directoriesFor(replicas, record.directories))
      : keptDirectories(partition, replicas),
    isr: record.isr ? sharedList(record.isr) : partition.isr,
    removingReplicas: shared(record.removingReplicas ?? partition.removingReplicas),
    addingReplicas: shared(record.addingReplicas ?? partition.addingReplicas),
    leader: names ? record.leader : partition.leader,
    leaderRecoveryState:
      record.leaderRecoveryState === NO_RECOVERY_CHANGE ? partition.leaderRecoveryState : record.leaderRecoveryState,
    leaderEpoch: partition.leaderEpoch + (names ? 1 : 0),
    partitionEpoch: partition.partitionEpoch + 1,
    elr: shared(record.eligibleLeaderReplicas ?? partition.elr),
    lastKnownElr: shared(record.lastKnownElr ?? partition.lastKnownElr)
  }
}

/** What ClearElrRecord does to a partition; null where there is nothing to clear (ReplicationControlManager.java). */
export function withoutElr(partition: Partition): Partition | null {
  if (partition.elr.length === 0 && partition.lastKnownElr.length === 0) return null
  return { ...partition, elr: NOBODY, lastKnownElr: NOBODY, partitionEpoch: partition.partitionEpoch + 1 }
}

/** The fields of the PartitionRecord that a snapshot keeps of it. */
export function recordFieldsOf(topicId: Uuid, partitionId: number, partition: Partition) {
  const { elr, lastKnownElr } = partition
  return {
    topicId,
    partitionId,
    // One by one: what is left of a rest costs ten times as much, for ten thousand partitions at once.
    replicas: partition.replicas,
    directories: partition.directories,
    isr: partition.isr,
    removingReplicas: partition.removingReplicas,
    addingReplicas: partition.addingReplicas,
    leader: partition.leader,
    leaderRecoveryState: partition.leaderRecoveryState,
    leaderEpoch: partition.leaderEpoch,
    partitionEpoch: partition.partitionEpoch,
    eligibleLeaderReplicas: elr.length > 0 ? elr : null,
    lastKnownElr: lastKnownElr.length > 0 ? lastKnownElr : null
  }
}

/** Records from before directory assignment (KIP-858) name none: every replica's directory is then unknown. */
function directoriesFor(replicas: readonly BrokerId[], directories: readonly Uuid[]): readonly Uuid[] {
  if (directories.length === replicas.length) return directories
  if (directories.length > 0) {
    throw new MoldauError('ERR_LOG_CORRUPT', `${directories.length} directories for ${replicas.length} replicas`)
  }
  return replicas.map(() => ZERO_UUID)
}

/** Other replicas without word of directories, as older records have it. */
function keptDirectories(partition: Partition, replicas: readonly BrokerId[]): readonly Uuid[] {
  if (replicas === partition.replicas) return partition.directories
  return replicas.map(id => partition.directories[partition.replicas.indexOf(id)] ?? ZERO_UUID)
}

function shared(list: readonly BrokerId[] | null): readonly BrokerId[] {
  return list === null || list.length === 0 ? NOBODY : sharedList(list)
}
