// The group coordinator in this broker: built from its settings and clock, told of the partitions of
// `__consumer_offsets` that the broker leads, and given each of their logs as a coordinator sees it.
import type { LeaderEpoch, Offset } from '../protocol/types.ts'
import { CONSUMER_OFFSETS } from '../replication/controller/topic-names.ts'
import type { SnapshotCache } from '../storage/snapshot-cache.ts'
import type { Clock, Random } from './clock.ts'
import type { BrokerConfig } from './config.ts'
import { GroupCoordinator } from './groups/coordinator.ts'
import { type CoordinatorLog, groupSettings } from './groups/ports.ts'
import type { Logger } from './log.ts'
import type { MetadataCache } from './metadata-cache.ts'
import type { Partition } from './partition.ts'
import type { Partitions } from './partitions.ts'

export interface GroupParts {
  readonly config: BrokerConfig
  readonly clock: Clock
  readonly awakeMs: () => number
  readonly random: Random
  readonly log: Logger
  readonly metadata: MetadataCache
  readonly partitions: Partitions
  readonly snapshots: SnapshotCache
}

export function coordinateGroups(parts: GroupParts): GroupCoordinator {
  const { config, clock, awakeMs, random, log, metadata, partitions, snapshots } = parts
  const coordinator = new GroupCoordinator({
    settings: groupSettings(key => config.get(key)),
    clock,
    awakeMs,
    random,
    logger: log,
    snapshots,
    numPartitions: () => metadata.image.topicsByName.get(CONSUMER_OFFSETS)?.partitions.length ?? 0
  })
  const logs = new WeakMap<Partition, CoordinatorLog>()
  const logFor = (partition: Partition): CoordinatorLog => {
    const log = logs.get(partition) ?? logOf(partition)
    logs.set(partition, log)
    return log
  }
  partitions.onOffsetsPartitions({
    electPartition: (index, partition) => coordinator.electPartition(index, logFor(partition)),
    followPartition: (index, partition) => coordinator.followPartition(index, logFor(partition)),
    resignPartition: index => coordinator.resignPartition(index),
    dropPartition: index => coordinator.dropPartition(index),
    forgetTopics: topics => coordinator.forgetTopics(topics)
  })
  return coordinator
}

function logOf(partition: Partition): CoordinatorLog {
  return {
    topicId: partition.topicId,
    append: batch => partition.append(batch),
    get logStartOffset() {
      return partition.logStartOffset
    },
    get logEndOffset() {
      return partition.logEndOffset
    },
    get highWatermark() {
      return partition.highWatermark
    },
    get leaderEpoch() {
      return partition.leaderEpoch
    },
    get deleteRetentionMs() {
      return partition.log.config.deleteRetentionMs
    },
    onHighWatermark: fn => partition.onHighWatermark(fn),
    batches: (from, upto) => partition.batches(from, upto),
    holds: (offset, leaderEpoch) =>
      offset >= partition.logStartOffset &&
      offset <= partition.logEndOffset &&
      (offset === 0 || epochBefore(partition, offset) === leaderEpoch),
    epochBefore: offset => epochBefore(partition, offset)
  }
}

function epochBefore(partition: Partition, offset: Offset): LeaderEpoch {
  return offset === 0 ? -1 : (partition.log.epochs.epochForOffset(offset - 1) ?? -1)
}
