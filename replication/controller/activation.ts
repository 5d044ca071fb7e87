// What a controller writes when it takes over (metadata/.../ActivationRecordsGenerator.java): a new cluster's first
// records, and its own registration (KIP-919), so that the cluster knows where it is and what it supports.
import type { BrokerId, Uuid } from '../../protocol/types.ts'
import { ResourceType } from '../metadata/delta.ts'
import type { MetadataImage } from '../metadata/image.ts'
import { type MetadataRecord, recordAt } from '../metadata/records.ts'
import type { Decision } from './decision.ts'
import { FEATURES, initialFeatureRecords } from './features.ts'

export interface Endpoint {
  readonly name: string
  readonly host: string
  readonly port: number
  /** SecurityProtocol.java: 0 PLAINTEXT, 1 SSL, 2 SASL_PLAINTEXT, 3 SASL_SSL. */
  readonly securityProtocol: number
}

export interface ActivationFacts {
  readonly nodeId: BrokerId
  readonly incarnationId: Uuid
  readonly controllerEndPoints: readonly Endpoint[]
  /** The static setting: it becomes the cluster's, since eligible leader replicas need one that all agree on (KIP-966). */
  readonly minInsyncReplicas: number
  /** The records of bootstrap.checkpoint, for a cluster that has none yet. */
  readonly bootstrap: readonly MetadataRecord[]
}

export function decideActivation(image: MetadataImage, facts: ActivationFacts): Decision<null> {
  const records: MetadataRecord[] = []
  let level = image.metadataVersion
  if (level === 0) {
    records.push(...(facts.bootstrap.length > 0 ? facts.bootstrap : initialFeatureRecords()))
    level = featureLevel(records, 'metadata.version')
    if (featureLevel(records, 'eligible.leader.replicas.version') > 0) {
      const setting = { name: 'min.insync.replicas', value: String(facts.minInsyncReplicas) }
      records.push(recordAt(level, 'ConfigRecord', { resourceType: ResourceType.BROKER, resourceName: '', ...setting }))
    }
  }
  records.push(
    recordAt(level, 'RegisterControllerRecord', {
      controllerId: facts.nodeId,
      incarnationId: facts.incarnationId,
      endPoints: facts.controllerEndPoints,
      features: FEATURES.map(({ name, minVersion, maxVersion }) => ({
        name,
        minSupportedVersion: minVersion,
        maxSupportedVersion: maxVersion
      }))
    })
  )
  return { records, reply: null }
}

function featureLevel(records: readonly MetadataRecord[], name: string): number {
  for (const entry of records) {
    if (entry.type === 'FeatureLevelRecord' && entry.record.name === name) return entry.record.featureLevel
  }
  return 0
}
