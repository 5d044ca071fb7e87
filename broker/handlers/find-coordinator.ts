// FindCoordinator 0-6. 1 has key types, 4 several keys at once (KIP-699), 6 share groups. Makes __consumer_offsets when
// the first group is looked for, and answers when it can be used.
import { ErrorCode, errorMessage } from '../../protocol/errors.ts'
import { findCoordinator } from '../../protocol/messages/find-coordinator.ts'
import { CONSUMER_OFFSETS } from '../../replication/controller/topic-names.ts'
import { endpointOf } from '../endpoints.ts'
import type { Services } from '../services.ts'
import { handler, type RequestContext } from './handler.ts'

const GROUP = 0
const TRANSACTION = 1
const SEVERAL_KEYS_SINCE = 4

interface Found {
  readonly nodeId: number
  readonly host: string
  readonly port: number
  readonly errorCode: number
  readonly errorMessage: string | null
}

export const onFindCoordinator = handler(findCoordinator, async (request, context, services) => {
  const { key, keyType, coordinatorKeys } = request
  // Once, however many keys there are.
  if (keyType === GROUP && !services.metadata.image.topicsByName.has(CONSUMER_OFFSETS)) {
    await services.channel.autoCreate([CONSUMER_OFFSETS])
  }
  if (context.apiVersion < SEVERAL_KEYS_SINCE) return find(key, keyType, context, services)
  const coordinators = coordinatorKeys.map(async each => ({
    key: each,
    ...(await find(each, keyType, context, services))
  }))
  return { coordinators: await Promise.all(coordinators) }
})

async function find(key: string, keyType: number, context: RequestContext, services: Services): Promise<Found> {
  if (keyType === TRANSACTION) {
    // The one code that every client takes for final.
    return none(ErrorCode.TRANSACTIONAL_ID_AUTHORIZATION_FAILED, 'transactions are not supported by this broker yet')
  }
  if (keyType !== GROUP) return none(ErrorCode.INVALID_REQUEST, `coordinators of key type ${keyType} do not exist here`)
  const topic = services.metadata.image.topicsByName.get(CONSUMER_OFFSETS)
  const leader = topic?.partitions[services.groups.partitionOf(key)]?.leader
  // Named only when it will answer: librdkafka gives NOT_COORDINATOR of a commit's reading to the application. Another
  // request may have made the topic a moment ago, and its logs are still being opened.
  const isHere = leader === services.nodeId
  if (isHere && !services.groups.isCoordinatorOf(key)) await services.partitions.settled()
  if (isHere && !services.groups.isCoordinatorOf(key)) return none(ErrorCode.COORDINATOR_NOT_AVAILABLE)
  const endpoint = leader === undefined ? null : endpointOf(leader, context, services)
  if (!endpoint) return none(ErrorCode.COORDINATOR_NOT_AVAILABLE)
  const { nodeId, host, port } = endpoint
  return { nodeId, host, port, errorCode: ErrorCode.NONE, errorMessage: null }
}

function none(errorCode: number, why: string = errorMessage(errorCode)): Found {
  return { nodeId: -1, host: '', port: -1, errorCode, errorMessage: why }
}
