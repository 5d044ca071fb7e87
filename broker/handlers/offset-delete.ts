// OffsetDelete 0 (KIP-496).
import { ErrorCode } from '../../protocol/errors.ts'
import { offsetDelete } from '../../protocol/messages/offset-delete.ts'
import { handler } from './handler.ts'

export const onOffsetDelete = handler(offsetDelete, async (request, _context, { groups, metadata }) => {
  const exists = (name: string, partitionIndex: number): boolean =>
    metadata.image.topicsByName.get(name)?.partitions[partitionIndex] !== undefined
  const topics = request.topics.map(({ name, partitions }) => ({
    name,
    partitions: partitions.filter(({ partitionIndex }) => exists(name, partitionIndex))
  }))
  const { errorCode, reply } = await groups.deleteOffsets({ groupId: request.groupId, topics })
  const codeOfWhole = reply?.errorCode ?? errorCode
  if (codeOfWhole !== ErrorCode.NONE || !reply) return { errorCode: codeOfWhole }
  const missing = request.topics.map(({ name, partitions }) =>
    partitions
      .filter(({ partitionIndex }) => !exists(name, partitionIndex))
      .map(({ partitionIndex }) => ({ partitionIndex, errorCode: ErrorCode.UNKNOWN_TOPIC_OR_PARTITION }))
  )
  return {
    topics: reply.topics.map(({ name, partitions }, i) => ({
      name,
      partitions: [...partitions, ...(missing[i] ?? [])]
    }))
  }
})
