// DescribeQuorum 0-2: the metadata quorum as its leader sees it (KIP-595). 1 tells times (KIP-836), 2 directories and
// where the controllers are (KIP-853).
import { ErrorCode, errorMessage } from '../../protocol/errors.ts'
import { describeQuorum } from '../../protocol/messages/describe-quorum.ts'
import { METADATA_TOPIC } from '../../replication/controller/topic-names.ts'
import type { Services } from '../services.ts'
import { forwarded } from './handler.ts'

export const onDescribeQuorum = forwarded(
  describeQuorum,
  (request, _context, services) => {
    const topics = request.topics.map(({ topicName, partitions }) => ({
      topicName,
      partitions: partitions.map(({ partitionIndex }) =>
        topicName === METADATA_TOPIC && partitionIndex === 0
          ? quorumOf(services)
          : { partitionIndex, errorCode: ErrorCode.UNKNOWN_TOPIC_OR_PARTITION }
      )
    }))
    if (!topics.some(each => each.partitions.some(partition => partition.errorCode === ErrorCode.NONE))) {
      return { topics }
    }
    const nodes = [...services.metadata.image.controllers.values()].map(({ controllerId, endPoints }) => ({
      nodeId: controllerId,
      listeners: endPoints.map(({ name, host, port }) => ({ name, host, port }))
    }))
    return { topics, nodes }
  },
  null
)

function quorumOf({ controller }: Services) {
  const { metadataLog } = controller
  const { leaderId, leaderEpoch, highWatermark } = metadataLog
  const replicas = metadataLog.describe()
  if (replicas === null) {
    const errorCode = ErrorCode.NOT_LEADER_OR_FOLLOWER
    return { partitionIndex: 0, errorCode, errorMessage: errorMessage(errorCode) }
  }
  return { partitionIndex: 0, errorCode: ErrorCode.NONE, leaderId, leaderEpoch, highWatermark, ...replicas }
}
