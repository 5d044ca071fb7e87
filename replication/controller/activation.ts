// What a controller writes when it takes over (metadata/.../ActivationRecordsGenerator.java): a new cluster's first
// records, its id, and the controller's own registration (KIP-919): where it is and what it supports.
import type { controllerRegistration } from '../../protocol/messages/controller-registration.ts'
import type { RequestOf } from '../../protocol/schema.ts'
import type { BrokerId, Uuid } from '../../protocol/types.ts'
import { ResourceType } from '../metadata/delta.ts'
import type { MetadataImage } from '../metadata/image.ts'
import { type MetadataRecord, recordAt } from '../metadata/records.ts'
import { type Decision, DONE, type Outcome } from './decision.ts'
import { FEATURES, initialFeatureRecords } from './features.ts'

export interface Endpoint {
  readonly name: string
  readonly host: string
  readonly port: number
  /** SecurityProtocol.java: 0 PLAINTEXT, 1 SSL, 2 SASL_PLAINTEXT, 3 SASL_SSL. */
  readonly securityProtocol: number
}

/** What a controller says of itself (KIP-919). */
export interface ControllerFacts {
  readonly nodeId: BrokerId
  readonly incarnationId: Uuid
  readonly controllerEndPoints: readonly Endpoint[]
}

export interface ActivationFacts extends ControllerFacts {
  /** The static setting: it becomes the cluster's, since eligible leader replicas need one that all agree on (KIP-966). */
  readonly minInsyncReplicas: number
  /** The records of bootstrap.checkpoint, for a cluster that has none yet. */
  readonly bootstrap: readonly MetadataRecord[]
  /** Asked where the records name no cluster id yet. */
  readonly newClusterId: () => Uuid
}

/** Under this name, as a setting of all brokers, the records say which cluster they are of: nodes that begin with an
 *  empty directory learn it there. */
export const CLUSTER_ID = 'moldau.cluster.id'

export function clusterIdOf(image: MetadataImage): Uuid | null {
  return image.configs(ResourceType.BROKER, '').get(CLUSTER_ID) ?? null
}

export function decideActivation(image: MetadataImage, facts: ActivationFacts): Decision<null> {
  const records: MetadataRecord[] = []
  let level = image.metadataVersion
  const setForAll = (name: string, value: string) => {
    const setting = { resourceType: ResourceType.BROKER, resourceName: '', name, value }
    records.push(recordAt(level, 'ConfigRecord', setting))
  }
  if (image.isInTransaction) {
    // Its controller died in it; what follows would count as a part of it.
    records.push(recordAt(level, 'AbortTransactionRecord', { reason: 'Controller failover' }))
  }
  if (level === 0) {
    records.push(...(facts.bootstrap.length > 0 ? facts.bootstrap : initialFeatureRecords()))
    level = featureLevel(records, 'metadata.version')
    if (featureLevel(records, 'eligible.leader.replicas.version') > 0) {
      setForAll('min.insync.replicas', String(facts.minInsyncReplicas))
    }
  }
  if (clusterIdOf(image) === null) setForAll(CLUSTER_ID, facts.newClusterId())
  const { nodeId, incarnationId, controllerEndPoints } = facts
  if (image.controllers.get(nodeId)?.incarnationId !== incarnationId) {
    records.push(registered(level, nodeId, incarnationId, controllerEndPoints, OWN_FEATURES))
  }
  return { records, reply: null }
}

/** A controller that takes part in the quorum says where it is (ClusterControlManager.registerController). */
export function decideRegisterController(
  image: MetadataImage,
  request: RequestOf<typeof controllerRegistration>
): Decision<Outcome> {
  const { controllerId, incarnationId, listeners, features } = request
  if (image.controllers.get(controllerId)?.incarnationId === incarnationId) return { records: [], reply: DONE }
  const record = registered(image.metadataVersion, controllerId, incarnationId, listeners, features)
  return { records: [record], reply: DONE }
}

type Registration = RequestOf<typeof controllerRegistration>

export const OWN_FEATURES: Registration['features'] = FEATURES.map(({ name, minVersion, maxVersion }) => ({
  name,
  minSupportedVersion: minVersion,
  maxSupportedVersion: maxVersion
}))

function registered(
  level: number,
  controllerId: BrokerId,
  incarnationId: Uuid,
  endPoints: readonly Endpoint[],
  features: Registration['features']
): MetadataRecord {
  return recordAt(level, 'RegisterControllerRecord', { controllerId, incarnationId, endPoints, features })
}

function featureLevel(records: readonly MetadataRecord[], name: string): number {
  for (const entry of records) {
    if (entry.type === 'FeatureLevelRecord' && entry.record.name === name) return entry.record.featureLevel
  }
  return 0
}
