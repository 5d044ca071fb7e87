// DescribeQuorum 0-2: the metadata quorum as its leader sees it (KIP-595). 1 tells times (KIP-836), 2 directories and
// where the controllers are (KIP-853).
import { ErrorCode } from '../../protocol/errors.ts'
import { describeQuorum } from '../../protocol/messages/describe-quorum.ts'
import { METADATA_TOPIC } from '../../replication/controller/topic-names.ts'
import type { Services } from '../services.ts'
import { handler } from './handler.ts'

export const onDescribeQuorum = handler(describeQuorum, (request, _context, services) => {
  const topics = request.topics.map(({ topicName, partitions }) => ({
    topicName,
    partitions: partitions.map(({ partitionIndex }) =>
      topicName === METADATA_TOPIC && partitionIndex === 0
        ? quorumOf(services)
        : { partitionIndex, errorCode: ErrorCode.UNKNOWN_TOPIC_OR_PARTITION }
    )
  }))
  if (!topics.some(each => each.partitions.some(partition => partition.errorCode === ErrorCode.NONE))) return { topics }
  const nodes = [...services.metadata.image.controllers.values()].map(({ controllerId, endPoints }) => ({
    nodeId: controllerId,
    listeners: endPoints.map(({ name, host, port }) => ({ name, host, port }))
  }))
  return { topics, nodes }
})

function quorumOf({ controller, clock }: Services) {
  const { metadataLog } = controller
  const { leaderId, leaderEpoch, highWatermark, logEndOffset, voters } = metadataLog
  // The leader is never behind itself.
  const nowMs = clock.nowMs()
  const currentVoters = voters.map(replicaId => ({
    replicaId,
    logEndOffset,
    lastFetchTimestamp: nowMs,
    lastCaughtUpTimestamp: nowMs
  }))
  return {
    partitionIndex: 0,
    errorCode: ErrorCode.NONE,
    leaderId,
    leaderEpoch,
    highWatermark,
    currentVoters,
    observers: []
  }
}
