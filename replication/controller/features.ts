// Features of the cluster (KIP-584, KIP-1022): what this broker can, what a new cluster begins with, and whether the
// two fit. Clients pick protocols by the finalised levels, so a level says no more than what works here.
import { MoldauError } from '../../protocol/failure.ts'
import type { MetadataImage } from '../metadata/image.ts'
import { type MetadataRecord, recordAt } from '../metadata/records.ts'

export interface Feature {
  readonly name: string
  readonly minVersion: number
  readonly maxVersion: number
  /** The level of a newly formatted cluster. */
  readonly initial: number
}

/** 3.3-IV3, the first that may be in production, and 4.3-IV0, the one that Kafka 4.3 formats. */
const METADATA_VERSION_MIN = 7
export const METADATA_VERSION = 30

export const FEATURES: readonly Feature[] = [
  {
    name: 'metadata.version',
    minVersion: METADATA_VERSION_MIN,
    maxVersion: METADATA_VERSION,
    initial: METADATA_VERSION
  },
  { name: 'kraft.version', minVersion: 0, maxVersion: 0, initial: 0 },
  { name: 'eligible.leader.replicas.version', minVersion: 0, maxVersion: 1, initial: 1 },
  { name: 'group.version', minVersion: 0, maxVersion: 0, initial: 0 },
  { name: 'transaction.version', minVersion: 0, maxVersion: 0, initial: 0 },
  { name: 'share.version', minVersion: 0, maxVersion: 0, initial: 0 },
  { name: 'streams.version', minVersion: 0, maxVersion: 0, initial: 0 }
]

/** Null if a node that supports `range` can live with the finalised level. */
export function featureFault(
  name: string,
  level: number,
  range: readonly [minVersion: number, maxVersion: number] = [0, 0]
): string | null {
  if (level === 0 || (level >= range[0] && level <= range[1])) return null
  return `the cluster has ${name} at ${level}, outside of the supported range ${range[0]}-${range[1]}`
}

/** Refuses records of a later or richer cluster, naming the feature: guessing at them would lose what they mean. */
export function checkFeatures(image: MetadataImage): void {
  for (const [name, level] of image.features) {
    const own = FEATURES.find(feature => feature.name === name)
    const fault = featureFault(name, level, own && [own.minVersion, own.maxVersion])
    if (fault !== null) throw new MoldauError('ERR_WRONG_DIRECTORY', `${fault}: this data needs a later moldau`)
  }
}

/** The levels that a new cluster begins with, metadata.version first: what bootstrap.checkpoint holds. */
export function initialFeatureRecords(): MetadataRecord[] {
  return FEATURES.filter(feature => feature.initial > 0).map(({ name, initial }) =>
    recordAt(METADATA_VERSION, 'FeatureLevelRecord', { name, featureLevel: initial })
  )
}
