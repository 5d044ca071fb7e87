// Elections on demand (ElectLeaders, KIP-183 and KIP-460) and blocks of producer ids (KIP-730).
import { ErrorCode } from '../../protocol/errors.ts'
import type { electLeaders } from '../../protocol/messages/elect-leaders.ts'
import type { RequestOf } from '../../protocol/schema.ts'
import type { BrokerId } from '../../protocol/types.ts'
import { ResourceType } from '../metadata/delta.ts'
import type { MetadataImage, Topic } from '../metadata/image.ts'
import { NO_LEADER } from '../metadata/partition.ts'
import type { MetadataRecord } from '../metadata/records.ts'
import { brokerEpochFault, type Decision, DONE, type Outcome, type Rules, recordFor, refused } from './decision.ts'
import { partitionChange } from './partition-change.ts'

/** ElectionType.java */
const PREFERRED = 0
const UNCLEAN = 1
/** ReplicationControlManager.maxElectionsPerImbalance */
const BALANCED_MAX = 1000

export interface ElectedTopic {
  readonly topic: string
  readonly partitionResult: readonly (Outcome & { readonly partitionId: number })[]
}

export function decideElectLeaders(
  image: MetadataImage,
  request: Pick<RequestOf<typeof electLeaders>, 'electionType' | 'topicPartitions'>,
  rules: Rules
): Decision<Outcome & { readonly topics: readonly ElectedTopic[] }> {
  const { electionType, topicPartitions } = request
  if (electionType !== PREFERRED && electionType !== UNCLEAN) {
    const outcome = refused(ErrorCode.INVALID_REQUEST, `Unknown election type ${electionType}`)
    const topics = (topicPartitions ?? []).map(({ topic, partitions }) => ({
      topic,
      partitionResult: partitions.map(partitionId => ({ partitionId, ...outcome }))
    }))
    return { records: [], reply: { ...outcome, topics } }
  }
  const records: MetadataRecord[] = []
  // Asked for all partitions, those that need nothing are not named.
  const isAll = topicPartitions === null
  const asked = isAll
    ? [...image.topicsByName.values()].map(({ name, partitions }) => ({
        topic: name,
        partitions: [...partitions.keys()]
      }))
    : topicPartitions
  const topics = asked.map(({ topic, partitions }) => ({
    topic,
    partitionResult: partitions
      .map(partitionId => ({ partitionId, ...electOne(image, topic, partitionId, electionType, records, rules) }))
      .filter(({ errorCode }) => !isAll || errorCode !== ErrorCode.ELECTION_NOT_NEEDED)
  }))
  return { records, reply: { ...DONE, topics } }
}

function electOne(
  image: MetadataImage,
  name: string,
  partitionId: number,
  electionType: number,
  records: MetadataRecord[],
  rules: Rules
): Outcome {
  const topic: Topic | undefined = image.topicsByName.get(name)
  if (!topic) return refused(ErrorCode.UNKNOWN_TOPIC_OR_PARTITION, `No such topic as ${name}`)
  const partition = topic.partitions[partitionId]
  if (!partition) return refused(ErrorCode.UNKNOWN_TOPIC_OR_PARTITION, `No such partition as ${name}-${partitionId}`)
  const isPreferred = electionType === PREFERRED
  if (isPreferred ? partition.leader === partition.replicas[0] : partition.leader !== NO_LEADER) {
    return refused(ErrorCode.ELECTION_NOT_NEEDED)
  }
  const record = partitionChange(image, topic, partitionId, { election: isPreferred ? 'preferred' : 'unclean' }, rules)
  if (!record) {
    return refused(isPreferred ? ErrorCode.PREFERRED_LEADER_NOT_AVAILABLE : ErrorCode.ELIGIBLE_LEADERS_NOT_AVAILABLE)
  }
  records.push(record)
  return DONE
}

/** Gives leaderships back to preferred replicas that are in sync again, at most so many at a time. The reply: whether
 *  the round was full, and the next one is due at once (QuorumController.maybeScheduleNextBalancePartitionLeaders). */
export function decideBalance(image: MetadataImage, rules: Rules): Decision<boolean> {
  const { records } = decideElectLeaders(image, { electionType: PREFERRED, topicPartitions: null }, rules)
  return { records: records.slice(0, BALANCED_MAX), reply: records.length >= BALANCED_MAX }
}

/** Partitions without a leader whose topics would rather lose records than wait: the setting may have come later. */
export function decideUncleanElections(image: MetadataImage, rules: Rules): Decision<null> {
  const records: MetadataRecord[] = []
  for (const { name, partitions } of image.topicsByName.values()) {
    if (!rules.mayElectUnclean(image.configs(ResourceType.TOPIC, name))) continue
    for (const [partitionId, { leader }] of partitions.entries()) {
      if (leader === NO_LEADER) electOne(image, name, partitionId, UNCLEAN, records, rules)
    }
  }
  return { records, reply: null }
}

/** ProducerIdsBlock.PRODUCER_ID_BLOCK_SIZE */
export const PRODUCER_ID_BLOCK_SIZE = 1000

export interface ProducerIdBlock extends Outcome {
  readonly producerIdStart: number
  readonly producerIdLen: number
}

export function decideAllocateProducerIds(
  image: MetadataImage,
  brokerId: BrokerId,
  brokerEpoch: number
): Decision<ProducerIdBlock> {
  const none = { producerIdStart: -1, producerIdLen: 0 }
  const stale = brokerEpochFault(image, brokerId, brokerEpoch)
  if (stale) return { records: [], reply: { ...stale, ...none } }
  const producerIdStart = image.nextProducerId
  const nextProducerId = producerIdStart + PRODUCER_ID_BLOCK_SIZE
  const records = [recordFor(image)('ProducerIdsRecord', { brokerId, brokerEpoch, nextProducerId })]
  return { records, reply: { ...DONE, producerIdStart, producerIdLen: PRODUCER_ID_BLOCK_SIZE } }
}
