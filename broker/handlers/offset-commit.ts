// OffsetCommit 2-10. Topics and partitions that do not exist are refused one by one; the rest goes to the group's
// coordinator as one batch. Up to 9 topics have names, from 10 on ids; the record holds both.
import { ErrorCode } from '../../protocol/errors.ts'
import { offsetCommit } from '../../protocol/messages/offset-commit.ts'
import type { RequestOf } from '../../protocol/schema.ts'
import type { Topic } from '../../replication/metadata/image.ts'
import type { Services } from '../services.ts'
import { handler } from './handler.ts'

type Asked = RequestOf<typeof offsetCommit>['topics'][number]
type Partition = Asked['partitions'][number]

const TOPIC_IDS_SINCE = 10

export const onOffsetCommit = handler(offsetCommit, async (request, { apiVersion }, services) => {
  const sorted = request.topics.map(asked => sortOut(asked, apiVersion, services))
  const known = sorted.flatMap(({ topic, partitions }) =>
    topic && partitions.length > 0 ? [{ name: topic.name, topicId: topic.topicId, partitions }] : []
  )
  const codes = new Map<string, number>()
  if (known.length > 0) {
    const { errorCode, reply } = await services.groups.commitOffsets({ ...request, topics: known }, apiVersion)
    for (const { name, partitions } of reply ?? known) {
      for (const each of partitions)
        codes.set(`${name}/${each.partitionIndex}`, 'errorCode' in each ? each.errorCode : errorCode)
    }
  }
  const codeOf = (topic: Topic | undefined, { partitionIndex }: Partition, missing: number): number =>
    codes.get(`${topic?.name}/${partitionIndex}`) ?? missing
  return {
    topics: sorted.map(({ asked, topic, missing }) => ({
      name: asked.name,
      topicId: asked.topicId,
      partitions: asked.partitions.map(each => ({
        partitionIndex: each.partitionIndex,
        errorCode: codeOf(topic, each, missing)
      }))
    }))
  }
})

/** The topic, those of its partitions that exist, and the code for those that do not. */
function sortOut(asked: Asked, apiVersion: number, services: Services) {
  const { topicsById, topicsByName } = services.metadata.image
  const hasIds = apiVersion >= TOPIC_IDS_SINCE
  const topic = hasIds ? topicsById.get(asked.topicId) : topicsByName.get(asked.name)
  const missing = hasIds && !topic ? ErrorCode.UNKNOWN_TOPIC_ID : ErrorCode.UNKNOWN_TOPIC_OR_PARTITION
  const partitions = asked.partitions.filter(each => topic?.partitions[each.partitionIndex] !== undefined)
  return { asked, topic, missing, partitions }
}
