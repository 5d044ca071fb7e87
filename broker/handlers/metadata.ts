// Metadata 0-13: the brokers, topics, partitions and leaders that a client needs to find its way. Topics that do not
// exist are made on the way where that is allowed, and named only once they can be used: every client then succeeds
// at its first try (kafkajs does not retry error 3). 8-10 authorised operations (KIP-430), 10 topic ids (KIP-516).
import { ErrorCode } from '../../protocol/errors.ts'
import { metadata } from '../../protocol/messages/metadata.ts'
import type { RequestOf, ResponseDraft } from '../../protocol/schema.ts'
import { ZERO_UUID } from '../../protocol/types.ts'
import { CONSUMER_OFFSETS, topicNameFault } from '../../replication/controller/topic-names.ts'
import type { Topic } from '../../replication/metadata/image.ts'
import { liveEndpoints, offlineReplicas } from '../endpoints.ts'
import { isInternalTopic } from '../partitions.ts'
import { authorizedOperations, OPERATIONS_NOT_ASKED } from '../security/authorized-operations.ts'
import type { Services } from '../services.ts'
import { handler, type Reply, type RequestContext } from './handler.ts'

type Request = RequestOf<typeof metadata>
type Asked = NonNullable<Request['topics']>[number]
type TopicReply = NonNullable<ResponseDraft<typeof metadata>['topics']>[number]

const NOTHING: ReadonlyMap<string, number> = new Map()

export const onMetadata = handler(metadata, (request, context, services) => {
  const { apiVersion } = context
  if (apiVersion < 12 && request.topics?.some(each => each.name === null || each.topicId !== ZERO_UUID)) {
    return {
      errorCode: ErrorCode.INVALID_REQUEST,
      // The answer has no null for a name yet.
      topics: request.topics.map(each => refused({ ...each, name: each.name ?? '' }, ErrorCode.INVALID_REQUEST))
    }
  }
  const asksForAll = request.topics === null || (apiVersion === 0 && request.topics.length === 0)
  const missing = asksForAll ? null : toCreate(request, services)
  if (missing === null) return reply(request, asksForAll, NOTHING, context, services)
  return services.channel.autoCreate(missing).then(created => reply(request, asksForAll, created, context, services))
})

function reply(
  request: Request,
  asksForAll: boolean,
  created: ReadonlyMap<string, number>,
  context: RequestContext,
  services: Services
): Reply<typeof metadata> {
  const brokers = liveEndpoints(context, services)
  const isReachable = new Set(brokers.map(each => each.nodeId))
  const describe = (topic: Topic): TopicReply => topicReply(topic, request, context, isReachable, services)
  const { image } = services.metadata
  const topics = asksForAll
    ? Array.from(image.topicsByName.values(), describe)
    : distinct(request.topics ?? []).map(asked => {
        const topic = isById(asked) ? image.topicsById.get(asked.topicId) : image.topicsByName.get(asked.name ?? '')
        return topic ? describe(topic) : refused(asked, missingCode(asked, created))
      })
  return {
    brokers,
    clusterId: services.clusterId,
    controllerId: adminNode(isReachable, services),
    topics,
    clusterAuthorizedOperations: request.includeClusterAuthorizedOperations
      ? authorizedOperations('CLUSTER')
      : OPERATIONS_NOT_ASKED
  }
}

/** Where clients send what the controller decides: to its node, which is a broker too, else here; every one forwards. */
function adminNode(isReachable: ReadonlySet<number>, { controller, nodeId }: Services): number {
  const { activeControllerId } = controller
  if (isReachable.has(activeControllerId)) return activeControllerId
  return isReachable.has(nodeId) ? nodeId : -1
}

/** Topics that are not there and may be made on the way; null where there is none. */
function toCreate(request: Request, services: Services): string[] | null {
  if (!request.allowAutoTopicCreation || !services.config.get('auto.create.topics.enable')) return null
  const { topicsByName } = services.metadata.image
  const missing = new Set<string>()
  for (const asked of request.topics ?? []) {
    if (asked.name === null || isById(asked) || topicsByName.has(asked.name) || isReserved(asked.name)) continue
    missing.add(asked.name)
  }
  return missing.size === 0 ? null : [...missing]
}

/** The state of transactions and share groups: nobody writes it yet, and who will must find no plain topic there. */
function isReserved(topic: string): boolean {
  return isInternalTopic(topic) && topic !== CONSUMER_OFFSETS
}

function distinct(topics: readonly Asked[]): readonly Asked[] {
  if (topics.length < 2) return topics
  return [...new Map(topics.map(each => [each.name ?? each.topicId, each])).values()]
}

/** An id says more than a name that comes with it. */
function isById({ name, topicId }: Asked): boolean {
  return name === null || topicId !== ZERO_UUID
}

function missingCode(asked: Asked, created: ReadonlyMap<string, number>): number {
  if (asked.name === null || isById(asked)) return ErrorCode.UNKNOWN_TOPIC_ID
  if (topicNameFault(asked.name) !== null) return ErrorCode.INVALID_TOPIC_EXCEPTION
  const errorCode = created.get(asked.name) ?? ErrorCode.UNKNOWN_TOPIC_OR_PARTITION
  // Made, but not yet here: the one answer that every client retries.
  return errorCode === ErrorCode.NONE || errorCode === ErrorCode.TOPIC_ALREADY_EXISTS
    ? ErrorCode.LEADER_NOT_AVAILABLE
    : errorCode
}

function refused(asked: Asked, errorCode: number): TopicReply {
  return {
    errorCode,
    name: asked.name,
    topicId: asked.topicId,
    isInternal: asked.name !== null && isInternalTopic(asked.name)
  }
}

function topicReply(
  topic: Topic,
  request: Request,
  context: RequestContext,
  isReachable: ReadonlySet<number>,
  services: Services
): TopicReply {
  const { brokers } = services.metadata.image
  const isAlive = (id: number): boolean => brokers.get(id)?.fenced === false
  return {
    name: topic.name,
    topicId: topic.topicId,
    isInternal: isInternalTopic(topic.name),
    partitions: topic.partitions.map((partition, partitionIndex) => ({
      errorCode: leaderError(partition.leader, isAlive, isReachable, context.apiVersion),
      partitionIndex,
      leaderId: isReachable.has(partition.leader) ? partition.leader : -1,
      leaderEpoch: partition.leaderEpoch,
      replicaNodes: partition.replicas,
      isrNodes: partition.isr,
      offlineReplicas: offlineReplicas(partition, context, services)
    })),
    topicAuthorizedOperations: request.includeTopicAuthorizedOperations
      ? authorizedOperations('TOPIC')
      : OPERATIONS_NOT_ASKED
  }
}

/** LISTENER_NOT_FOUND: the leader lives, but not behind the listener that the client came in on (KIP-103). */
function leaderError(
  leader: number,
  isAlive: (id: number) => boolean,
  isReachable: ReadonlySet<number>,
  apiVersion: number
): number {
  if (isReachable.has(leader)) return ErrorCode.NONE
  if (isAlive(leader) && apiVersion >= 6) return ErrorCode.LISTENER_NOT_FOUND
  return ErrorCode.LEADER_NOT_AVAILABLE
}
