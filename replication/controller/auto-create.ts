// Topics that nobody creates by hand: those that a client names in Metadata, and the broker's own. The replication
// factor of the broker's own topics is at most the number of brokers that the cluster has: a small cluster can use
// groups, where Kafka would let consumers wait for ever (core/.../AutoTopicCreationManager.scala refuses instead).
import type { createTopics } from '../../protocol/messages/create-topics.ts'
import type { RequestDraft } from '../../protocol/schema.ts'
import type { MetadataImage } from '../metadata/image.ts'
import { CONSUMER_OFFSETS } from './topic-names.ts'

/** The settings of `__consumer_offsets`. */
export interface AutoCreation {
  readonly offsetsPartitions: number
  readonly offsetsReplicationFactor: number
  readonly offsetsSegmentBytes: number
  /** How many brokers this cluster is meant to have, at least. */
  readonly brokersMeant: number
}

type Creatable = RequestDraft<typeof createTopics>['topics']

/** What to ask the controller for. That a topic exists by then means that somebody else asked at the same time. */
export function autoTopics(image: MetadataImage, names: readonly string[], settings: AutoCreation): Creatable {
  return names.map(name => (name === CONSUMER_OFFSETS ? offsetsTopic(image, settings) : plainTopic(name)))
}

function plainTopic(name: string) {
  return { name, numPartitions: -1, replicationFactor: -1, assignments: [], configs: [] }
}

/** Brokers that are not up yet, or down, are counted: else the first group of a cluster that starts would keep its
 *  offsets on one of them for ever. */
function offsetsTopic(image: MetadataImage, settings: AutoCreation) {
  const brokers = Math.max(image.brokers.size, settings.brokersMeant)
  return {
    ...plainTopic(CONSUMER_OFFSETS),
    numPartitions: settings.offsetsPartitions,
    replicationFactor: Math.max(1, Math.min(settings.offsetsReplicationFactor, brokers)),
    configs: [
      { name: 'compression.type', value: 'producer' },
      { name: 'cleanup.policy', value: 'compact' },
      { name: 'segment.bytes', value: String(settings.offsetsSegmentBytes) }
    ]
  }
}
