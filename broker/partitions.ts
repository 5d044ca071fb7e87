// Every partition that this broker hosts, kept in step with the committed metadata: logs are made, reigns begin and
// end, deleted topics go. Changes are worked off in order; a topic counts as ready once its logs are open here.
import { ErrorCode } from '../protocol/errors.ts'
import { isFailure } from '../protocol/failure.ts'
import { type LeaderEpoch, type TopicPartition, type Uuid, ZERO_UUID } from '../protocol/types.ts'
import { CONSUMER_OFFSETS, INTERNAL_TOPICS } from '../replication/controller/topic-names.ts'
import { type MetadataDelta, ResourceType } from '../replication/metadata/delta.ts'
import type { MetadataImage, Topic } from '../replication/metadata/image.ts'
import type { Catalog } from '../storage/catalog.ts'
import { partitionName } from '../storage/partition-names.ts'
import type { Clock } from './clock.ts'
import type { BrokerConfig } from './config.ts'
import { Deadlines } from './deadlines.ts'
import type { IsrUpdatesOptions } from './isr-updates.ts'
import type { Logger } from './log.ts'
import type { MetadataCache } from './metadata-cache.ts'
import { Partition } from './partition.ts'
import type { ReplicaLink } from './replica-fetchers.ts'

export function isInternalTopic(topic: string): boolean {
  return INTERNAL_TOPICS.has(topic)
}

/** Where a partition is: here, led by this broker (errorCode NONE), or why not and who leads it instead. */
export type Located =
  | {
      readonly errorCode: 0
      readonly topic: string
      readonly partition: Partition
      readonly leaderId: number
      readonly leaderEpoch: LeaderEpoch
    }
  | {
      readonly errorCode: number
      readonly partition: null
      readonly topic: string
      readonly leaderId: number
      readonly leaderEpoch: LeaderEpoch
    }

/** Told when this broker begins or ends to lead a partition of `__consumer_offsets`. */
export interface OffsetsPartitionListener {
  /** Resolves when the coordinator answers for it. */
  electPartition(index: number, partition: Partition): Promise<void>
  resignPartition(index: number): void
  /** Topics that are deleted: nobody's offsets of them mean anything any more. */
  forgetTopics(names: readonly string[]): Promise<void>
}

/** What it takes to follow other brokers and to have followers. */
export interface ReplicationOptions {
  /** Of this life, -1 before it is registered. */
  readonly brokerEpoch: () => number
  /** A new connection to that broker's inter-broker endpoint, as the metadata has it when the connection opens. */
  readonly openLink: (brokerId: number) => ReplicaLink
  /** controllerChannel.alterPartition */
  readonly alterPartition: IsrUpdatesOptions['alterPartition']
  /** Monotonic, without the stalls of the event loop: what the lag of followers is measured by (Clock.monotonicMs where absent). */
  readonly lagMs?: () => number
}

export interface PartitionsOptions {
  readonly nodeId: number
  /** Without it this broker follows nobody and proposes nothing. */
  readonly replication?: ReplicationOptions
  readonly catalog: Catalog
  readonly metadata: MetadataCache
  readonly config: BrokerConfig
  readonly clock: Clock
  readonly log: Logger
}

export class Partitions {
  readonly deadlines: Deadlines
  readonly #options: PartitionsOptions
  readonly #byTopicId = new Map<Uuid, Map<number, Partition>>()
  #offsetsListener: OffsetsPartitionListener | null = null
  #work: Promise<void> = Promise.resolve()
  #stopped = false
  /** Before this life is registered, the metadata still names the leader epochs of the last one. */
  #mayLead = false

  constructor(options: PartitionsOptions) {
    this.#options = options
    this.deadlines = new Deadlines(options.clock)
    options.metadata.onChange((image, delta) => this.#enqueue(() => this.#follow(image, delta)))
    options.config.onChange(() => this.#reconfigure())
  }

  /** Coordinators are told of the partitions led already, and of every change from now on. */
  onOffsetsPartitions(listener: OffsetsPartitionListener): void {
    this.#offsetsListener = listener
    for (const partition of this.all()) {
      if (partition.topicPartition.topic === CONSUMER_OFFSETS && partition.isLeader) {
        void listener.electPartition(partition.topicPartition.partition, partition)
      }
    }
  }

  *all(): Generator<Partition> {
    for (const partitions of this.#byTopicId.values()) yield* partitions.values()
  }

  get(topicId: Uuid, index: number): Partition | undefined {
    return this.#byTopicId.get(topicId)?.get(index)
  }

  /** This life of the broker is registered: what the metadata says of leaders from now on is said of it. */
  allowLeading(): void {
    this.#mayLead = true
  }

  /** Resolves when everything that the metadata said until now is done here. */
  settled(): Promise<void> {
    return this.#work
  }

  /** By topic name or id; the other is null. */
  locate(name: string | null, topicId: Uuid | null, index: number): Located {
    const { image } = this.#options.metadata
    const topic = topicId === null ? image.topicsByName.get(name ?? '') : image.topicsById.get(topicId)
    if (topic === undefined) {
      const errorCode = topicId === null ? ErrorCode.UNKNOWN_TOPIC_OR_PARTITION : ErrorCode.UNKNOWN_TOPIC_ID
      return { errorCode, partition: null, topic: name ?? '', leaderId: -1, leaderEpoch: -1 }
    }
    const registered = topic.partitions[index]
    if (registered === undefined) {
      return {
        errorCode: ErrorCode.UNKNOWN_TOPIC_OR_PARTITION,
        partition: null,
        topic: topic.name,
        leaderId: -1,
        leaderEpoch: -1
      }
    }
    const { leader: leaderId, leaderEpoch } = registered
    const partition = this.get(topic.topicId, index)
    const elsewhere = { partition: null, topic: topic.name, leaderId, leaderEpoch }
    const isOffline = partition ? partition.log.isOffline : this.#isRefused(topic.name, index)
    if (isOffline) return { ...elsewhere, errorCode: ErrorCode.KAFKA_STORAGE_ERROR }
    if (!partition?.isLeader) return { ...elsewhere, errorCode: ErrorCode.NOT_LEADER_OR_FOLLOWER }
    return { errorCode: ErrorCode.NONE, topic: topic.name, partition, leaderId, leaderEpoch: partition.leaderEpoch }
  }

  /** The log is here, and damaged: storage leaves it as it is. */
  #isRefused(topic: string, partition: number): boolean {
    const refusals = this.#options.catalog.refusals()
    return refusals.size > 0 && refusals.has(partitionName({ topic, partition }))
  }

  /** As locate, for who may name the topic either way: the zero id stands for "by name", where there is one. */
  locateTarget(name: string | null, topicId: Uuid, index: number): Located {
    return topicId === ZERO_UUID && name !== null ? this.locate(name, null, index) : this.locate(null, topicId, index)
  }

  /** The log directory failed: whoever waits for it is told. */
  storageFailed(): void {
    for (const partition of this.all()) partition.storageFailed()
  }

  /** Leads nothing any more; parked requests are answered at once. */
  async stop(): Promise<void> {
    this.#stopped = true
    await this.#work
    for (const partition of this.all()) this.#resign(partition, partition.leaderEpoch, -1)
  }

  #enqueue(work: () => Promise<void>): void {
    this.#work = this.#work.then(work).catch(error => {
      this.#options.log.error({ err: error }, 'metadata-change-failed')
    })
  }

  async #follow(image: MetadataImage, delta: MetadataDelta): Promise<void> {
    if (this.#stopped) return
    for (const topic of delta.deletedTopics.values()) await this.#deleteTopic(topic)
    const deleted = [...delta.deletedTopics.values()].map(each => each.name)
    if (deleted.length > 0) {
      this.#offsetsListener?.forgetTopics(deleted).catch(error => {
        this.#options.log.warn({ err: error, topics: deleted }, 'offsets-of-deleted-topics-kept')
      })
    }
    const opening: Promise<void>[] = []
    for (const [topicId, indexes] of delta.partitions) {
      const topic = image.topicsById.get(topicId)
      if (topic === undefined) continue
      for (const index of indexes) opening.push(this.#place(topic, index))
    }
    await Promise.all(opening)
    if (delta.brokers.size > 0) this.#eligibleChanged()
    for (const { resourceType, resourceName } of delta.configs) {
      if (resourceType === ResourceType.TOPIC) this.#configureTopic(resourceName)
    }
  }

  async #place(topic: Topic, index: number): Promise<void> {
    const registered = topic.partitions[index]
    if (registered === undefined || !registered.replicas.includes(this.#options.nodeId)) return
    const partition = this.get(topic.topicId, index) ?? (await this.#open(topic, index))
    if (partition === null || this.#stopped) return
    if (registered.leader === this.#options.nodeId && this.#mayLead) this.#lead(partition, registered)
    else this.#resign(partition, registered.leaderEpoch, registered.leader)
  }

  async #open(topic: Topic, index: number): Promise<Partition | null> {
    const { catalog, config, metadata, nodeId, clock, log } = this.#options
    const topicPartition: TopicPartition = { topic: topic.name, partition: index }
    try {
      const overrides = metadata.topicConfigs(topic.name)
      const opened = await catalog.getOrCreate(topicPartition, topic.topicId, config.logConfig(overrides))
      const partition = new Partition({
        nodeId,
        topicId: topic.topicId,
        log: opened,
        clock,
        highWatermark: catalog.highWatermarkOf(topicPartition),
        onHighWatermark: each => catalog.recordHighWatermark(topicPartition, each.highWatermark)
      })
      const partitions = this.#byTopicId.get(topic.topicId) ?? new Map<number, Partition>()
      this.#byTopicId.set(topic.topicId, partitions.set(index, partition))
      return partition
    } catch (error) {
      // That partition is offline; the others are not. Of a damaged log storage has told already.
      if (!isFailure(error, 'ERR_LOG_CORRUPT')) {
        log.error({ err: error, topic: topic.name, partition: index }, 'partition-offline')
      }
      return null
    }
  }

  #lead(partition: Partition, registered: Topic['partitions'][number]): void {
    const wasLeader = partition.isLeader && partition.leaderEpoch === registered.leaderEpoch
    partition.becomeLeader({
      leaderEpoch: registered.leaderEpoch,
      partitionEpoch: registered.partitionEpoch,
      replicas: registered.replicas,
      isr: registered.isr,
      eligible: eligibleBrokers(this.#options.metadata.image),
      replicaLagTimeMaxMs: this.#options.config.get('replica.lag.time.max.ms')
    })
    const { topic, partition: index } = partition.topicPartition
    if (!wasLeader && topic === CONSUMER_OFFSETS) void this.#offsetsListener?.electPartition(index, partition)
  }

  #resign(partition: Partition, leaderEpoch: LeaderEpoch, leaderId: number): void {
    const wasLeader = partition.isLeader
    partition.resign(leaderEpoch, leaderId)
    const { topic, partition: index } = partition.topicPartition
    if (wasLeader && topic === CONSUMER_OFFSETS) this.#offsetsListener?.resignPartition(index)
  }

  async #deleteTopic(topic: Topic): Promise<void> {
    const { catalog } = this.#options
    const partitions = this.#byTopicId.get(topic.topicId)
    this.#byTopicId.delete(topic.topicId)
    for (const partition of partitions?.values() ?? []) this.#resign(partition, partition.leaderEpoch, -1)
    for (const index of topic.partitions.keys()) {
      // By name, so only what is known to be this topic's: at a start a later one may have the name. A damaged log that
      // was refused goes too: it must not stand in the way of that one.
      const isOurs = partitions?.has(index) || this.#isRefused(topic.name, index)
      if (isOurs) await catalog.remove({ topic: topic.name, partition: index })
    }
  }

  #eligibleChanged(): void {
    const eligible = eligibleBrokers(this.#options.metadata.image)
    for (const partition of this.all()) partition.brokersChanged(eligible)
  }

  #configureTopic(name: string): void {
    const topic = this.#options.metadata.image.topicsByName.get(name)
    if (topic !== undefined) this.#configure(this.#byTopicId.get(topic.topicId)?.values() ?? [])
  }

  /** A changed setting of the broker changes every topic that has none of its own. */
  #reconfigure(): void {
    this.#configure(this.all())
  }

  #configure(partitions: Iterable<Partition>): void {
    const { config, metadata } = this.#options
    for (const partition of partitions) {
      partition.log.configure(config.logConfig(metadata.topicConfigs(partition.topicPartition.topic)))
      partition.configured(config.get('replica.lag.time.max.ms'))
    }
  }
}

/** Broker epochs of the brokers that may be in sync: registered, not fenced, not stopping (KIP-903). */
function eligibleBrokers(image: MetadataImage): ReadonlyMap<number, number> {
  const eligible = new Map<number, number>()
  for (const broker of image.brokers.values()) {
    if (!broker.fenced && !broker.inControlledShutdown) eligible.set(broker.brokerId, broker.brokerEpoch)
  }
  return eligible
}
