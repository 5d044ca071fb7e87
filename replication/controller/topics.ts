// Creating and deleting topics, and adding partitions to them: the checks in Kafka's order with Kafka's error codes
// (metadata/.../ReplicationControlManager.java). A request is one atomic batch; each topic in it succeeds or fails alone.
import { ErrorCode } from '../../protocol/errors.ts'
import type { createPartitions } from '../../protocol/messages/create-partitions.ts'
import type { createTopics } from '../../protocol/messages/create-topics.ts'
import type { deleteTopics } from '../../protocol/messages/delete-topics.ts'
import type { RequestOf } from '../../protocol/schema.ts'
import { type BrokerId, type Uuid, ZERO_UUID } from '../../protocol/types.ts'
import { ResourceType } from '../metadata/delta.ts'
import type { MetadataImage, Topic } from '../metadata/image.ts'
import { type Partition, recordFieldsOf } from '../metadata/partition.ts'
import type { MetadataRecord } from '../metadata/records.ts'
import {
  type Decision,
  DONE,
  defaultDirectory,
  isActive,
  type Outcome,
  RECORDS_MAX,
  type Rules,
  recordFor,
  refused
} from './decision.ts'
import { newPartition } from './election.ts'
import { placeReplicas, replicasFault } from './placement.ts'
import { collisionKey, METADATA_TOPIC, mayCollide, topicNameFault } from './topic-names.ts'

type CreatableTopic = RequestOf<typeof createTopics>['topics'][number]

export interface CreatedTopic extends Outcome {
  readonly name: string
  readonly topicId: Uuid
  readonly partitionCount: number
  readonly replicationFactor: number
  /** The settings it was created with. */
  readonly configs: ReadonlyMap<string, string>
}

export function decideCreateTopics(
  image: MetadataImage,
  request: Pick<RequestOf<typeof createTopics>, 'topics' | 'validateOnly'>,
  rules: Rules
): Decision<CreatedTopic[]> {
  const records: MetadataRecord[] = []
  const taken = collisionNames(image, request.topics)
  const reply = [...grouped(request.topics, topic => topic.name)].map(([name, [topic, twice]]) => {
    const made = twice
      ? refused(ErrorCode.INVALID_REQUEST, 'Duplicate topic name.')
      : createOne(image, topic, taken, RECORDS_MAX - records.length, rules)
    if ('errorCode' in made) return notCreated(name, made)
    taken.set(collisionKey(name), name)
    records.push(...made.records)
    return made.created
  })
  return { records: request.validateOnly ? [] : records, reply }
}

/** In the order in which the keys first came. */
function grouped<T>(list: readonly T[], keyOf: (one: T) => string): Map<string, [T, ...T[]]> {
  const groups = new Map<string, [T, ...T[]]>()
  for (const one of list) {
    const group = groups.get(keyOf(one))
    if (group) group.push(one)
    else groups.set(keyOf(one), [one])
  }
  return groups
}

/** Existing names by what they must not share; looked up only where a new name could collide. */
function collisionNames(image: MetadataImage, topics: readonly CreatableTopic[]): Map<string, string> {
  if (!topics.some(({ name }) => mayCollide(name))) return new Map()
  return new Map([...image.topicsByName.keys()].map(name => [collisionKey(name), name]))
}

function notCreated(name: string, outcome: Outcome): CreatedTopic {
  return { name, topicId: ZERO_UUID, partitionCount: -1, replicationFactor: -1, configs: new Map(), ...outcome }
}

function createOne(
  image: MetadataImage,
  topic: CreatableTopic,
  taken: ReadonlyMap<string, string>,
  recordsMax: number,
  rules: Rules
): Outcome | { records: MetadataRecord[]; created: CreatedTopic } {
  const fault = nameFault(image, topic.name, taken)
  if (fault) return fault
  const missing = topic.configs.filter(config => config.value === null)
  if (missing.length > 0) {
    const list = missing.map(config => config.name).join(',')
    return refused(ErrorCode.INVALID_CONFIG, `Null value not supported for topic configs: ${list}`)
  }
  const configs = new Map(topic.configs.map(({ name, value }) => [name, value as string]))
  const configFault = rules.configFault(ResourceType.TOPIC, topic.name, configs)
  if (configFault !== null) return refused(ErrorCode.INVALID_CONFIG, configFault)
  const partitions = partitionsOf(image, topic, recordsMax - 1 - configs.size, rules)
  if ('errorCode' in partitions) return partitions

  const topicId = rules.random.uuid()
  const make = recordFor(image)
  const records = [make('TopicRecord', { name: topic.name, topicId })]
  for (const [name, value] of configs) {
    records.push(make('ConfigRecord', { resourceType: ResourceType.TOPIC, resourceName: topic.name, name, value }))
  }
  for (const [id, partition] of partitions.entries()) {
    records.push(make('PartitionRecord', recordFieldsOf(topicId, id, partition)))
  }
  const replicationFactor = (partitions[0] as Partition).replicas.length
  const created = { name: topic.name, topicId, partitionCount: partitions.length, replicationFactor, configs, ...DONE }
  return { records, created }
}

function nameFault(image: MetadataImage, name: string, taken: ReadonlyMap<string, string>): Outcome | null {
  // Nobody may create what would shadow the metadata log (ControllerApis.createTopics).
  if (name === METADATA_TOPIC) return refused(ErrorCode.TOPIC_AUTHORIZATION_FAILED)
  const fault = topicNameFault(name)
  if (fault !== null) return refused(ErrorCode.INVALID_TOPIC_EXCEPTION, fault)
  if (image.topicsByName.has(name)) return refused(ErrorCode.TOPIC_ALREADY_EXISTS, `Topic '${name}' already exists.`)
  const other = mayCollide(name) ? taken.get(collisionKey(name)) : undefined
  if (other === undefined) return null
  return refused(ErrorCode.INVALID_TOPIC_EXCEPTION, `Topic '${name}' collides with existing topic: ${other}`)
}

const TOO_MANY = refused(ErrorCode.POLICY_VIOLATION, 'Excessively large number of partitions per request.')

function partitionsOf(
  image: MetadataImage,
  topic: CreatableTopic,
  countMax: number,
  rules: Rules
): Outcome | Partition[] {
  if (topic.assignments.length > countMax) return TOO_MANY
  if (topic.assignments.length > 0) return assignedPartitions(image, topic)
  if (topic.replicationFactor < -1 || topic.replicationFactor === 0) {
    const message = 'Replication factor must be larger than 0, or -1 to use the default value.'
    return refused(ErrorCode.INVALID_REPLICATION_FACTOR, message)
  }
  if (topic.numPartitions < -1 || topic.numPartitions === 0) {
    return refused(ErrorCode.INVALID_PARTITIONS, 'Number of partitions was set to an invalid non-positive value.')
  }
  const count = topic.numPartitions === -1 ? rules.numPartitions : topic.numPartitions
  if (count > countMax) return TOO_MANY
  const factor = topic.replicationFactor === -1 ? rules.defaultReplicationFactor : topic.replicationFactor
  return placedPartitions(image, count, factor, rules)
}

function placedPartitions(image: MetadataImage, count: number, factor: number, rules: Rules): Outcome | Partition[] {
  // Who stops may come back, as one that died may: Kafka counts it out until it has stopped, so that a client that needs
  // a new topic while nodes are restarted in turn is refused for good.
  const brokers = [...image.brokers.values()].map(one => ({ ...one, fenced: !isActive(one) }))
  const placed = placeReplicas(brokers, count, factor, rules.random)
  if (typeof placed === 'string') {
    const message = `Unable to replicate the partition ${factor} time(s): ${placed}`
    return refused(ErrorCode.INVALID_REPLICATION_FACTOR, message)
  }
  return placed.map(replicas => partitionOn(image, replicas))
}

function partitionOn(image: MetadataImage, replicas: readonly BrokerId[]): Partition {
  const isr = replicas.filter(id => isActive(image.brokers.get(id)))
  const directories = replicas.map(id => defaultDirectory(image, id))
  return newPartition(replicas, isr, directories)
}

function assignedPartitions(image: MetadataImage, topic: CreatableTopic): Outcome | Partition[] {
  const manual = 'A manual partition assignment was specified, but'
  if (topic.replicationFactor !== -1) {
    return refused(ErrorCode.INVALID_REQUEST, `${manual} replication factor was not set to -1.`)
  }
  if (topic.numPartitions !== -1) {
    return refused(ErrorCode.INVALID_REQUEST, `${manual} numPartitions was not set to -1.`)
  }
  const partitions: Partition[] = []
  const seen = new Set<number>()
  for (const { partitionIndex, brokerIds } of topic.assignments) {
    if (seen.has(partitionIndex)) {
      const message = `Found multiple manual partition assignments for partition ${partitionIndex}`
      return refused(ErrorCode.INVALID_REPLICA_ASSIGNMENT, message)
    }
    seen.add(partitionIndex)
    const fault = assignmentFault(image, brokerIds, topic.assignments[0]?.brokerIds.length ?? 0, partitionIndex)
    if (fault) return fault
    if (partitionIndex >= 0 && partitionIndex < topic.assignments.length) {
      partitions[partitionIndex] = partitionOn(image, brokerIds)
    }
  }
  for (let id = 0; id < seen.size; id++) {
    if (!seen.has(id)) {
      const message = 'partitions should be a consecutive 0-based integer sequence'
      return refused(ErrorCode.INVALID_REPLICA_ASSIGNMENT, message)
    }
  }
  return partitions
}

function assignmentFault(
  image: MetadataImage,
  replicas: readonly BrokerId[],
  factor: number,
  id: number
): Outcome | null {
  const fault = (message: string) => refused(ErrorCode.INVALID_REPLICA_ASSIGNMENT, message)
  const message = replicasFault(image.brokers, replicas)
  if (message !== null) return fault(message)
  if (replicas.length !== factor) {
    return fault(
      `The manual partition assignment includes a partition with ${replicas.length} replica(s), but this is not consistent with previous partitions, which have ${factor} replica(s).`
    )
  }
  if (replicas.some(broker => isActive(image.brokers.get(broker)))) return null
  return fault(
    `All brokers specified in the manual partition assignment for partition ${id} are fenced or in controlled shutdown.`
  )
}

export interface DeletedTopic extends Outcome {
  readonly name: string | null
  readonly topicId: Uuid
}

type Wanted = RequestOf<typeof deleteTopics>['topics'][number]

/** `topics` names topics by name (then with the zero id) or by id (then with null), never both (ControllerApis.deleteTopics). */
export function decideDeleteTopics(
  image: MetadataImage,
  topics: readonly Wanted[],
  rules: Rules
): Decision<DeletedTopic[]> {
  const records: MetadataRecord[] = []
  const make = recordFor(image)
  const doomed = new Set<Uuid>()
  const reply = [...grouped(topics, nameOrId).values()].map(([{ name, topicId }, isDuplicate]): DeletedTopic => {
    const found = findTopic(image, name, topicId)
    const named = { name: name ?? ('errorCode' in found ? null : found.name), topicId }
    if (isDuplicate) return { ...named, ...refused(ErrorCode.INVALID_REQUEST, 'Duplicate topic name or id.') }
    if ('errorCode' in found) return { ...named, ...found }
    if (!rules.deleteTopicEnable) return { ...named, ...refused(ErrorCode.TOPIC_DELETION_DISABLED) }
    if (doomed.has(found.topicId)) {
      const message = 'The provided topic name maps to an ID that was already supplied.'
      return { ...named, ...refused(ErrorCode.INVALID_REQUEST, message) }
    }
    doomed.add(found.topicId)
    records.push(make('RemoveTopicRecord', { topicId: found.topicId }))
    return { name: found.name, topicId: found.topicId, ...DONE }
  })
  return { records, reply }
}

function nameOrId({ name, topicId }: Wanted): string {
  return `${topicId} ${name ?? ''}`
}

function findTopic(image: MetadataImage, name: string | null, topicId: Uuid): Outcome | Topic {
  if (name !== null && topicId !== ZERO_UUID) {
    return refused(ErrorCode.INVALID_REQUEST, 'You may not specify both topic name and topic id.')
  }
  if (name === null && topicId === ZERO_UUID) {
    return refused(ErrorCode.INVALID_REQUEST, 'Neither topic name nor id were specified.')
  }
  const topic = name === null ? image.topicsById.get(topicId) : image.topicsByName.get(name)
  if (topic) return topic
  return refused(name === null ? ErrorCode.UNKNOWN_TOPIC_ID : ErrorCode.UNKNOWN_TOPIC_OR_PARTITION)
}

export interface GrownTopic extends Outcome {
  readonly name: string
}

type GrowingTopic = RequestOf<typeof createPartitions>['topics'][number]

export function decideCreatePartitions(
  image: MetadataImage,
  request: Pick<RequestOf<typeof createPartitions>, 'topics' | 'validateOnly'>,
  rules: Rules
): Decision<GrownTopic[]> {
  const records: MetadataRecord[] = []
  const make = recordFor(image)
  const reply = [...grouped(request.topics, topic => topic.name)].map(([name, [asked, twice]]): GrownTopic => {
    if (twice) return { name, ...refused(ErrorCode.INVALID_REQUEST, 'Duplicate topic name.') }
    const topic = image.topicsByName.get(name)
    if (!topic) return { name, ...refused(ErrorCode.UNKNOWN_TOPIC_OR_PARTITION) }
    const grown = grow(image, topic, asked, RECORDS_MAX - records.length, rules)
    if ('errorCode' in grown) return { name, ...grown }
    const first = topic.partitions.length
    for (const [index, partition] of grown.entries()) {
      records.push(make('PartitionRecord', recordFieldsOf(topic.topicId, first + index, partition)))
    }
    return { name, ...DONE }
  })
  return { records: request.validateOnly ? [] : records, reply }
}

function grow(
  image: MetadataImage,
  topic: Topic,
  asked: GrowingTopic,
  countMax: number,
  rules: Rules
): Outcome | Partition[] {
  const present = topic.partitions.length
  if (asked.count === present) {
    return refused(ErrorCode.INVALID_PARTITIONS, `Topic already has ${present} partition(s).`)
  }
  if (asked.count < present) {
    const message = `The topic ${topic.name} currently has ${present} partition(s); ${asked.count} would not be an increase.`
    return refused(ErrorCode.INVALID_PARTITIONS, message)
  }
  const additional = asked.count - present
  if (additional > countMax) return TOO_MANY
  const factor = topic.partitions[0]?.replicas.length ?? 1
  if (asked.assignments === null) return placedPartitions(image, additional, factor, rules)
  if (asked.assignments.length !== additional) {
    const message = `Attempted to add ${additional} additional partition(s), but only ${asked.assignments.length} assignment(s) were specified.`
    return refused(ErrorCode.INVALID_REPLICA_ASSIGNMENT, message)
  }
  const partitions: Partition[] = []
  for (const [index, { brokerIds }] of asked.assignments.entries()) {
    const fault = assignmentFault(image, brokerIds, factor, present + index)
    if (fault) return fault
    partitions.push(partitionOn(image, brokerIds))
  }
  return partitions
}
