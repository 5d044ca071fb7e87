// Changes of dynamic settings, the incremental way (KIP-339) and the legacy one, which replaces all settings of a
// resource (metadata/.../ConfigurationControlManager.java). Each resource succeeds or fails alone; the new settings of
// a resource are judged as a whole.
import { ErrorCode } from '../../protocol/errors.ts'
import { ResourceType } from '../metadata/delta.ts'
import type { MetadataImage } from '../metadata/image.ts'
import type { MetadataRecord } from '../metadata/records.ts'
import { CLUSTER_ID } from './activation.ts'
import { type Decision, DONE, isElrEnabled, type Outcome, type Rules, recordFor, refused } from './decision.ts'
import { clearElr } from './partition-change.ts'

/** AlterConfigOp.OpType */
export const ConfigOperation = { SET: 0, DELETE: 1, APPEND: 2, SUBTRACT: 3 } as const

export interface ConfigAlteration {
  readonly resourceType: number
  readonly resourceName: string
  readonly configs: readonly {
    readonly name: string
    readonly configOperation: number
    readonly value: string | null
  }[]
}

export interface ConfigReplacement {
  readonly resourceType: number
  readonly resourceName: string
  readonly configs: readonly { readonly name: string; readonly value: string | null }[]
}

export interface AlteredConfig extends Outcome {
  readonly resourceType: number
  readonly resourceName: string
}

type Changes = Map<string, string | null>

const MIN_ISR = 'min.insync.replicas'

export function decideIncrementalAlterConfigs(
  image: MetadataImage,
  resources: readonly ConfigAlteration[],
  validateOnly: boolean,
  rules: Rules
): Decision<AlteredConfig[]> {
  return decideEach(image, resources, validateOnly, rules, resource => incremental(image, resource, rules))
}

export function decideAlterConfigs(
  image: MetadataImage,
  resources: readonly ConfigReplacement[],
  validateOnly: boolean,
  rules: Rules
): Decision<AlteredConfig[]> {
  return decideEach(image, resources, validateOnly, rules, resource => replacement(image, resource))
}

function decideEach<R extends { readonly resourceType: number; readonly resourceName: string }>(
  image: MetadataImage,
  resources: readonly R[],
  validateOnly: boolean,
  rules: Rules,
  changesOf: (resource: R) => Changes | Outcome
): Decision<AlteredConfig[]> {
  const records: MetadataRecord[] = []
  const counts = new Map<string, number>()
  const keyOf = ({ resourceType, resourceName }: R): string => `${resourceType} ${resourceName}`
  for (const resource of resources) counts.set(keyOf(resource), (counts.get(keyOf(resource)) ?? 0) + 1)
  const reply = resources.map(resource => {
    const { resourceType, resourceName } = resource
    const isTwice = counts.get(keyOf(resource)) !== 1
    const outcome = isTwice
      ? refused(ErrorCode.INVALID_REQUEST, 'Each resource must appear at most once.')
      : changeOne(image, resourceType, resourceName, changesOf(resource), records, rules)
    return { resourceType, resourceName, ...outcome }
  })
  return { records: validateOnly ? [] : records, reply }
}

function changeOne(
  image: MetadataImage,
  resourceType: number,
  resourceName: string,
  changes: Changes | Outcome,
  records: MetadataRecord[],
  rules: Rules
): Outcome {
  if (!(changes instanceof Map)) return changes
  const current = image.configs(resourceType, resourceName)
  const all = new Map(current)
  for (const [name, value] of changes) {
    if (value === null) all.delete(name)
    else all.set(name, value)
  }
  const fault =
    rules.configFault(resourceType, resourceName, all) ??
    minIsrFault(image, resourceType, resourceName, changes) ??
    clusterIdFault(resourceType, changes)
  if (fault !== null) return refused(ErrorCode.INVALID_CONFIG, fault)
  const missing = existenceFault(image, resourceType, resourceName)
  if (missing) return missing
  for (const [name, value] of changes) {
    // A broker re-reads what a setting names (key stores) even when its text stays the same (KAFKA-14136).
    if ((current.get(name) ?? null) === value && resourceType !== ResourceType.BROKER) continue
    records.push(recordFor(image)('ConfigRecord', { resourceType, resourceName, name, value }))
    // Eligible leader replicas had everything as long as nothing was committed below the old minimum (KIP-966).
    if (name === MIN_ISR && isElrEnabled(image)) {
      records.push(...clearElr(image, resourceType === ResourceType.TOPIC ? resourceName : ''))
    }
  }
  return DONE
}

/** With eligible leader replicas all brokers go by one minimum, and there always is one. */
function minIsrFault(
  image: MetadataImage,
  resourceType: number,
  resourceName: string,
  changes: Changes
): string | null {
  if (resourceType !== ResourceType.BROKER || !changes.has(MIN_ISR) || !isElrEnabled(image)) return null
  if (resourceName !== '') return `Broker-level ${MIN_ISR} cannot be altered while ELR is enabled.`
  return changes.get(MIN_ISR) === null ? `Cluster-level ${MIN_ISR} cannot be removed while ELR is enabled.` : null
}

/** Records hold it as a setting, and nobody has set it: without it no broker could register any more. */
function clusterIdFault(resourceType: number, changes: Changes): string | null {
  return resourceType === ResourceType.BROKER && changes.has(CLUSTER_ID) ? `${CLUSTER_ID} cannot be altered.` : null
}

function incremental(image: MetadataImage, resource: ConfigAlteration, rules: Rules): Changes | Outcome {
  const { resourceType, resourceName } = resource
  const changes: Changes = new Map()
  for (const { name, configOperation, value } of resource.configs) {
    if (changes.has(name)) {
      return refused(ErrorCode.INVALID_REQUEST, `Error due to duplicate config keys: ${name}`)
    }
    if (configOperation === ConfigOperation.DELETE) {
      changes.set(name, null)
      continue
    }
    if (value === null) return refused(ErrorCode.INVALID_REQUEST, `Null value not supported for : ${name}`)
    if (configOperation === ConfigOperation.SET) {
      changes.set(name, value)
      continue
    }
    const isAppend = configOperation === ConfigOperation.APPEND
    if (!isAppend && configOperation !== ConfigOperation.SUBTRACT) {
      return refused(ErrorCode.INVALID_REQUEST, `Unknown operation type ${configOperation}`)
    }
    const fallback = rules.listDefault(resourceType, name)
    if (fallback === null) {
      const what = isAppend ? 'APPEND' : 'SUBTRACT'
      return refused(ErrorCode.INVALID_CONFIG, `Can't ${what} to key ${name} because its type is not LIST.`)
    }
    const before = partsOf(image.configs(resourceType, resourceName).get(name) ?? fallback)
    const parts = partsOf(value)
    const after = isAppend
      ? [...before, ...parts.filter((part, index) => !before.includes(part) && parts.indexOf(part) === index)]
      : before.filter(part => !parts.includes(part))
    changes.set(name, after.join(','))
  }
  return changes
}

function replacement(image: MetadataImage, resource: ConfigReplacement): Changes | Outcome {
  const changes: Changes = new Map()
  for (const { name, value } of resource.configs) {
    if (value === null) return refused(ErrorCode.INVALID_REQUEST, `Null value not supported for : ${name}`)
    changes.set(name, value)
  }
  for (const name of image.configs(resource.resourceType, resource.resourceName).keys()) {
    if (!changes.has(name) && name !== CLUSTER_ID) changes.set(name, null)
  }
  return changes
}

/** QuorumController.ConfigResourceExistenceChecker: groups and client metrics need not exist. */
function existenceFault(image: MetadataImage, resourceType: number, resourceName: string): Outcome | null {
  if (resourceType === ResourceType.TOPIC) {
    return image.topicsByName.has(resourceName) ? null : refused(ErrorCode.UNKNOWN_TOPIC_OR_PARTITION)
  }
  if (resourceType !== ResourceType.BROKER || resourceName === '') return null
  if (!/^\d{1,10}$/.test(resourceName)) {
    return refused(ErrorCode.INVALID_REQUEST, `Unable to parse broker name as a base 10 number: ${resourceName}`)
  }
  const nodeId = Number(resourceName)
  if (image.brokers.has(nodeId) || image.controllers.has(nodeId)) return null
  return refused(ErrorCode.BROKER_ID_NOT_REGISTERED, `No node with id ${nodeId} found.`)
}

function partsOf(list: string): string[] {
  return list.split(',').filter(part => part !== '')
}
