// ListConfigResources 0-1: which resources have settings. 0 lists client metrics subscriptions only (KIP-714); 1 takes
// types, and means all of them if none is given (KIP-1142).
import { ErrorCode } from '../../protocol/errors.ts'
import { listConfigResources } from '../../protocol/messages/list-config-resources.ts'
import { ResourceType } from '../../replication/metadata/delta.ts'
import type { Services } from '../services.ts'
import { handler } from './handler.ts'

const ALL: readonly number[] = Object.values(ResourceType)

export const onListConfigResources = handler(listConfigResources, (request, { apiVersion }, services) => {
  const asked =
    apiVersion === 0 ? [ResourceType.CLIENT_METRICS] : request.resourceTypes.length === 0 ? ALL : request.resourceTypes
  if (asked.some(each => !ALL.includes(each))) return { errorCode: ErrorCode.UNSUPPORTED_VERSION }
  const configResources = [...new Set(asked)].flatMap(resourceType =>
    namesOf(resourceType, services).map(resourceName => ({ resourceType, resourceName }))
  )
  return { errorCode: ErrorCode.NONE, configResources }
})

function namesOf(resourceType: number, { metadata: { image } }: Services): string[] {
  switch (resourceType) {
    case ResourceType.TOPIC:
      return [...image.topicsByName.keys()]
    case ResourceType.BROKER:
    case ResourceType.BROKER_LOGGER:
      return [...image.brokers.keys()].map(String)
    default:
      return [...image.configResources()]
        .filter(each => each.resourceType === resourceType)
        .map(each => each.resourceName)
  }
}
