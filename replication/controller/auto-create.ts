// Topics that nobody creates by hand: those that a client names in Metadata, and the broker's own. The replication
// factor of the broker's own topics is at most the number of live brokers: a small cluster can use groups at once,
// where Kafka would let consumers wait for ever (core/.../AutoTopicCreationManager.scala refuses instead).
import { ErrorCode } from '../../protocol/errors.ts'
import type { MetadataImage } from '../metadata/image.ts'
import { type Decision, isActive, type Rules } from './decision.ts'
import { CONSUMER_OFFSETS } from './topic-names.ts'
import { type CreatedTopic, decideCreateTopics } from './topics.ts'

/** The settings of `__consumer_offsets`. */
export interface AutoCreation {
  readonly offsetsPartitions: number
  readonly offsetsReplicationFactor: number
  readonly offsetsSegmentBytes: number
}

/** A topic that exists counts as made: two clients may have asked at the same time. */
export function decideAutoCreate(
  image: MetadataImage,
  names: readonly string[],
  settings: AutoCreation,
  rules: Rules
): Decision<CreatedTopic[]> {
  const topics = names.map(name => (name === CONSUMER_OFFSETS ? offsetsTopic(image, settings) : plainTopic(name)))
  const { records, reply } = decideCreateTopics(image, { topics, validateOnly: false }, rules)
  return {
    records,
    reply: reply.map(one => (one.errorCode === ErrorCode.TOPIC_ALREADY_EXISTS ? asMade(image, one) : one))
  }
}

function plainTopic(name: string) {
  return { name, numPartitions: -1, replicationFactor: -1, assignments: [], configs: [] }
}

function offsetsTopic(image: MetadataImage, settings: AutoCreation) {
  const live = [...image.brokers.values()].filter(isActive).length
  return {
    ...plainTopic(CONSUMER_OFFSETS),
    numPartitions: settings.offsetsPartitions,
    replicationFactor: Math.max(1, Math.min(settings.offsetsReplicationFactor, live)),
    configs: [
      { name: 'compression.type', value: 'producer' },
      { name: 'cleanup.policy', value: 'compact' },
      { name: 'segment.bytes', value: String(settings.offsetsSegmentBytes) }
    ]
  }
}

function asMade(image: MetadataImage, one: CreatedTopic): CreatedTopic {
  const topic = image.topicsByName.get(one.name)
  return topic ? { ...one, topicId: topic.topicId, errorCode: ErrorCode.NONE, errorMessage: null } : one
}
