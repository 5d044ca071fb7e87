// ElectLeaders 0-2: the preferred replicas, or since 1 any that live, at the price of records (KIP-460).
import { electLeaders } from '../../protocol/messages/elect-leaders.ts'
import { forwarded } from './handler.ts'

export const onElectLeaders = forwarded(
  electLeaders,
  async (request, _context, { controller }) => {
    const { errorCode, topics } = await controller.electLeaders(request)
    return { errorCode, replicaElectionResults: topics }
  },
  ({ topicPartitions }, outcome) => ({
    errorCode: outcome.errorCode,
    replicaElectionResults: (topicPartitions ?? []).map(({ topic, partitions }) => ({
      topic,
      partitionResult: partitions.map(partitionId => ({ partitionId, ...outcome }))
    }))
  })
)
