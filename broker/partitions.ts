// Every partition that this broker hosts, kept in step with the committed metadata: logs are made, reigns begin and
// end, deleted topics go. Changes are worked off in order; a topic counts as ready once its logs are open here.
import { ErrorCode } from '../protocol/errors.ts'
import { type BrokerId, type LeaderEpoch, type TopicPartition, type Uuid, ZERO_UUID } from '../protocol/types.ts'
import { CONSUMER_OFFSETS, INTERNAL_TOPICS } from '../replication/controller/topic-names.ts'
import { type MetadataDelta, ResourceType } from '../replication/metadata/delta.ts'
import type { MetadataImage, Topic } from '../replication/metadata/image.ts'
import { NO_LEADER } from '../replication/metadata/partition.ts'
import type { Catalog } from '../storage/catalog.ts'
import { partitionName } from '../storage/partition-names.ts'
import type { Clock, Timer } from './clock.ts'
import type { BrokerConfig } from './config.ts'
import { Deadlines } from './deadlines.ts'
import { IsrUpdates } from './isr-updates.ts'
import type { Logger } from './log.ts'
import type { MetadataCache } from './metadata-cache.ts'
import { OpenPartitions, type PartitionSize } from './open-partitions.ts'
import type { Partition } from './partition.ts'
import { ReplicaFetchers, type ReplicationOptions } from './replica-fetchers.ts'
import { eligibleBrokers, leaderRole } from './roles.ts'
import { inSlices } from './slices.ts'

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
  forgetTopics(topics: readonly { readonly name: string; readonly topicId: Uuid }[]): Promise<void>
  /** This broker follows the partition now (a later reign included): a coordinator may keep up with it. */
  followPartition?(index: number, partition: Partition): void
  /** This broker has no replica of it any more. */
  dropPartition?(index: number): void
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
  readonly #open: OpenPartitions
  #offsetsListener: OffsetsPartitionListener | null = null
  #work: Promise<void> = Promise.resolve()
  #removals: Promise<unknown> = Promise.resolve()
  #stopped = false
  readonly #fetchers: ReplicaFetchers | null = null
  readonly #isrUpdates: IsrUpdates | null = null
  #ticking: Timer | null = null
  /** Before this life is registered, the metadata still speaks of the last one. */
  #isRegistered = false
  /** The metadata has this life's registration, and every partition has been looked at since. */
  #hasEntered = false

  constructor(options: PartitionsOptions) {
    this.#options = options
    this.deadlines = new Deadlines(options.clock)
    const { nodeId, config, clock, log, replication } = options
    if (replication) {
      this.#fetchers = new ReplicaFetchers({ nodeId, config, clock, log, ...replication })
      this.#isrUpdates = new IsrUpdates({ nodeId, clock, log, ...replication })
      this.#tick()
    }
    const lagMs = replication?.lagMs ?? (() => clock.monotonicMs())
    this.#open = new OpenPartitions({ ...options, lagMs, isrUpdates: this.#isrUpdates })
    options.metadata.onChange((image, delta) => {
      // Before any in-sync set that was decided by them: min.insync.replicas is one.
      this.#configureTopics(delta)
      this.#enqueue(() => this.#follow(image, delta))
    })
    options.config.onChange(() => this.#open.configureAll())
  }

  /** Coordinators are told of the partitions led and followed already, and of every change from now on. */
  onOffsetsPartitions(listener: OffsetsPartitionListener): void {
    this.#offsetsListener = listener
    for (const partition of this.all()) {
      const { topic, partition: index } = partition.topicPartition
      if (topic !== CONSUMER_OFFSETS) continue
      if (partition.isLeader) void listener.electPartition(index, partition)
      else if (partition.isFollower) listener.followPartition?.(index, partition)
    }
  }

  /** Those that are open. */
  all(): Generator<Partition> {
    return this.#open.all()
  }

  /** One that is open. */
  get(topicId: Uuid, index: number): Partition | undefined {
    return this.#open.get(topicId, index)
  }

  /** Every replica that this broker has, with its size. */
  sizes(): Generator<PartitionSize> {
    return this.#open.sizes()
  }

  /** This life of the broker is registered: what the metadata says of leaders from now on is said of it. */
  allowLeading(): void {
    this.#isRegistered = true
    this.#enqueue(() => this.#enter())
  }

  /** Leads and follows from the moment at which the metadata holds this life's registration: whatever it says before
   *  that was said of an earlier life, which must not lead again in its epochs (rule 1 of durability). */
  async #enter(): Promise<void> {
    const { replication, metadata } = this.#options
    if (this.#hasEntered || !this.#isRegistered) return
    const brokerEpoch = replication?.brokerEpoch() ?? 0
    if (replication && (brokerEpoch < 0 || metadata.endOffset <= brokerEpoch)) return
    this.#hasEntered = true
    if (!replication) return
    await this.#placeAll(
      (function* () {
        for (const topic of metadata.image.topicsById.values()) {
          for (const index of topic.partitions.keys()) yield [topic, index]
        }
      })()
    )
  }

  /** In slices, so that others are served while ten thousand are placed. */
  async #placeAll(targets: Iterable<[Topic, number]>): Promise<void> {
    const placing: Promise<void>[] = []
    await inSlices(this.#options.clock, targets, ([topic, index]) => {
      if (this.#open.mayWait(topic, index)) return
      const placed = this.#place(topic, index)
      // It is waited for when the last slice is over; what fails before that is told then.
      placed.catch(() => {})
      placing.push(placed)
    })
    await Promise.all(placing)
  }

  /** Followers that lag are looked for twice in the time that they may (ReplicaManager.scala, isr-expiration). */
  #tick(): void {
    const { clock, config } = this.#options
    this.#ticking = clock.after(config.get('replica.lag.time.max.ms') / 2, () => {
      for (const partition of this.all()) partition.tick()
      this.#tick()
    })
  }

  /** Resolves when everything that the metadata said until now is done here. */
  async settled(): Promise<void> {
    await this.#work
    await this.#removals
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
    const partition = this.get(topic.topicId, index) ?? this.#begin(topic, index)
    // A directory that failed has failed for each of its logs: what this broker still believes to lead may have moved.
    const { catalog } = this.#options
    const isOffline = catalog.isOffline || (partition ? partition.log.isOffline : this.#isRefused(topic.name, index))
    if (partition?.isLeader && !isOffline) {
      return { errorCode: ErrorCode.NONE, topic: topic.name, partition, leaderId, leaderEpoch: partition.leaderEpoch }
    }
    const errorCode = isOffline ? ErrorCode.KAFKA_STORAGE_ERROR : ErrorCode.NOT_LEADER_OR_FOLLOWER
    return { errorCode, partition: null, topic: topic.name, leaderId, leaderEpoch }
  }

  /** The metadata says that this broker leads it, and nothing had to be done for it until now. */
  #begin(topic: Topic, index: number): Partition | undefined {
    const registered = topic.partitions[index]
    const { nodeId, metadata, config } = this.#options
    const mayLead = registered?.leader === nodeId && (this.#hasEntered || this.#mayLeadAlone())
    const partition = mayLead && !this.#stopped ? this.#open.begin(topic, index) : null
    if (partition === null || registered === undefined) return undefined
    partition.becomeLeader(leaderRole(registered, metadata.image, config.get('replica.lag.time.max.ms')))
    return partition
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
    this.#ticking?.cancel()
    await this.settled()
    this.#fetchers?.stop()
    this.#isrUpdates?.stop()
    for (const partition of this.all()) this.#resign(partition, partition.leaderEpoch, -1)
    for (const partition of this.all()) await partition.settled
  }

  #enqueue(work: () => Promise<void>): void {
    this.#work = this.#work.then(work).catch(error => {
      this.#options.log.error({ err: error }, 'metadata-change-failed')
    })
  }

  async #follow(image: MetadataImage, delta: MetadataDelta): Promise<void> {
    if (this.#stopped) return
    for (const topic of delta.deletedTopics.values()) await this.#deleteTopic(topic)
    const deleted = [...delta.deletedTopics.values()].map(({ name, topicId }) => ({ name, topicId }))
    if (deleted.length > 0) {
      this.#offsetsListener?.forgetTopics(deleted).catch(error => {
        this.#options.log.warn({ err: error, topics: deleted }, 'offsets-of-deleted-topics-kept')
      })
    }
    await this.#placeAll(
      (function* () {
        for (const [topicId, indexes] of delta.partitions) {
          const topic = image.topicsById.get(topicId)
          for (const index of indexes) if (topic !== undefined) yield [topic, index]
        }
      })()
    )
    if (delta.brokers.size > 0) await this.#eligibleChanged()
    if (delta.brokers.size > 0) this.#fetchers?.brokersChanged(delta.brokers)
    await this.#enter()
  }

  async #place(topic: Topic, index: number): Promise<void> {
    const { nodeId, replication } = this.#options
    const registered = topic.partitions[index]
    if (registered === undefined) return
    if (!registered.replicas.includes(nodeId)) return await this.#remove(topic, index)
    const partition =
      this.get(topic.topicId, index) ?? (await this.#open.open(topic, index)) ?? (await this.#openAnew(topic, index))
    if (partition === null || this.#stopped) return
    const { leader, leaderEpoch } = registered
    // The metadata is ahead of what this turn was called for, or an answer of the controller was ahead of the metadata.
    if (leaderEpoch < partition.leaderEpoch) return
    if (!this.#hasEntered && !this.#mayLeadAlone()) this.#resign(partition, leaderEpoch, leader)
    else if (leader === nodeId) await this.#lead(partition, registered)
    else if (leader === NO_LEADER || !replication) this.#resign(partition, leaderEpoch, leader)
    else await this.#followLeader(partition, leader, leaderEpoch)
  }

  #mayLeadAlone(): boolean {
    return this.#isRegistered && !this.#options.replication
  }

  /** Reassigned: this broker has no replica any more. */
  async #remove(topic: Topic, index: number): Promise<void> {
    const partition = this.get(topic.topicId, index)
    const registered = topic.partitions[index]
    if (partition === undefined || registered === undefined) return
    this.#resign(partition, registered.leaderEpoch, registered.leader)
    this.#open.drop(topic.topicId, index)
    if (topic.name === CONSUMER_OFFSETS) this.#offsetsListener?.dropPartition?.(index)
    await partition.settled
    this.#discard([partition.topicPartition])
  }

  /** No leadership waits for the disk to forget. What takes the name later has its turn behind this one. */
  #discard(removed: readonly TopicPartition[]): void {
    const { catalog, log } = this.#options
    const removals = removed.map(each => catalog.remove(each))
    this.#removals = Promise.all([this.#removals, ...removals]).catch(error => {
      log.error({ err: error }, 'metadata-change-failed')
    })
  }

  /** A damaged log of which others have everything: its bytes are kept aside, and it is fetched again (rule 4). This
   *  life's registration said that something was lost, so this broker counts nowhere as in sync. */
  async #openAnew(topic: Topic, index: number): Promise<Partition | null> {
    const { catalog, nodeId, log } = this.#options
    const registered = topic.partitions[index]
    if (!this.#hasEntered || registered === undefined || !this.#isRefused(topic.name, index)) return null
    const { leader, isr, elr } = registered
    if (leader === NO_LEADER || isr.includes(nodeId) || elr.includes(nodeId)) return null
    log.warn({ topic: topic.name, partition: index, leader }, 'damaged-log-fetched-again')
    await catalog.remove({ topic: topic.name, partition: index }, 'stray')
    return await this.#open.open(topic, index)
  }

  async #lead(partition: Partition, registered: Topic['partitions'][number]): Promise<void> {
    const { config, metadata } = this.#options
    const wasLeader = partition.isLeader && partition.leaderEpoch === registered.leaderEpoch
    // Nothing of the reign that ends may begin another cut while one is waited for.
    if (partition.isFollower) this.#resign(partition, registered.leaderEpoch, registered.leader)
    await partition.settled
    if (partition.log.isOffline) {
      this.#resign(partition, registered.leaderEpoch, registered.leader)
      return
    }
    partition.becomeLeader(leaderRole(registered, metadata.image, config.get('replica.lag.time.max.ms')))
    const { topic, partition: index } = partition.topicPartition
    if (wasLeader || topic !== CONSUMER_OFFSETS) return
    void partition.log.writer.syncRecovered()
    void this.#offsetsListener?.electPartition(index, partition)
  }

  async #followLeader(partition: Partition, leaderId: BrokerId, leaderEpoch: LeaderEpoch): Promise<void> {
    const wasFollowing = partition.following
    if (partition.leaderEpoch < leaderEpoch || wasFollowing === null) this.#resign(partition, leaderEpoch, leaderId)
    await partition.settled
    if (partition.log.isOffline || this.#stopped) return
    const following = partition.becomeFollower({ leaderId, leaderEpoch })
    this.#fetchers?.follow(partition)
    const { topic, partition: index } = partition.topicPartition
    if (following === wasFollowing || topic !== CONSUMER_OFFSETS) return
    this.#offsetsListener?.followPartition?.(index, partition)
  }

  #resign(partition: Partition, leaderEpoch: LeaderEpoch, leaderId: number): void {
    const wasLeader = partition.isLeader
    this.#fetchers?.unfollow(partition)
    partition.resign(leaderEpoch, leaderId)
    const { topic, partition: index } = partition.topicPartition
    if (wasLeader) this.#isrUpdates?.withdraw(partition.topicId, index)
    if (wasLeader && topic === CONSUMER_OFFSETS) this.#offsetsListener?.resignPartition(index)
  }

  async #deleteTopic({ topicId, name, partitions: { length } }: Topic): Promise<void> {
    const partitions = this.#open.of(topicId) ?? new Map<number, Partition>()
    this.#open.dropTopic(topicId)
    for (const [index, partition] of partitions) {
      this.#resign(partition, partition.leaderEpoch, -1)
      if (name === CONSUMER_OFFSETS) this.#offsetsListener?.dropPartition?.(index)
    }
    for (const partition of partitions.values()) await partition.settled
    // By name, so only what is known to be this topic's: at a start a later one may have the name. A damaged log that
    // was refused goes too: it must not stand in the way of that one.
    const indexes = Array.from({ length }, (_, index) => index)
    const ours = indexes.filter(index => partitions.has(index) || this.#isRefused(name, index))
    this.#discard(ours.map(partition => ({ topic: name, partition })))
  }

  async #eligibleChanged(): Promise<void> {
    const { clock, metadata } = this.#options
    await inSlices(clock, this.all(), partition => partition.brokersChanged(eligibleBrokers(metadata.image)))
  }

  #configureTopics({ configs }: MetadataDelta): void {
    for (const { resourceType, resourceName } of configs) {
      if (resourceType === ResourceType.TOPIC) this.#configureTopic(resourceName)
    }
  }

  #configureTopic(name: string): void {
    const topic = this.#options.metadata.image.topicsByName.get(name)
    if (topic !== undefined) this.#open.configureTopic(topic.topicId, name)
  }
}
