// DeleteRecords 0-2: moves the log start up to an offset at or below the high watermark; -1 means the high watermark.
// Answered with the low watermark once every live replica has followed.
import { ErrorCode } from '../../protocol/errors.ts'
import { isFailure } from '../../protocol/failure.ts'
import { deleteRecords } from '../../protocol/messages/delete-records.ts'
import { errorCodeOf } from '../net/dispatch.ts'
import { isInternalTopic } from '../partitions.ts'
import type { Services } from '../services.ts'
import { handler } from './handler.ts'

const TO_HIGH_WATERMARK = -1
const NO_WATERMARK = -1

export const onDeleteRecords = handler(deleteRecords, (request, _context, services) => ({
  topics: request.topics.map(({ name, partitions }) => ({
    name,
    partitions: partitions.map(({ partitionIndex, offset }) => ({
      partitionIndex,
      ...deleteBefore(name, partitionIndex, offset, services)
    }))
  }))
}))

function deleteBefore(topic: string, index: number, offset: number, services: Services) {
  const located = services.partitions.locate(topic, null, index)
  if (located.partition === null) return refused(located.errorCode)
  const { partition } = located
  if (isInternalTopic(topic)) return refused(ErrorCode.INVALID_TOPIC_EXCEPTION)
  // A compacted log must be able to delete (UnifiedLog: only topics whose cleanup.policy has "delete").
  if (!partition.log.config.deletes) return refused(ErrorCode.POLICY_VIOLATION)
  try {
    partition.deleteRecordsBefore(offset === TO_HIGH_WATERMARK ? partition.highWatermark : offset)
    return { errorCode: ErrorCode.NONE, lowWatermark: partition.lowWatermark }
  } catch (error) {
    if (!isFailure(error)) throw error
    return refused(errorCodeOf(error))
  }
}

function refused(errorCode: number) {
  return { errorCode, lowWatermark: NO_WATERMARK }
}
