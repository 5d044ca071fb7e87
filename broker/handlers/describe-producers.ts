// DescribeProducers 0: the idempotent producers that this broker's replica of a partition remembers, whoever leads it
// (KIP-664; ReplicaManager.scala, activeProducerState).
import { ErrorCode, errorMessage } from '../../protocol/errors.ts'
import { describeProducers } from '../../protocol/messages/describe-producers.ts'
import { topicNameFault } from '../../replication/controller/topic-names.ts'
import { localReplica } from '../local-replica.ts'
import type { Services } from '../services.ts'
import { handler } from './handler.ts'

export const onDescribeProducers = handler(describeProducers, (request, _context, services) => ({
  topics: request.topics.map(({ name, partitionIndexes }) => ({
    name,
    partitions: partitionIndexes.map(partitionIndex => ({
      partitionIndex,
      ...describe(name, partitionIndex, services)
    }))
  }))
}))

function describe(topic: string, index: number, services: Services) {
  if (topicNameFault(topic) !== null) {
    return { errorCode: ErrorCode.INVALID_TOPIC_EXCEPTION, errorMessage: topicNameFault(topic) }
  }
  const located = localReplica(services.partitions.locate(topic, null, index), index, services)
  if (located.partition === null) {
    return { errorCode: located.errorCode, errorMessage: errorMessage(located.errorCode) }
  }
  const activeProducers = [...located.partition.log.producers.all()].map(each => ({
    producerId: each.producerId,
    producerEpoch: each.producerEpoch,
    lastSequence: each.batches.at(-1)?.lastSequence ?? -1,
    lastTimestamp: each.lastTimestamp,
    coordinatorEpoch: each.coordinatorEpoch,
    currentTxnStartOffset: each.currentTxnFirstOffset
  }))
  return { errorCode: ErrorCode.NONE, activeProducers }
}
