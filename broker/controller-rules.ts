// The controller's rules as the settings of this node give them; read anew for each decision, since most are dynamic.

import type { Rules } from '../replication/controller/decision.ts'
import { ResourceType } from '../replication/metadata/delta.ts'
import type { Random } from './clock.ts'
import { complaintAbout, type Scope, settingOf } from './config/table.ts'
import type { BrokerConfig } from './config.ts'

const SCOPE_OF: Readonly<Record<number, Scope>> = {
  [ResourceType.TOPIC]: 'topic',
  [ResourceType.BROKER]: 'broker',
  [ResourceType.GROUP]: 'group',
  [ResourceType.CLIENT_METRICS]: 'client metrics'
}

export function rulesOf(config: BrokerConfig, random: Random): Rules {
  return {
    random,
    numPartitions: config.get('num.partitions'),
    defaultReplicationFactor: config.get('default.replication.factor'),
    deleteTopicEnable: config.get('delete.topic.enable'),
    minInsyncReplicas: overrides => Number(overrides.get('min.insync.replicas') ?? config.get('min.insync.replicas')),
    mayElectUnclean(overrides) {
      const own = overrides.get('unclean.leader.election.enable')
      return own === undefined ? config.get('unclean.leader.election.enable') : own.toLowerCase() === 'true'
    },
    configFault: (resourceType, _, configs) => configFault(config, resourceType, configs),
    listDefault(resourceType, name) {
      const scope = scopeOf(resourceType, name)
      const setting = scope === null ? undefined : settingOf(scope, name)
      return setting?.type === 'list' ? (setting.defaultText ?? '') : null
    }
  }
}

function configFault(config: BrokerConfig, resourceType: number, configs: ReadonlyMap<string, string>): string | null {
  if (resourceType === ResourceType.TOPIC) return config.topicComplaint(configs)
  if (resourceType === ResourceType.GROUP) return config.groupComplaint(configs)
  for (const [name, value] of configs) {
    const scope = scopeOf(resourceType, name)
    const fault = scope === null ? `resource type ${resourceType} has no settings` : complaintAbout(scope, name, value)
    if (fault !== null) return fault
  }
  return null
}

/** Throttles are settings of a broker that no file may name. */
function scopeOf(resourceType: number, name: string): Scope | null {
  const isThrottle = resourceType === ResourceType.BROKER && settingOf('broker quota', name) !== undefined
  return isThrottle ? 'broker quota' : (SCOPE_OF[resourceType] ?? null)
}
