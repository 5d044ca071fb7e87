// DescribeTopicPartitions 0: partitions with their eligible leader replicas, page by page (KIP-966). Topics come in the
// order of their names; a page ends after so many partitions, and says where the next begins.
import { ErrorCode } from '../../protocol/errors.ts'
import { describeTopicPartitions } from '../../protocol/messages/describe-topic-partitions.ts'
import type { RequestOf } from '../../protocol/schema.ts'
import { ZERO_UUID } from '../../protocol/types.ts'
import { topicNameFault } from '../../replication/controller/topic-names.ts'
import type { MetadataImage, Topic } from '../../replication/metadata/image.ts'
import type { Partition } from '../../replication/metadata/partition.ts'
import { liveEndpoints, offlineReplicas } from '../endpoints.ts'
import { isInternalTopic } from '../partitions.ts'
import { authorizedOperations } from '../security/authorized-operations.ts'
import { handler } from './handler.ts'

type Request = RequestOf<typeof describeTopicPartitions>
type Shown = (partition: Partition, partitionIndex: number) => ReturnType<typeof described>

export const onDescribeTopicPartitions = handler(describeTopicPartitions, (request, context, services) => {
  const { metadata, config } = services
  const { cursor } = request
  const named = request.topics.map(topic => topic.name)
  const isBadCursor =
    cursor !== null && (cursor.partitionIndex < 0 || (named.length > 0 && !named.includes(cursor.topicName)))
  if (isBadCursor) return { topics: named.map(name => missing(name, ErrorCode.INVALID_REQUEST)) }
  const limit = Math.max(1, Math.min(request.responsePartitionLimit, config.get('max.request.partition.size.limit')))
  const isReachable = new Set(liveEndpoints(context, services).map(each => each.nodeId))
  const shown = (partition: Partition, partitionIndex: number) =>
    described(partition, partitionIndex, isReachable, offlineReplicas(partition, context, services))
  return page(request, metadata.image, limit, shown)
})

function page({ topics, cursor }: Request, { topicsByName }: MetadataImage, limit: number, shown: Shown) {
  const names = topics.length === 0 ? [...topicsByName.keys()] : [...new Set(topics.map(topic => topic.name))]
  const first = cursor?.topicName ?? ''
  const reply = []
  let left = limit
  for (const name of names.filter(each => each >= first).sort(byCodeUnits)) {
    const topic = topicsByName.get(name)
    if (!topic) {
      const isIllegal = topicNameFault(name) !== null
      reply.push(missing(name, isIllegal ? ErrorCode.INVALID_TOPIC_EXCEPTION : ErrorCode.UNKNOWN_TOPIC_OR_PARTITION))
      continue
    }
    const from = name === cursor?.topicName ? cursor.partitionIndex : 0
    if (left === 0) return { topics: reply, nextCursor: { topicName: name, partitionIndex: from } }
    const upto = Math.min(topic.partitions.length, from + left)
    reply.push(present(topic, from, upto, shown))
    left -= Math.max(0, upto - from)
    if (upto < topic.partitions.length) return { topics: reply, nextCursor: { topicName: name, partitionIndex: upto } }
  }
  return { topics: reply, nextCursor: null }
}

function present(topic: Topic, from: number, upto: number, shown: Shown) {
  return {
    errorCode: ErrorCode.NONE,
    name: topic.name,
    topicId: topic.topicId,
    isInternal: isInternalTopic(topic.name),
    topicAuthorizedOperations: authorizedOperations('TOPIC'),
    partitions: topic.partitions.slice(from, upto).map((partition, index) => shown(partition, from + index))
  }
}

function described(
  partition: Partition,
  partitionIndex: number,
  isReachable: ReadonlySet<number>,
  offline: readonly number[]
) {
  return {
    // Without a leader too: Metadata alone has an error for that (KRaftMetadataCache.java).
    errorCode: ErrorCode.NONE,
    partitionIndex,
    leaderId: isReachable.has(partition.leader) ? partition.leader : -1,
    leaderEpoch: partition.leaderEpoch,
    replicaNodes: partition.replicas,
    isrNodes: partition.isr,
    eligibleLeaderReplicas: partition.elr,
    lastKnownElr: partition.lastKnownElr,
    offlineReplicas: offline
  }
}

function missing(name: string, errorCode: number) {
  const topicAuthorizedOperations = authorizedOperations('TOPIC')
  return {
    errorCode,
    name,
    topicId: ZERO_UUID,
    isInternal: isInternalTopic(name),
    topicAuthorizedOperations,
    partitions: []
  }
}

/** As Java compares strings. */
function byCodeUnits(left: string, right: string): number {
  return left < right ? -1 : left > right ? 1 : 0
}
