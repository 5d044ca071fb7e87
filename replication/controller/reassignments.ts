// Moves of replicas (KIP-455, KIP-860; metadata/.../ReplicationControlManager.java, alterPartitionReassignments). A move
// lives in the partition itself: new replicas are added to the list at once and named as adding, old ones stay and are
// named as removing, until all that shall stay are in sync; then one record drops the old ones (election.ts). So there
// is nothing to lose when a controller dies, and taking a move back is one more change.
import { ErrorCode } from '../../protocol/errors.ts'
import type { alterPartitionReassignments } from '../../protocol/messages/alter-partition-reassignments.ts'
import type { listPartitionReassignments } from '../../protocol/messages/list-partition-reassignments.ts'
import type { RequestOf, ResponseDraft } from '../../protocol/schema.ts'
import type { BrokerId } from '../../protocol/types.ts'
import type { MetadataImage, Topic } from '../metadata/image.ts'
import type { Partition } from '../metadata/partition.ts'
import { RECOVERING } from '../metadata/partition.ts'
import type { MetadataRecord } from '../metadata/records.ts'
import { type Decision, DONE, isElrEnabled, type Outcome, RECORDS_MAX, type Rules, refused } from './decision.ts'
import { isReassigning, type Wish } from './election.ts'
import { partitionChange } from './partition-change.ts'
import { replicasFault } from './placement.ts'

type AlterRequest = RequestOf<typeof alterPartitionReassignments>
type ListRequest = RequestOf<typeof listPartitionReassignments>

export function decideAlterPartitionReassignments(
  image: MetadataImage,
  request: Pick<AlterRequest, 'topics' | 'allowReplicationFactorChange'>,
  rules: Rules
): Decision<ResponseDraft<typeof alterPartitionReassignments>> {
  const { allowReplicationFactorChange } = request
  const records: MetadataRecord[] = []
  const seen = new Set<string>()
  const responses = request.topics.map(({ name, partitions }) => ({
    name,
    partitions: partitions.map(({ partitionIndex, replicas }) => {
      const key = `${name} ${partitionIndex}`
      const outcome = seen.has(key)
        ? refused(ErrorCode.INVALID_REQUEST, 'Duplicate partition.')
        : reassignOne(image, name, partitionIndex, replicas, allowReplicationFactorChange, records, rules)
      seen.add(key)
      return { partitionIndex, ...outcome }
    })
  }))
  return { records, reply: { allowReplicationFactorChange, responses } }
}

function reassignOne(
  image: MetadataImage,
  name: string,
  partitionId: number,
  target: readonly BrokerId[] | null,
  allowReplicationFactorChange: boolean,
  records: MetadataRecord[],
  rules: Rules
): Outcome {
  const topic = image.topicsByName.get(name)
  const unknown = (message: string) => refused(ErrorCode.UNKNOWN_TOPIC_OR_PARTITION, message)
  if (!topic) return unknown(`Unable to find a topic named ${name}.`)
  const partition = topic.partitions[partitionId]
  if (!partition) return unknown(`Unable to find partition ${name}:${partitionId}.`)
  if (records.length >= RECORDS_MAX) {
    return refused(ErrorCode.POLICY_VIOLATION, 'Excessively large number of partitions per request.')
  }
  const wish =
    target === null
      ? cancelled(image, topic, partitionId, partition, rules)
      : moved(image, partition, target, allowReplicationFactorChange)
  if ('errorCode' in wish) return wish
  const record = partitionChange(image, topic, partitionId, wish, rules)
  if (record) records.push(record)
  return DONE
}

/** The replicas wanted come first, in the order wanted; those that shall go stay behind them for now. */
function moved(
  image: MetadataImage,
  partition: Partition,
  target: readonly BrokerId[],
  allowReplicationFactorChange: boolean
): Outcome | Wish {
  const fault = replicasFault(image.brokers, target)
  if (fault !== null) return refused(ErrorCode.INVALID_REPLICA_ASSIGNMENT, fault)
  if (!allowReplicationFactorChange) {
    // Where a move ends that is under way already.
    const present = partition.replicas.filter(id => !partition.removingReplicas.includes(id)).length
    if (present !== target.length) {
      const message = `The replication factor is changed from ${present} to ${target.length}`
      return refused(ErrorCode.INVALID_REPLICATION_FACTOR, message)
    }
  }
  const original = withoutAdding(partition)
  const ascending = (left: BrokerId, right: BrokerId) => left - right
  // One that was being added, and shall not be any more, is both: it goes whether the move ends or is taken back.
  const addingReplicas = [...new Set([...target, ...partition.replicas])]
    .filter(id => !original.includes(id))
    .sort(ascending)
  const removingReplicas = partition.replicas.filter(id => !target.includes(id)).sort(ascending)
  // A preference for another order never costs records, so it never needs an unclean election.
  return { election: 'online', replicas: [...target, ...removingReplicas], addingReplicas, removingReplicas }
}

/** As it was before (PartitionReassignmentRevert.java). */
function cancelled(
  image: MetadataImage,
  topic: Topic,
  partitionId: number,
  partition: Partition,
  rules: Rules
): Outcome | Wish {
  if (!isReassigning(partition)) return refused(ErrorCode.NO_REASSIGNMENT_IN_PROGRESS)
  const replicas = withoutAdding(partition)
  const [first] = replicas
  if (first === undefined) {
    return refused(
      ErrorCode.INVALID_REPLICA_ASSIGNMENT,
      'Invalid replica assignment: addingReplicas contains all replicas.'
    )
  }
  const wish = { replicas, addingReplicas: [], removingReplicas: [] }
  const isr = partition.isr.filter(id => replicas.includes(id))
  if (isr.length > 0) return { ...wish, isr }
  // Only new replicas are in sync: going back means to lead from one that may lack records.
  if (!rules.mayElectUnclean(image.configs(2, topic.name))) {
    const message = `Unable to revert partition assignment for ${topic.name}:${partitionId} because it would require an unclean leader election.`
    return refused(ErrorCode.INVALID_REPLICA_ASSIGNMENT, message)
  }
  // Without eligible replicas somebody has to be named (PartitionReassignmentRevert.java): the first, whatever it has.
  return isElrEnabled(image) ? { ...wish, isr: [] } : { ...wish, isr: [first], leaderRecoveryState: RECOVERING }
}

function withoutAdding({ replicas, addingReplicas }: Partition): BrokerId[] {
  return replicas.filter(id => !addingReplicas.includes(id))
}

/** The moves under way: of all topics, or of the partitions named; what is not moving is left out. */
export function decideListPartitionReassignments(
  image: MetadataImage,
  { topics }: Pick<ListRequest, 'topics'>
): Decision<ResponseDraft<typeof listPartitionReassignments>> {
  const asked =
    topics ??
    [...image.topicsByName.values()].map(({ name, partitions }) => ({ name, partitionIndexes: [...partitions.keys()] }))
  const listed = asked.flatMap(({ name, partitionIndexes }) => {
    const all = image.topicsByName.get(name)?.partitions ?? []
    const partitions = partitionIndexes.flatMap(partitionIndex => {
      const partition = all[partitionIndex]
      if (!partition || !isReassigning(partition)) return []
      const { replicas, addingReplicas, removingReplicas } = partition
      return [{ partitionIndex, replicas, addingReplicas, removingReplicas }]
    })
    return partitions.length > 0 ? [{ name, partitions }] : []
  })
  return { records: [], reply: { topics: listed } }
}
