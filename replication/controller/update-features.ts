// UpdateFeatures: other finalised levels for the whole cluster (KIP-584, KIP-778; metadata/.../FeatureControlManager.java).
// All updates of a request are made, or none: a level is taken only if every registered broker and every voter can
// live with it, and the levels fit each other.
import { ErrorCode } from '../../protocol/errors.ts'
import type { updateFeatures } from '../../protocol/messages/update-features.ts'
import type { RequestOf, ResponseDraft } from '../../protocol/schema.ts'
import type { BrokerId } from '../../protocol/types.ts'
import { ResourceType } from '../metadata/delta.ts'
import type { MetadataImage } from '../metadata/image.ts'
import type { MetadataRecord } from '../metadata/records.ts'
import { type Decision, DONE, type Outcome, type Rules, recordFor, refused } from './decision.ts'
import { FEATURES } from './features.ts'
import { dropElr } from './partition-change.ts'

type Request = RequestOf<typeof updateFeatures>
type Update = Request['featureUpdates'][number]
type Reply = ResponseDraft<typeof updateFeatures>

/** FeatureUpdate.UpgradeType */
const UPGRADE = 1
const SAFE_DOWNGRADE = 2
const UNSAFE_DOWNGRADE = 3

const METADATA_VERSION_NAME = 'metadata.version'
const ELR_NAME = 'eligible.leader.replicas.version'
const MIN_ISR = 'min.insync.replicas'
/** 4.0-IV1: partition records say who is eligible. */
const LEVEL_WITH_ELR = 23
/** Levels whose metadata an older level cannot express (MetadataVersion.didMetadataChange): no way back past them. */
const LEVELS_OF_CHANGE: readonly number[] = [7, 8, 11, 13, 14, 15, 17, 23, 30]

interface Cluster {
  /** Whoever may become the controller: none may be without word of what it supports. */
  readonly voters: readonly BrokerId[]
}

/** Versions before 2 name each feature in the answer: `results` is left out by the codec where the version has none. */
export function decideUpdateFeatures(
  image: MetadataImage,
  request: Pick<Request, 'featureUpdates' | 'validateOnly'>,
  cluster: Cluster,
  rules: Rules
): Decision<Reply> {
  const { featureUpdates, validateOnly } = request
  const levels = new Map(image.features)
  for (const { feature, maxVersionLevel } of featureUpdates) levels.set(feature, maxVersionLevel)
  for (const update of featureUpdates) {
    const fault = faultOf(image, update, levels, cluster)
    if (fault === null) continue
    const message = `Invalid update version ${update.maxVersionLevel} for feature ${update.feature}. ${fault}`
    const outcome: Outcome = refused(
      ErrorCode.INVALID_UPDATE_VERSION,
      `The update failed for all features since the following feature had an error: ${message}`
    )
    return { records: [], reply: outcome }
  }
  const results = featureUpdates.map(({ feature }) => ({ feature, ...DONE }))
  const records = validateOnly ? [] : recordsOf(image, featureUpdates, rules)
  return { records, reply: { ...DONE, results } }
}

/** Null where the update can be made; `levels` are all levels as they would be. */
function faultOf(
  image: MetadataImage,
  { feature, maxVersionLevel: level, upgradeType, allowDowngrade }: Update,
  levels: ReadonlyMap<string, number>,
  cluster: Cluster
): string | null {
  const kind = allowDowngrade ? SAFE_DOWNGRADE : upgradeType
  if (kind !== UPGRADE && kind !== SAFE_DOWNGRADE && kind !== UNSAFE_DOWNGRADE) {
    return 'The controller does not support the given upgrade type.'
  }
  if (level < 0) return 'A feature version cannot be less than 0.'
  const unsupported = whoCannot(image, feature, level, cluster)
  if (unsupported !== null) return unsupported
  const present = image.features.get(feature) ?? 0
  if (level < present && kind === UPGRADE) {
    return "Can't downgrade the version of this feature without setting the upgrade type to either safe or unsafe downgrade."
  }
  if (level > present && kind !== UPGRADE) return "Can't downgrade to a newer version."
  if (feature === METADATA_VERSION_NAME && LEVELS_OF_CHANGE.some(change => change > level && change <= present)) {
    return kind === UNSAFE_DOWNGRADE
      ? 'Unsafe metadata downgrade is not supported in this version.'
      : 'Refusing to perform the requested downgrade because it might delete metadata information.'
  }
  const metadataVersion = levels.get(METADATA_VERSION_NAME) ?? 0
  const needsElr = (levels.get(ELR_NAME) ?? 0) > 0 && (feature === ELR_NAME || feature === METADATA_VERSION_NAME)
  if (!needsElr || metadataVersion >= LEVEL_WITH_ELR) return null
  return `${ELR_NAME} needs ${METADATA_VERSION_NAME} ${LEVEL_WITH_ELR} or higher.`
}

/** Who could not live with that level, in words. Level 0 says that a feature is not there: anybody can live with that. */
function whoCannot(image: MetadataImage, feature: string, level: number, { voters }: Cluster): string | null {
  const lives = (low: number, high: number): boolean =>
    level === 0 ? feature !== METADATA_VERSION_NAME : level >= low && level <= high
  const own = FEATURES.find(({ name }) => name === feature)
  if (!own) return 'The controller does not support this feature.'
  if (!lives(own.minVersion, own.maxVersion)) {
    return `The controller only supports versions ${own.minVersion}-${own.maxVersion}`
  }
  for (const { brokerId, features } of image.brokers.values()) {
    const range = features.find(({ name }) => name === feature)
    if (lives(range?.minSupportedVersion ?? 0, range?.maxSupportedVersion ?? 0)) continue
    return range
      ? `Broker ${brokerId} only supports versions ${range.minSupportedVersion}-${range.maxSupportedVersion}`
      : `Broker ${brokerId} does not support this feature.`
  }
  for (const { controllerId, features } of image.controllers.values()) {
    const range = features.find(({ name }) => name === feature)
    if (lives(range?.minSupportedVersion ?? 0, range?.maxSupportedVersion ?? 0)) continue
    return range
      ? `Controller ${controllerId} only supports versions ${range.minSupportedVersion}-${range.maxSupportedVersion}`
      : `Controller ${controllerId} does not support this feature.`
  }
  const silent = voters.find(id => !image.controllers.has(id))
  return silent === undefined ? null : `controller ${silent} has not registered, and may not support this feature`
}

function recordsOf(image: MetadataImage, updates: readonly Update[], rules: Rules): MetadataRecord[] {
  const make = recordFor(image)
  return updates.flatMap(({ feature, maxVersionLevel }) => {
    const present = image.features.get(feature) ?? 0
    if (maxVersionLevel === present) return []
    const level = make('FeatureLevelRecord', { name: feature, featureLevel: maxVersionLevel })
    if (feature !== ELR_NAME) return [level]
    return [level, ...(maxVersionLevel > 0 ? oneMinIsr(image, rules) : dropElr(image))]
  })
}

/** Eligible leader replicas need one min ISR that all nodes agree on (ConfigurationControlManager, ELR safety records). */
function oneMinIsr(image: MetadataImage, rules: Rules): MetadataRecord[] {
  const make = recordFor(image)
  const resource = { resourceType: ResourceType.BROKER, name: MIN_ISR }
  const cluster = image.configs(ResourceType.BROKER, '').has(MIN_ISR)
    ? []
    : [make('ConfigRecord', { ...resource, resourceName: '', value: String(rules.minInsyncReplicas(new Map())) })]
  const brokers = [...image.configResources()].filter(
    ({ resourceType, resourceName }) =>
      resourceType === ResourceType.BROKER &&
      resourceName !== '' &&
      image.configs(resourceType, resourceName).has(MIN_ISR)
  )
  return [
    ...cluster,
    ...brokers.map(({ resourceName }) => make('ConfigRecord', { ...resource, resourceName, value: null }))
  ]
}
