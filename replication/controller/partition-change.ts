// A wish about one partition under the cluster's present circumstances, as the record that fulfils it: who may lead,
// what min ISR counts, whether the topic would rather lose records than wait, where new replicas are kept.
import type { BrokerId } from '../../protocol/types.ts'
import { ResourceType } from '../metadata/delta.ts'
import type { MetadataImage, Topic } from '../metadata/image.ts'
import { isDirectoryOnline, RECOVERING } from '../metadata/partition.ts'
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

/**
 * Nobody is eligible by an old minimum any more (KIP-966): of a topic, or of all where the name is empty. A partition
 * without anybody in sync is told at once who was: with no leader nothing was committed since. Kafka takes that away, and
 * with it the only way back that loses nothing: a topic of one replica, whose broker is down at that moment, would wait
 * for an unclean election for ever.
 */
export function clearElr(image: MetadataImage, topicName: string): MetadataRecord[] {
  const records = [recordFor(image)('ClearElrRecord', { topicName })]
  for (const [ids, { elr, lastKnownElr }] of withoutIsr(image, topicName)) {
    const change = { ...ids, eligibleLeaderReplicas: elr, lastKnownElr }
    records.push(recordFor(image)('PartitionChangeRecord', change))
  }
  return records
}

/**
 * As clearElr, for all topics, where the feature is switched off: older clusters know no eligible replicas, and keep the
 * last ones in sync instead. The last known leader is one whose log may be shorter: it leads as recovering.
 */
export function dropElr(image: MetadataImage): MetadataRecord[] {
  const records = [recordFor(image)('ClearElrRecord', { topicName: '' })]
  for (const [ids, { elr, lastKnownElr }] of withoutIsr(image, '')) {
    const change = elr.length > 0 ? { isr: elr } : { isr: lastKnownElr, leaderRecoveryState: RECOVERING }
    records.push(recordFor(image)('PartitionChangeRecord', { ...ids, ...change }))
  }
  return records
}

/** Partitions with nobody in sync, of whom it is known who may lead next. */
function* withoutIsr(image: MetadataImage, topicName: string) {
  for (const { name, topicId, partitions } of image.topicsByName.values()) {
    if (topicName !== '' && name !== topicName) continue
    for (const [partitionId, partition] of partitions.entries()) {
      const isKnown = partition.elr.length > 0 || partition.lastKnownElr.length > 0
      if (partition.isr.length === 0 && isKnown) yield [{ topicId, partitionId }, partition] as const
    }
  }
}

/** The newest setting, committed or not: who counts as eligible by an older one may miss records later (KIP-966). */
function minIsrOf(image: MetadataImage, configs: ReadonlyMap<string, string>, rules: Rules): number {
  const ofCluster = image.configs(ResourceType.BROKER, '').get(MIN_ISR)
  const isOwn = configs.has(MIN_ISR) || ofCluster === undefined
  return rules.minInsyncReplicas(isOwn ? configs : new Map([[MIN_ISR, ofCluster]]))
}
