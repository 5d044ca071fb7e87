// DeleteRecords 0-2: moves the log start up to an offset at or below the high watermark; -1 means the high watermark.
// Answered with the low watermark once every live replica has followed.
import { ErrorCode } from '../../protocol/errors.ts'
import { isFailure } from '../../protocol/failure.ts'
import { deleteRecords } from '../../protocol/messages/delete-records.ts'
import { errorCodeOf } from '../net/dispatch.ts'
import type { Partition } from '../partition.ts'
import { isInternalTopic } from '../partitions.ts'
import type { Services } from '../services.ts'
import { handler } from './handler.ts'

const TO_HIGH_WATERMARK = -1
const NO_WATERMARK = -1

export const onDeleteRecords = handler(deleteRecords, async (request, _context, services) => ({
  topics: await Promise.all(
    request.topics.map(async ({ name, partitions }) => ({
      name,
      partitions: await Promise.all(
        partitions.map(async ({ partitionIndex, offset }) => ({
          partitionIndex,
          ...(await deleteBefore(name, partitionIndex, offset, request.timeoutMs, services))
        }))
      )
    }))
  )
}))

function deleteBefore(topic: string, index: number, offset: number, timeoutMs: number, services: Services) {
  const located = services.partitions.locate(topic, null, index)
  if (located.partition === null) return refused(located.errorCode)
  const { partition } = located
  if (isInternalTopic(topic)) return refused(ErrorCode.INVALID_TOPIC_EXCEPTION)
  // A compacted log must be able to delete (UnifiedLog: only topics whose cleanup.policy has "delete").
  if (!partition.log.config.deletes) return refused(ErrorCode.POLICY_VIOLATION)
  try {
    const before = offset === TO_HIGH_WATERMARK ? partition.highWatermark : offset
    partition.deleteRecordsBefore(before)
    return untilRemoved(partition, before, timeoutMs, services)
  } catch (error) {
    if (!isFailure(error)) throw error
    return refused(errorCodeOf(error))
  }
}

interface Answer {
  readonly errorCode: number
  readonly lowWatermark: number
}

/** Until every live replica's log begins there (DelayedDeleteRecords.scala). */
function untilRemoved(partition: Partition, before: number, timeoutMs: number, services: Services): Promise<Answer> {
  return new Promise(resolve => {
    let isAnswered = false
    const answer = (errorCode: number): void => {
      if (isAnswered) return
      isAnswered = true
      services.partitions.deadlines.cancel(deadline)
      resolve({ errorCode, lowWatermark: errorCode === ErrorCode.NONE ? partition.lowWatermark : NO_WATERMARK })
    }
    const deadline = services.partitions.deadlines.add(timeoutMs, () => answer(ErrorCode.REQUEST_TIMED_OUT))
    partition.whenRemoved(before, { done: answer })
  })
}

function refused(errorCode: number): Answer {
  return { errorCode, lowWatermark: NO_WATERMARK }
}
