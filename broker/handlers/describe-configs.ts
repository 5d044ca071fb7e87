// DescribeConfigs 1-4: settings of topics, of this broker, of groups and client metrics subscriptions, and log levels. An
// empty list of keys asks for all, as null does. Documentation and types since 3 (KIP-569).
import { ErrorCode, errorMessage } from '../../protocol/errors.ts'
import { describeConfigs } from '../../protocol/messages/describe-configs.ts'
import type { RequestOf } from '../../protocol/schema.ts'
import { topicNameFault } from '../../replication/controller/topic-names.ts'
import { ResourceType } from '../../replication/metadata/delta.ts'
import {
  ConfigSource,
  type DescribedConfig,
  describeBroker,
  describeClientMetrics,
  describeClusterDefaults,
  describeGroup,
  describeTopic
} from '../config/describe.ts'
import type { Services } from '../services.ts'
import { handler } from './handler.ts'

type Resource = RequestOf<typeof describeConfigs>['resources'][number]

interface Refusal {
  readonly errorCode: number
  readonly errorMessage: string
}

export const onDescribeConfigs = handler(describeConfigs, (request, _context, services) => ({
  results: request.resources.map(resource => {
    const { resourceType, resourceName, configurationKeys } = resource
    const found = configsOf(resource, services)
    if (!Array.isArray(found)) return { ...found, resourceType, resourceName, configs: [] }
    const wanted = configurationKeys === null || configurationKeys.length === 0 ? null : new Set(configurationKeys)
    const configs = found
      .filter(each => wanted === null || wanted.has(each.name))
      .map(each => ({
        ...each,
        synonyms: request.includeSynonyms ? each.synonyms : [],
        documentation: request.includeDocumentation ? each.documentation : null
      }))
    return { errorCode: ErrorCode.NONE, errorMessage: null, resourceType, resourceName, configs }
  })
}))

function configsOf({ resourceType, resourceName }: Resource, services: Services): DescribedConfig[] | Refusal {
  const { config, metadata, nodeId } = services
  const own = metadata.image.configs(resourceType, resourceName)
  switch (resourceType) {
    case ResourceType.TOPIC: {
      const fault = topicNameFault(resourceName)
      if (fault !== null) return refusal(ErrorCode.INVALID_TOPIC_EXCEPTION, fault)
      return metadata.image.topicsByName.has(resourceName)
        ? describeTopic(config, own)
        : refusal(ErrorCode.UNKNOWN_TOPIC_OR_PARTITION)
    }
    case ResourceType.BROKER:
      if (resourceName === '') return describeClusterDefaults(config)
      return resourceName === String(nodeId)
        ? describeBroker(config)
        : invalid(`this is broker ${nodeId}; ask broker '${resourceName}' for its own settings`)
    case ResourceType.BROKER_LOGGER:
      return resourceName === String(nodeId)
        ? [rootLevel(services)]
        : invalid(`this is broker ${nodeId}; ask broker '${resourceName}' for its own log levels`)
    case ResourceType.CLIENT_METRICS:
      return resourceName === '' ? invalid('a client metrics subscription has a name') : describeClientMetrics(own)
    case ResourceType.GROUP:
      return resourceName === '' ? invalid('a group has a name') : describeGroup(config, own)
    default:
      return invalid(`resource type ${resourceType} has no settings`)
  }
}

/** All parts of the broker write to one log, so there is one level (KIP-412). */
function rootLevel({ log }: Services): DescribedConfig {
  return {
    name: 'root',
    value: log.level.toUpperCase(),
    readOnly: false,
    configSource: ConfigSource.DYNAMIC_BROKER_LOGGER,
    isSensitive: false,
    synonyms: [],
    configType: 0,
    documentation: 'The least important log lines that are written.'
  }
}

function invalid(message: string): Refusal {
  return refusal(ErrorCode.INVALID_REQUEST, message)
}

function refusal(errorCode: number, message = errorMessage(errorCode)): Refusal {
  return { errorCode, errorMessage: message }
}
