// OffsetFetch 1-10. 2 asks for all topics and has a code for the whole, 7 insists on stable offsets (KIP-447), 8 asks for
// several groups (KIP-709), 10 names topics by id. Inside, every version is a list of groups.
import { ErrorCode } from '../../protocol/errors.ts'
import { offsetFetch } from '../../protocol/messages/offset-fetch.ts'
import type { RequestOf } from '../../protocol/schema.ts'
import { ZERO_UUID } from '../../protocol/types.ts'
import { type FetchedTopic, noOffset } from '../groups/offsets.ts'
import type { Services } from '../services.ts'
import { handler } from './handler.ts'

type AskedGroup = Pick<RequestOf<typeof offsetFetch>['groups'][number], 'groupId' | 'topics'>
type AskedTopic = NonNullable<AskedGroup['topics']>[number]

interface FetchedGroup {
  readonly groupId: string
  readonly errorCode: number
  readonly topics: FetchedTopic[]
}

const CODE_OF_THE_WHOLE_SINCE = 2
const SEVERAL_GROUPS_SINCE = 8
const TOPIC_IDS_SINCE = 10

export const onOffsetFetch = handler(offsetFetch, async (request, { apiVersion }, services) => {
  const { requireStable } = request
  if (apiVersion >= SEVERAL_GROUPS_SINCE) {
    const groups = request.groups.map(asked => fetchGroup(asked, requireStable, apiVersion, services))
    return { groups: await Promise.all(groups) }
  }
  const topics = request.topics?.map(topic => ({ ...topic, topicId: ZERO_UUID })) ?? null
  const asked = { groupId: request.groupId, topics }
  const fetched = await fetchGroup(asked, requireStable, apiVersion, services)
  if (apiVersion >= CODE_OF_THE_WHOLE_SINCE || fetched.errorCode === ErrorCode.NONE) return fetched
  return { topics: (topics ?? []).map(topic => withCode(topic, fetched.errorCode)) }
})

async function fetchGroup(
  { groupId, topics }: AskedGroup,
  requireStable: boolean,
  apiVersion: number,
  services: Services
): Promise<FetchedGroup> {
  const { topicsById, topicsByName } = services.metadata.image
  const hasIds = apiVersion >= TOPIC_IDS_SINCE
  const isKnown = (topic: AskedTopic): boolean => !hasIds || topicsById.has(topic.topicId)
  const asked = topics?.filter(isKnown).map(({ name, topicId, partitionIndexes }) => ({
    name: hasIds ? (topicsById.get(topicId)?.name ?? '') : name,
    topicId: hasIds ? topicId : (topicsByName.get(name)?.topicId ?? ZERO_UUID),
    partitionIndexes
  }))
  const { errorCode, reply } = await services.groups.fetchOffsets({ groupId, topics: asked ?? null, requireStable })
  if (!reply) return { groupId, errorCode, topics: [] }
  const unknown = (topics ?? []).filter(topic => !isKnown(topic))
  const found = reply.map(topic => ({ ...topic, topicId: topicsByName.get(topic.name)?.topicId ?? ZERO_UUID }))
  return {
    groupId,
    errorCode,
    // All topics, by id: a topic that is gone has none.
    topics: [
      ...(hasIds ? found.filter(topic => topic.topicId !== ZERO_UUID) : found),
      ...unknown.map(topic => withCode(topic, ErrorCode.UNKNOWN_TOPIC_ID))
    ]
  }
}

function withCode({ name, topicId, partitionIndexes }: AskedTopic, errorCode: number): FetchedTopic {
  return { name, topicId, partitions: partitionIndexes.map(index => noOffset(index, errorCode)) }
}
