// OffsetCommit 2-10. Topics and partitions that do not exist are refused one by one; the rest goes to the group's
// coordinator as one batch. Up to 9 topics have names, from 10 on ids; the record holds both.
import { ErrorCode } from '../../protocol/errors.ts'
import { offsetCommit } from '../../protocol/messages/offset-commit.ts'
import type { RequestOf } from '../../protocol/schema.ts'
import type { Topic } from '../../replication/metadata/image.ts'
import type { TopicCodes } from '../groups/offsets.ts'
import type { Outcome } from '../groups/shard.ts'
import type { Services } from '../services.ts'
import { handler, type Reply } from './handler.ts'

type Asked = RequestOf<typeof offsetCommit>['topics'][number]
type Partition = Asked['partitions'][number]

const TOPIC_IDS_SINCE = 10

export const onOffsetCommit = handler(offsetCommit, (request, { apiVersion }, services) => {
  const sorted = request.topics.map(asked => sortOut(asked, apiVersion, services))
  const known: { name: string; topicId: string; partitions: readonly Partition[] }[] = []
  for (const { topic, partitions } of sorted) {
    if (topic && partitions.length > 0) known.push({ name: topic.name, topicId: topic.topicId, partitions })
  }
  if (known.length === 0) return replyTo(sorted, { errorCode: ErrorCode.NONE, reply: null })
  return services.groups
    .commitOffsets({ ...request, topics: known }, apiVersion)
    .then(outcome => replyTo(sorted, outcome))
})

/** The coordinator's codes come in the order in which it was asked. */
function replyTo(sorted: readonly Sorted[], { errorCode, reply }: Outcome<TopicCodes[]>): Reply<typeof offsetCommit> {
  let next = 0
  const topics = sorted.map(({ asked, topic, partitions, missing }) => {
    const codes = topic && partitions.length > 0 ? reply?.[next++]?.partitions : undefined
    let nextCode = 0
    const codeAt = (at: number): number => codes?.[at]?.errorCode ?? errorCode
    return {
      name: asked.name,
      topicId: asked.topicId,
      partitions: asked.partitions.map(each => ({
        partitionIndex: each.partitionIndex,
        errorCode: partitions[nextCode] === each ? codeAt(nextCode++) : missing
      }))
    }
  })
  return { topics }
}

interface Sorted {
  readonly asked: Asked
  readonly topic: Topic | undefined
  readonly missing: number
  readonly partitions: readonly Partition[]
}

/** The topic, those of its partitions that exist, and the code for those that do not. */
function sortOut(asked: Asked, apiVersion: number, services: Services): Sorted {
  const { topicsById, topicsByName } = services.metadata.image
  const hasIds = apiVersion >= TOPIC_IDS_SINCE
  const topic = hasIds ? topicsById.get(asked.topicId) : topicsByName.get(asked.name)
  const missing = hasIds && !topic ? ErrorCode.UNKNOWN_TOPIC_ID : ErrorCode.UNKNOWN_TOPIC_OR_PARTITION
  const partitions = asked.partitions.filter(each => topic?.partitions[each.partitionIndex] !== undefined)
  return { asked, topic, missing, partitions }
}
