// How the replicas of one broker are, counted when somebody looks: nothing is kept up to date for it. Kafka's meanings
// (Partition.scala, isUnderReplicated, isUnderMinIsr): what the leader says of what it leads.
import { NO_LEADER } from '../../replication/metadata/partition.ts'
import { partitionName } from '../../storage/partition-names.ts'
import type { Services } from '../services.ts'

export type Figured = Pick<Services, 'nodeId' | 'metadata'> & {
  readonly partitions: Pick<Services['partitions'], 'all' | 'get'>
  readonly catalog: Pick<Services['catalog'], 'isOffline' | 'refusals'>
  readonly controller: Pick<Services['controller'], 'isActive'>
}

export function replicaFigures({ nodeId, metadata, partitions, catalog, controller }: Figured) {
  const figures = { partitions: 0, leaders: 0, underReplicated: 0, offlineReplicas: 0, leaderless: 0 }
  const refusals = catalog.refusals()
  for (const topic of metadata.image.topicsById.values()) {
    for (const [index, { leader, isr, replicas, addingReplicas }] of topic.partitions.entries()) {
      if (leader === NO_LEADER && controller.isActive) figures.leaderless++
      if (!replicas.includes(nodeId)) continue
      figures.partitions++
      const isRefused = refusals.size > 0 && refusals.has(partitionName({ topic: topic.name, partition: index }))
      const isOffline = isRefused || partitions.get(topic.topicId, index)?.log.isOffline === true
      if (isOffline || catalog.isOffline) figures.offlineReplicas++
      if (leader !== nodeId) continue
      figures.leaders++
      // Who is still being added is none of them yet.
      const meant = replicas.filter(id => !addingReplicas.includes(id)).length
      if (isr.length < meant) figures.underReplicated++
    }
  }
  let underMinIsr = 0
  for (const partition of partitions.all()) if (partition.hasTooFewReplicas) underMinIsr++
  return {
    ...figures,
    underMinIsr,
    offlineDirectories: catalog.isOffline ? 1 : 0,
    activeControllers: controller.isActive ? 1 : 0
  }
}
