// The partitions that are open at this broker, and how one is opened. One that nobody else has a copy of, and of which
// the disk has nothing, is opened when it is first asked for: until then it is a line of the metadata, and costs no more.
import { isFailure } from '../protocol/failure.ts'
import type { TopicPartition, Uuid } from '../protocol/types.ts'
import { CONSUMER_OFFSETS } from '../replication/controller/topic-names.ts'
import type { Topic } from '../replication/metadata/image.ts'
import type { Catalog } from '../storage/catalog.ts'
import type { Log } from '../storage/log.ts'
import type { LogConfig } from '../storage/log-config.ts'
import type { Clock } from './clock.ts'
import type { BrokerConfig } from './config.ts'
import type { IsrUpdates } from './isr-updates.ts'
import type { Logger } from './log.ts'
import type { MetadataCache } from './metadata-cache.ts'
import { Partition, type PartitionOptions } from './partition.ts'

export interface OpenPartitionsOptions {
  readonly nodeId: number
  readonly catalog: Catalog
  readonly metadata: MetadataCache
  readonly config: BrokerConfig
  readonly clock: Clock
  readonly log: Logger
  readonly lagMs: () => number
  /** Absent where this broker proposes nothing. */
  readonly isrUpdates: IsrUpdates | null
}

export interface PartitionSize extends TopicPartition {
  readonly sizeInBytes: number
}

export class OpenPartitions {
  readonly #o: OpenPartitionsOptions
  readonly #byTopicId = new Map<Uuid, Map<number, Partition>>()
  /** What all of them are given alike. */
  readonly #shared: Omit<PartitionOptions, 'topicId' | 'log' | 'highWatermark'>
  /** A topic's own settings, parsed once for all of its partitions. */
  #parsed = new WeakMap<ReadonlyMap<string, string>, LogConfig>()

  constructor(o: OpenPartitionsOptions) {
    const { nodeId, catalog, clock, log, lagMs, isrUpdates } = o
    this.#o = o
    this.#shared = {
      ...{ nodeId, clock, lagMs, logger: log },
      onHighWatermark: each => catalog.recordHighWatermark(each.topicPartition, each.highWatermark),
      ...(isrUpdates
        ? {
            proposeIsr: (each, proposal, answered) =>
              isrUpdates.propose(each.topicId, each.topicPartition.partition, proposal, answered)
          }
        : {})
    }
  }

  *all(): Generator<Partition> {
    for (const partitions of this.#byTopicId.values()) yield* partitions.values()
  }

  get(topicId: Uuid, index: number): Partition | undefined {
    return this.#byTopicId.get(topicId)?.get(index)
  }

  of(topicId: Uuid): ReadonlyMap<number, Partition> | undefined {
    return this.#byTopicId.get(topicId)
  }

  /** Nothing is opened for it. */
  *sizes(): Generator<PartitionSize> {
    for (const topic of this.#o.metadata.image.topicsById.values()) {
      for (const [partition, { replicas }] of topic.partitions.entries()) {
        const open = this.get(topic.topicId, partition)
        const isHere = open !== undefined || (this.mayWait(topic, partition) && replicas[0] === this.#o.nodeId)
        if (isHere) yield { topic: topic.name, partition, sizeInBytes: open?.log.sizeInBytes ?? 0 }
      }
    }
  }

  drop(topicId: Uuid, index: number): void {
    this.#byTopicId.get(topicId)?.delete(index)
  }

  dropTopic(topicId: Uuid): void {
    this.#byTopicId.delete(topicId)
  }

  /** True: nothing is to be done for it before somebody asks for it. Coordinators are asked by nobody who knows where. */
  mayWait(topic: Topic, index: number): boolean {
    if (topic.partitions[index]?.replicas.length !== 1 || topic.name === CONSUMER_OFFSETS) return false
    return !this.get(topic.topicId, index) && !this.#o.catalog.has({ topic: topic.name, partition: index })
  }

  /** One that may wait, now that it is asked for; null where it may not, or where nothing can be opened. */
  begin(topic: Topic, index: number): Partition | null {
    if (!this.mayWait(topic, index)) return null
    const log = this.#o.catalog.begin(
      { topic: topic.name, partition: index },
      topic.topicId,
      this.#configOf(topic.name)
    )
    return log && this.#add(topic, index, log)
  }

  /** Null where the log cannot be opened: that partition is offline, the others are not. */
  async open(topic: Topic, index: number): Promise<Partition | null> {
    const { catalog, log } = this.#o
    const topicPartition: TopicPartition = { topic: topic.name, partition: index }
    try {
      const opened = await catalog.getOrCreate(topicPartition, topic.topicId, this.#configOf(topic.name))
      return this.get(topic.topicId, index) ?? this.#add(topic, index, opened)
    } catch (error) {
      // Of a damaged log storage has told already.
      if (!isFailure(error, 'ERR_LOG_CORRUPT')) {
        log.error({ err: error, topic: topic.name, partition: index }, 'partition-offline')
      }
      return null
    }
  }

  #add(topic: Topic, index: number, log: Log): Partition {
    const { topicId } = topic
    const highWatermark = this.#o.catalog.highWatermarkOf(log.topicPartition)
    const partition = new Partition({ ...this.#shared, topicId, log, highWatermark })
    const partitions = this.#byTopicId.get(topicId) ?? new Map<number, Partition>()
    this.#byTopicId.set(topicId, partitions.set(index, partition))
    // Settings that changed while it was opened had nobody to tell.
    this.#configure(partition)
    return partition
  }

  configureTopic(topicId: Uuid, name: string): void {
    this.#parsed.delete(this.#o.metadata.topicConfigs(name))
    for (const partition of this.of(topicId)?.values() ?? []) this.#configure(partition)
  }

  /** A changed setting of the broker changes every topic that has none of its own. */
  configureAll(): void {
    this.#parsed = new WeakMap()
    for (const partition of this.all()) this.#configure(partition)
  }

  #configure(partition: Partition): void {
    partition.log.configure(this.#configOf(partition.topicPartition.topic))
    partition.configured(this.#o.config.get('replica.lag.time.max.ms'))
  }

  #configOf(topic: string): LogConfig {
    const { config, metadata } = this.#o
    const overrides = metadata.topicConfigs(topic)
    if (overrides.size === 0) return config.logConfig()
    const parsed = this.#parsed.get(overrides) ?? config.logConfig(overrides)
    this.#parsed.set(overrides, parsed)
    return parsed
  }
}
