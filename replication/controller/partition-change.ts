// A wish about one partition under the cluster's present circumstances, as the record that fulfils it: who may lead,
// what min ISR counts, whether the topic would rather lose records than wait, where new replicas are kept.
import type { BrokerId } from '../../protocol/types.ts'
import { ResourceType } from '../metadata/delta.ts'
import type { MetadataImage, Topic } from '../metadata/image.ts'
import { isDirectoryOnline } from '../metadata/partition.ts'
import type { MetadataRecord } from '../metadata/records.ts'
import { defaultDirectory, isActive, isElrEnabled, type Rules, recordFor } from './decision.ts'
import { changePartition, type Wish } from './election.ts'

export type PartitionChangeRecord = Extract<MetadataRecord, { type: 'PartitionChangeRecord' }>

const MIN_ISR = 'min.insync.replicas'
/** Records name directories since 3.7-IV2 (KIP-858). */
const LEVEL_WITH_DIRECTORIES = 17

/**
 * Null where nothing changes. A wish without an election gets the topic's: unclean if its settings say so. `isLive`
 * says who counts as live where the image does not know it yet.
 */
export function partitionChange(
  image: MetadataImage,
  topic: Topic,
  partitionId: number,
  wish: Wish,
  rules: Rules,
  isLive: (brokerId: BrokerId) => boolean = id => isActive(image.brokers.get(id))
): PartitionChangeRecord | null {
  const partition = topic.partitions[partitionId]
  if (!partition) return null
  const configs = image.configs(ResourceType.TOPIC, topic.name)
  const election = wish.election ?? (rules.mayElectUnclean(configs) ? 'unclean' : 'online')
  const change = changePartition(
    partition,
    { ...wish, election },
    {
      mayLead: id => isLive(id) && isDirectoryOnline(partition, id, image.brokers.get(id)?.logDirs ?? []),
      minIsr: minIsrOf(image, configs, rules),
      elrEnabled: isElrEnabled(image),
      directoryOf: image.metadataVersion >= LEVEL_WITH_DIRECTORIES ? id => defaultDirectory(image, id) : null
    }
  )
  if (!change) return null
  const record = recordFor(image)('PartitionChangeRecord', { topicId: topic.topicId, partitionId, ...change })
  return record as PartitionChangeRecord
}

/** The newest setting, committed or not: who counts as eligible by an older one may miss records later (KIP-966). */
function minIsrOf(image: MetadataImage, configs: ReadonlyMap<string, string>, rules: Rules): number {
  const ofCluster = image.configs(ResourceType.BROKER, '').get(MIN_ISR)
  const isOwn = configs.has(MIN_ISR) || ofCluster === undefined
  return rules.minInsyncReplicas(isOwn ? configs : new Map([[MIN_ISR, ofCluster]]))
}
