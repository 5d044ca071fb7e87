// How the catalog opens one log: with what is written down of it, with the parts that all logs share, and with word to
// the catalog of what goes wrong. A log of which the disk has nothing is opened without asking it: its directory and its
// partition.metadata are made, durably, before the first byte is written (LogOptions.make), and never if none comes.
import path from 'node:path'
import type { MoldauError } from '../protocol/failure.ts'
import type { Offset, TopicPartition, Uuid } from '../protocol/types.ts'
import type { CatalogFiles } from './catalog-files.ts'
import { writeTopicId } from './checkpoints.ts'
import { fileName } from './file-names.ts'
import { Log, type LogFailure, type SharedStorage } from './log.ts'
import type { LogConfig } from './log-config.ts'
import type { LogOptions } from './log-options.ts'
import { METADATA_TOPIC, partitionName } from './partition-names.ts'
import { Slots } from './slots.ts'
import type { Suspects } from './suspects.ts'

/** Directories that are made at the same time. */
const MADE_AT_ONCE = 16
/** Logs that are synced at the same time because recovery walked them, two syncs each: who appends meanwhile, and the
 *  metadata log, must find a thread. */
const SYNCED_AT_ONCE = 6

export interface LogOpenerOptions {
  readonly directory: string
  readonly storage: SharedStorage
  readonly checkpoints: CatalogFiles
  readonly suspects: Suspects
  /** The life before ended in order. */
  readonly wasStopped: boolean
  readonly producerIdExpirationMs: () => number
  readonly onFailure: (topicPartition: TopicPartition, failure: LogFailure) => void
  readonly onReadFailure: (name: string, error: MoldauError) => void
  readonly onRecoveryPoint: () => void
  readonly onTornTail: (data: object) => void
  readonly beforeTruncation: (name: string, to: Offset) => Promise<void>
}

export class LogOpener {
  readonly #o: LogOpenerOptions
  /** Of their own: a log that is closed holds one of the catalog's, and may have to be made first. */
  readonly #slots: Slots
  readonly #syncs: Slots

  constructor(o: LogOpenerOptions) {
    this.#o = o
    this.#syncs = new Slots(SYNCED_AT_ONCE, o.storage.clock)
    this.#slots = new Slots(MADE_AT_ONCE, o.storage.clock)
  }

  /** One whose directory is there. */
  async open(topicPartition: TopicPartition, topicId: Uuid | null, config: LogConfig, isNew: boolean): Promise<Log> {
    const log = await Log.open(this.#options(topicPartition, topicId, config, isNew))
    const { directory, logEndOffset, truncatedBytes } = log
    if (truncatedBytes > 0) this.#o.onTornTail({ directory, logEndOffset, truncatedBytes })
    if (log.writer.isRecoveredUnsynced) void this.#syncs.run(() => log.writer.syncRecovered())
    return log
  }

  /** One of which nothing is there. */
  openUnmade(topicPartition: TopicPartition, topicId: Uuid, config: LogConfig): Log {
    const name = partitionName(topicPartition)
    const make = () => this.#slots.run(() => this.make(name, topicId, fileName(0, 'log')))
    return Log.openUnmade({ ...this.#options(topicPartition, topicId, config, true), make })
  }

  /** The directory and the topic's id in it, durable when it resolves. A first file is made before the id is written: the
   *  sync of the directory that follows covers both names. The log directory is synced meanwhile: which of the two a crash
   *  leaves is all the same, as neither counts without the other. */
  async make(name: string, topicId: Uuid | null, first?: string): Promise<void> {
    const { storage, checkpoints } = this.#o
    const { files } = storage
    const directory = path.join(this.#o.directory, name)
    await files.mkdir(directory)
    if (first !== undefined) files.close(files.open(path.join(directory, first), 'create'))
    const named = topicId === null ? null : writeTopicId(files, directory, topicId)
    await Promise.all([named, checkpoints.syncDirectory()])
  }

  #options(topicPartition: TopicPartition, topicId: Uuid | null, config: LogConfig, isNew: boolean): LogOptions {
    const o = this.#o
    const { storage, checkpoints, suspects, wasStopped } = o
    const name = partitionName(topicPartition)
    // Metadata is committed when it is synced, whatever the policy for records is.
    const isMetadata = topicPartition.topic === METADATA_TOPIC
    const { files, openFiles, tailCache, clock, random, diskSpace } = storage
    // One by one: ten thousand of them are made at a start, and copies of objects into objects cost five times as much.
    return {
      files,
      openFiles,
      tailCache,
      clock,
      random,
      diskSpace,
      policy: isMetadata ? 'group-commit' : storage.policy,
      ...checkpoints.recordedOf(name, topicId),
      directory: path.join(o.directory, name),
      topicPartition,
      topicId,
      config,
      producerIdExpirationMs: o.producerIdExpirationMs(),
      cleanShutdown: wasStopped && !isNew,
      isSuspect: suspects.has(name),
      isUrgent: isMetadata,
      syncsLater: !isMetadata,
      onFailure: failure => o.onFailure(topicPartition, failure),
      onReadFailure: error => o.onReadFailure(name, error),
      onRecoveryPoint: () => o.onRecoveryPoint(),
      beforeTruncation: to => o.beforeTruncation(name, to)
    }
  }
}
