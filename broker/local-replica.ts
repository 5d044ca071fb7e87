// The replica that this broker has of a partition, whoever leads it: for who compares replicas or looks into one
// (kafka-replica-verification, kafka-transactions describe-producers). Only what is below its high watermark is sure to
// stay where it does not lead.
import { ErrorCode } from '../protocol/errors.ts'
import type { Located } from './partitions.ts'
import type { Services } from './services.ts'

/** An ordinary consumer; brokers that follow have their ids. */
export const CONSUMER = -1
/** One that asks a certain replica on purpose (FetchRequest.java, ListOffsetsRequest.java). */
export const DEBUGGING_CONSUMER = -2

/** `located`, or, where another broker leads, what is here of it (Partition.scala, getLocalLog). */
export function localReplica(located: Located, index: number, { metadata, partitions }: Services): Located {
  if (located.errorCode !== ErrorCode.NOT_LEADER_OR_FOLLOWER) return located
  const topic = metadata.image.topicsByName.get(located.topic)
  const partition = topic && partitions.get(topic.topicId, index)
  if (partition === undefined) return located
  return { ...located, errorCode: ErrorCode.NONE, partition, leaderEpoch: partition.leaderEpoch }
}
