// What a run of metadata records changed, for those who follow the image: they look up the new state themselves.
import type { BrokerId, Uuid } from '../../protocol/types.ts'
import type { Topic } from './image.ts'

/** ConfigResource.Type: what a config record's resourceType means. */
export const ResourceType = { TOPIC: 2, BROKER: 4, BROKER_LOGGER: 8, CLIENT_METRICS: 16, GROUP: 32 } as const

export interface ConfigResource {
  readonly resourceType: number
  readonly resourceName: string
}

export class MetadataDelta {
  readonly createdTopics = new Set<Uuid>()
  /** Topics that are gone, as they were. */
  readonly deletedTopics = new Map<Uuid, Topic>()
  /** Partitions that are new or changed, by topic id; none of a deleted topic. */
  readonly partitions = new Map<Uuid, Set<number>>()
  readonly brokers = new Set<BrokerId>()
  readonly controllers = new Set<BrokerId>()
  readonly #configs = new Map<string, ConfigResource>()
  featuresChanged = false
  clientQuotasChanged = false
  scramChanged = false
  aclsChanged = false
  delegationTokensChanged = false
  producerIdsChanged = false

  get configs(): Iterable<ConfigResource> {
    return this.#configs.values()
  }

  topicCreated(topicId: Uuid): void {
    this.createdTopics.add(topicId)
  }

  topicDeleted(topic: Topic): void {
    this.createdTopics.delete(topic.topicId)
    this.partitions.delete(topic.topicId)
    this.deletedTopics.set(topic.topicId, topic)
  }

  partitionChanged(topicId: Uuid, partitionId: number): void {
    const known = this.partitions.get(topicId)
    if (known) known.add(partitionId)
    else this.partitions.set(topicId, new Set([partitionId]))
  }

  configChanged(resourceType: number, resourceName: string): void {
    this.#configs.set(`${resourceType} ${resourceName}`, { resourceType, resourceName })
  }
}

/** Keeps nothing but the ids of nodes: one serves all who do not ask. */
export class UnheardDelta extends MetadataDelta {
  override topicCreated(): void {}
  override topicDeleted(): void {}
  override partitionChanged(): void {}
  override configChanged(): void {}
}
