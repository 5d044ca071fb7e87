// What AlterConfigs and IncrementalAlterConfigs check before the controller sees a change (ConfigAdminManager.scala):
// duplicates, names of resources, settings that this broker cannot change while it runs; log levels are changed here, and
// kept nowhere (KIP-412).
import { ErrorCode } from '../../protocol/errors.ts'
import { ConfigOperation } from '../../replication/controller/configs.ts'
import { ResourceType } from '../../replication/metadata/delta.ts'
import { complaintAbout, settingOf } from '../config/table.ts'
import { type LogLevel, setLogLevel } from '../log.ts'
import type { Services } from '../services.ts'
import type { RequestContext } from './handler.ts'

export interface Outcome {
  readonly errorCode: number
  readonly errorMessage: string | null
}

export interface Change {
  readonly name: string
  readonly configOperation: number
  readonly value: string | null
}

export interface ChangedResource {
  readonly resourceType: number
  readonly resourceName: string
  readonly configs: readonly Change[]
}

/** How the change of one resource ends here; null: it is the controller's to decide. */
export function settledHere(
  resource: ChangedResource,
  { validateOnly, isLegacy }: { readonly validateOnly: boolean; readonly isLegacy: boolean },
  { listener }: Pick<RequestContext, 'listener'>,
  services: Services
): Outcome | null {
  const { resourceType, resourceName, configs } = resource
  const names = configs.map(each => each.name)
  const twice = names.find((name, index) => names.indexOf(name) !== index)
  if (twice !== undefined) return invalid(`${twice} stands twice`)
  const empty = configs.find(each => each.value === null && each.configOperation !== ConfigOperation.DELETE)
  if (empty !== undefined) return invalid(`${empty.name} needs a value`)
  switch (resourceType) {
    case ResourceType.BROKER_LOGGER:
      return isLegacy
        ? invalid('log levels are changed by IncrementalAlterConfigs')
        : changeLevels(resource, validateOnly, services)
    case ResourceType.BROKER:
      return brokerFault(resource, listener === 'broker' ? services.nodeId : null)
    case ResourceType.CLIENT_METRICS:
      return clientMetricsFault(resource)
    case ResourceType.TOPIC:
    case ResourceType.GROUP:
      return resourceName === '' ? invalid('a default for all of them cannot be set here') : null
    default:
      return invalid(`resource type ${resourceType} has no settings`)
  }
}

/** Kafka calls a bad setting of a subscription a bad request (ClientMetricsConfigs.java). */
function clientMetricsFault({ resourceName, configs }: ChangedResource): Outcome | null {
  if (resourceName === '') return invalid('a client metrics subscription has a name')
  for (const { name, configOperation, value } of configs) {
    const fault = configOperation === ConfigOperation.SET ? complaintAbout('client metrics', name, value ?? '') : null
    if (fault !== null) return invalid(fault)
  }
  return null
}

/** The name is this broker's id, or empty for the default of all brokers. The controller (null) has no id to compare. */
function brokerFault({ resourceName, configs }: ChangedResource, nodeId: number | null): Outcome | null {
  if (nodeId === null && !/^\d*$/.test(resourceName)) return invalid(`'${resourceName}' is no id of a broker`)
  if (nodeId !== null && resourceName !== '' && resourceName !== String(nodeId)) {
    return invalid(`this is broker ${nodeId}; send changes of broker '${resourceName}' to it`)
  }
  for (const { name, configOperation, value } of configs) {
    if (configOperation === ConfigOperation.DELETE) continue
    // With eligible leader replicas all brokers must agree on what a committed record is (KIP-966).
    if (name === 'min.insync.replicas' && resourceName !== '') {
      return outcome(ErrorCode.INVALID_CONFIG, `${name} is set for all brokers, not for one`)
    }
    const fault =
      unchangeable(name, resourceName !== '') ??
      (configOperation === ConfigOperation.SET ? badValue(name, value) : null)
    if (fault !== null) return invalid(fault)
  }
  return null
}

function badValue(name: string, value: string | null): string | null {
  const scope = settingOf('broker quota', name) === undefined ? 'broker' : 'broker quota'
  return complaintAbout(scope, name, value ?? '')
}

/** Why a setting of brokers cannot be changed by a request, for one of them or for all. */
function unchangeable(name: string, perBroker: boolean): string | null {
  const update = settingOf('broker', name)?.update ?? settingOf('broker quota', name)?.update
  if (update === 'read-only') return `${name} is read when the broker starts; it cannot be changed while it runs`
  if (update === 'per-broker' && !perBroker) return `${name} is set for each broker by its id, not for all of them`
  return null
}

const LEVELS: readonly string[] = ['trace', 'debug', 'info', 'warn', 'error', 'fatal']

function changeLevels({ resourceName, configs }: ChangedResource, validateOnly: boolean, services: Services): Outcome {
  const { nodeId, log } = services
  if (resourceName !== String(nodeId))
    return invalid(`this is broker ${nodeId}; send log levels of broker '${resourceName}' to it`)
  for (const { name, configOperation, value } of configs) {
    if (name !== 'root')
      return outcome(ErrorCode.INVALID_CONFIG, `there is no logger ${name}; all parts of the broker log to root`)
    if (configOperation !== ConfigOperation.SET) return invalid('the level of root can only be set')
    if (!LEVELS.includes((value ?? '').toLowerCase())) {
      return outcome(ErrorCode.INVALID_CONFIG, `${name}=${value}: allowed is one of ${LEVELS.join(', ').toUpperCase()}`)
    }
  }
  const level = configs[0]?.value?.toLowerCase()
  if (level !== undefined && !validateOnly) setLogLevel(log, level as LogLevel)
  return outcome(ErrorCode.NONE, null)
}

function invalid(errorMessage: string): Outcome {
  return outcome(ErrorCode.INVALID_REQUEST, errorMessage)
}

function outcome(errorCode: number, errorMessage: string | null): Outcome {
  return { errorCode, errorMessage }
}
