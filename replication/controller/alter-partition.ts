// AlterPartition: a leader asks for another in-sync set, or says that it has recovered (KIP-497, KIP-903, KIP-704;
// metadata/.../ReplicationControlManager.java, alterPartition). Only the leader of the present epoch may ask, only from
// what it last saw, and only for replicas that live in the life in which it heard them. An in-sync set that holds all
// that a reassignment wants completes it, which may take the leadership away from the one that asked.
import { ErrorCode } from '../../protocol/errors.ts'
import type { alterPartition } from '../../protocol/messages/alter-partition.ts'
import type { RequestOf, ResponseDraft } from '../../protocol/schema.ts'
import type { BrokerId } from '../../protocol/types.ts'
import type { MetadataImage, Topic } from '../metadata/image.ts'
import { changed, type Partition, RECOVERED, RECOVERING } from '../metadata/partition.ts'
import type { MetadataRecord } from '../metadata/records.ts'
import { brokerEpochFault, type Decision, isActive, type Rules } from './decision.ts'
import { partitionChange } from './partition-change.ts'

type Request = RequestOf<typeof alterPartition>
type Asked = Request['topics'][number]['partitions'][number]
type TopicAnswer = NonNullable<ResponseDraft<typeof alterPartition>['topics']>[number]
type Answer = NonNullable<TopicAnswer['partitions']>[number]

export function decideAlterPartition(
  image: MetadataImage,
  request: Request,
  rules: Rules
): Decision<ResponseDraft<typeof alterPartition>> {
  const stale = brokerEpochFault(image, request.brokerId, request.brokerEpoch)
  if (stale) return { records: [], reply: { errorCode: stale.errorCode } }
  const records: MetadataRecord[] = []
  const seen = new Set<string>()
  const topics = request.topics.map(({ topicId, partitions }): TopicAnswer => {
    const topic = image.topicsById.get(topicId)
    const answers = partitions.map((asked): Answer => {
      const { partitionIndex } = asked
      if (!topic) return { partitionIndex, errorCode: ErrorCode.UNKNOWN_TOPIC_ID }
      // A second change would be decided on what the first has made old.
      const key = `${topicId} ${partitionIndex}`
      if (seen.has(key)) return { partitionIndex, errorCode: ErrorCode.INVALID_REQUEST }
      seen.add(key)
      return alterOne(image, topic, request.brokerId, asked, records, rules)
    })
    return { topicId, partitions: answers }
  })
  return { records, reply: { topics } }
}

function alterOne(
  image: MetadataImage,
  topic: Topic,
  brokerId: BrokerId,
  asked: Asked,
  records: MetadataRecord[],
  rules: Rules
): Answer {
  const { partitionIndex, leaderRecoveryState } = asked
  const partition = topic.partitions[partitionIndex]
  if (!partition) return { partitionIndex, errorCode: ErrorCode.UNKNOWN_TOPIC_OR_PARTITION }
  const errorCode = faultOf(image, partition, brokerId, asked)
  if (errorCode !== ErrorCode.NONE) return { partitionIndex, errorCode }
  const isr = newIsr(asked).map(member => member.brokerId)
  const record = partitionChange(image, topic, partitionIndex, { isr, leaderRecoveryState }, rules)
  const now = record ? changed(partition, record.record) : partition
  if (record) records.push(record)
  // What it asked for was done, but completed a reassignment in which it has no place: it has to learn that first.
  if (now.leader !== brokerId) return { partitionIndex, errorCode: ErrorCode.NEW_LEADER_ELECTED }
  return {
    partitionIndex,
    errorCode: ErrorCode.NONE,
    leaderId: now.leader,
    leaderEpoch: now.leaderEpoch,
    isr: now.isr,
    leaderRecoveryState: now.leaderRecoveryState,
    partitionEpoch: now.partitionEpoch
  }
}

/** Whom the leader wants in sync, with the broker epoch that it heard of each; -1: it heard none (before version 3). */
function newIsr(asked: Asked): readonly { readonly brokerId: BrokerId; readonly brokerEpoch: number }[] {
  if (asked.newIsrWithEpochs.length > 0) return asked.newIsrWithEpochs
  return asked.newIsr.map(brokerId => ({ brokerId, brokerEpoch: -1 }))
}

/** In the order of validateAlterPartitionData, since a leader does something else for each. */
function faultOf(image: MetadataImage, partition: Partition, brokerId: BrokerId, asked: Asked): number {
  const { leaderEpoch, partitionEpoch, leaderRecoveryState } = asked
  // It knows what this controller does not: there must be a newer one.
  if (leaderEpoch > partition.leaderEpoch || partitionEpoch > partition.partitionEpoch) return ErrorCode.NOT_CONTROLLER
  if (leaderEpoch < partition.leaderEpoch) return ErrorCode.FENCED_LEADER_EPOCH
  if (brokerId !== partition.leader) return ErrorCode.INVALID_REQUEST
  if (partitionEpoch < partition.partitionEpoch) return ErrorCode.INVALID_UPDATE_VERSION
  const members = newIsr(asked)
  const ids = new Set(members.map(member => member.brokerId))
  if (ids.size < members.length || !ids.has(brokerId)) return ErrorCode.INVALID_REQUEST
  if ([...ids].some(id => !partition.replicas.includes(id))) return ErrorCode.INVALID_REQUEST
  if (leaderRecoveryState !== RECOVERED && leaderRecoveryState !== RECOVERING) return ErrorCode.INVALID_REQUEST
  if (leaderRecoveryState === RECOVERING && (ids.size > 1 || partition.leaderRecoveryState === RECOVERED)) {
    return ErrorCode.INVALID_REQUEST
  }
  const isEligible = (member: { readonly brokerId: BrokerId; readonly brokerEpoch: number }): boolean => {
    const broker = image.brokers.get(member.brokerId)
    return isActive(broker) && (member.brokerEpoch === -1 || member.brokerEpoch === broker?.brokerEpoch)
  }
  return members.every(isEligible) ? ErrorCode.NONE : ErrorCode.INELIGIBLE_REPLICA
}
