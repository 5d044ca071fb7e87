// What changed from one committed image to a later one, where the records between them are not at hand: a snapshot took
// their place. What must hold: whoever follows deltas knows everything afterwards that the records would have told.
import { MetadataDelta } from './delta.ts'
import type { MetadataImage, Topic } from './image.ts'

/** `after` holds everything that `before` holds, changed by records. */
export function deltaBetween(before: MetadataImage, after: MetadataImage): MetadataDelta {
  const delta = new MetadataDelta()
  for (const topic of before.topicsById.values()) {
    if (!after.topicsById.has(topic.topicId)) delta.topicDeleted(topic)
  }
  for (const topic of after.topicsById.values()) changedPartitions(before.topicsById.get(topic.topicId), topic, delta)
  for (const id of changedKeys(before.brokers, after.brokers)) delta.brokers.add(id)
  for (const id of changedKeys(before.controllers, after.controllers)) delta.controllers.add(id)
  changedConfigs(before, after, delta)
  delta.featuresChanged = differs(before.features, after.features)
  delta.clientQuotasChanged = differs(before.clientQuotas, after.clientQuotas)
  delta.scramChanged = differs(before.scramCredentials, after.scramCredentials)
  delta.aclsChanged = differs(before.acls, after.acls)
  delta.delegationTokensChanged = differs(before.delegationTokens, after.delegationTokens)
  delta.producerIdsChanged = before.nextProducerId !== after.nextProducerId
  return delta
}

/** Every change of a partition raises its partition epoch. */
function changedPartitions(before: Topic | undefined, after: Topic, delta: MetadataDelta): void {
  if (before === undefined) delta.topicCreated(after.topicId)
  after.partitions.forEach((partition, id) => {
    if (before?.partitions[id]?.partitionEpoch !== partition.partitionEpoch) delta.partitionChanged(after.topicId, id)
  })
}

function changedConfigs(before: MetadataImage, after: MetadataImage, delta: MetadataDelta): void {
  for (const one of [before, after]) {
    for (const { resourceType, resourceName } of one.configResources()) {
      const was = before.configs(resourceType, resourceName)
      if (differs(was, after.configs(resourceType, resourceName))) delta.configChanged(resourceType, resourceName)
    }
  }
}

function differs(before: ReadonlyMap<unknown, unknown>, after: ReadonlyMap<unknown, unknown>): boolean {
  return !changedKeys(before, after).next().done
}

function* changedKeys<K>(before: ReadonlyMap<K, unknown>, after: ReadonlyMap<K, unknown>): Generator<K> {
  for (const [key, value] of after) {
    if (!before.has(key) || textOf(before.get(key)) !== textOf(value)) yield key
  }
  for (const key of before.keys()) if (!after.has(key)) yield key
}

/** Records and what is made of them are plain values, but for maps and 64-bit numbers. */
function textOf(value: unknown): string | undefined {
  return JSON.stringify(value, (_, each: unknown) => {
    if (each instanceof Map) return [...each]
    return typeof each === 'bigint' ? String(each) : each
  })
}
