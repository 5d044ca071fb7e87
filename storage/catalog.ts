// All logs of one log directory: opened when the metadata names them, made, set aside, deleted; and what is written down
// of them between lives (checkpoints.ts). What must hold: a recorded recovery point or synced end is never ahead of its
// log, and a name is not given to a new log while the files still say something of an older one. The first failed write
// or sync takes the whole directory offline: it is marked, told once, and the broker ends.
import path from 'node:path'
import { isFailure, MoldauError } from '../protocol/failure.ts'
import type { Offset, TopicPartition, Uuid } from '../protocol/types.ts'
import { CatalogFiles } from './catalog-files.ts'
import type { CatalogOptions } from './catalog-options.ts'
import { readTopicId } from './checkpoints.ts'
import type { Cleaner } from './cleaner.ts'
import { Deletions } from './deletions.ts'
import { DiskSpace } from './disk-space.ts'
import { Housekeeping } from './housekeeping.ts'
import type { Log, LogFailure } from './log.ts'
import { isWrittenDown } from './log-checkpoint.ts'
import type { LogConfig } from './log-config.ts'
import { type LogDirectory, markCleanShutdown, openLogDirectory, takeCleanShutdown } from './log-directory.ts'
import { LogOpener } from './log-opener.ts'
import { OpenFiles } from './open-files.ts'
import {
  type DirectoryFate,
  fateName,
  METADATA_TOPIC,
  parseDirectoryName,
  partitionName,
  takeStock
} from './partition-names.ts'
import { Slots, Turns } from './slots.ts'
import { openLevelStore, SnapshotCache } from './snapshot-cache.ts'
import { Suspects } from './suspects.ts'
import { TailCache } from './tail-cache.ts'

export type { CatalogEvent, CatalogOptions, CatalogSettings } from './catalog-options.ts'

/** Logs that are opened or closed at the same time: enough for the disk, few enough to leave the loop to others. */
const AT_ONCE = 16
const READ_FAILURE_PAUSE_MS = 60_000

export class Catalog {
  readonly #o: CatalogOptions
  readonly #home: LogDirectory
  readonly #opener: LogOpener
  readonly #files: CatalogFiles
  readonly #suspects: Suspects
  /** Failures of logs that are being written down and told. */
  readonly #failing: Promise<void>[] = []
  readonly #deletions: Deletions
  readonly #housekeeping: Housekeeping
  readonly #logs = new Map<string, Log>()
  /** Partition directories that were there at the start and that nobody has asked for yet. */
  readonly #unclaimed: Set<string>
  /** `-delete` directories of an earlier life; they stay until it is known that this one may live here. */
  readonly #leftovers: string[]
  /** Logs that could not be opened, and why: their files stay as they are. */
  readonly #refused = new Map<string, unknown>()
  /** Work on one name goes one after the other. */
  readonly #turns = new Turns()
  readonly #slots: Slots
  /** When the last failed read of a log was told. */
  readonly #readFailures = new Map<string, number>()
  #lost: MoldauError | null = null
  #isClosing = false
  readonly snapshots: SnapshotCache
  readonly diskSpace: DiskSpace
  /** Broker epoch of the life before, when that ended cleanly (KIP-966); else null. */
  readonly cleanShutdown: { readonly brokerEpoch: number } | null
  /** A sync failed in an earlier life, and what it left was not copied yet when this one began. */
  readonly hadSuspects: boolean

  /** Locks the directory, makes it where it is missing, and reads what is written down. Opens no log. */
  static async open(o: CatalogOptions): Promise<Catalog> {
    const { files } = o
    const home = await openLogDirectory({ ...o, openKeyStore: o.openKeyStore ?? openLevelStore })
    try {
      const suspects = await Suspects.load(files, [home.path, ...(o.markPlaces ?? [])], home.directoryId)
      const checkpoints = await CatalogFiles.load(files, home.path, (file, error) =>
        o.onEvent('warn', 'checkpoint-damaged', { file, err: error })
      )
      const names = await files.readdir(home.path)
      const cleanShutdown = await takeCleanShutdown(files, home.path)
      const catalog = new Catalog(o, { home, suspects, names, cleanShutdown }, checkpoints)
      await catalog.diskSpace.check()
      return catalog
    } catch (error) {
      await home.store.close()
      throw error
    }
  }

  private constructor(
    o: CatalogOptions,
    found: Pick<Catalog, 'cleanShutdown'> & { home: LogDirectory; suspects: Suspects; names: string[] },
    checkpoints: CatalogFiles
  ) {
    const { files, clock, random, policy, settings } = o
    const { home, suspects } = found
    this.#o = o
    this.#slots = new Slots(AT_ONCE, clock)
    this.#home = home
    this.#suspects = suspects
    this.#files = checkpoints
    this.hadSuspects = suspects.all.length > 0
    this.cleanShutdown = this.hadSuspects ? null : found.cleanShutdown
    for (const suspect of suspects.all) o.onEvent('error', 'log-suspect', { ...suspect })
    this.diskSpace = new DiskSpace({
      files,
      directory: home.path,
      clock,
      reserveBytes: () => (settings.diskReserveBytes < 0 ? null : settings.diskReserveBytes),
      onChange: (isLow, usage) => o.onEvent(isLow ? 'error' : 'info', isLow ? 'disk-low' : 'disk-recovered', usage)
    })
    this.snapshots = new SnapshotCache(
      home.store,
      fn => clock.endOfTurn(fn),
      error => o.onEvent('warn', 'snapshot-cache-failed', { err: error })
    )
    const openFiles = new OpenFiles(files, o.openFilesMax)
    const tailCache = new TailCache(o.tailCacheBytes)
    this.#opener = new LogOpener({
      directory: home.path,
      storage: { files, openFiles, tailCache, clock, random, policy, diskSpace: this.diskSpace },
      checkpoints,
      suspects,
      wasStopped: this.cleanShutdown !== null,
      producerIdExpirationMs: () => settings.producerIdExpirationMs,
      onFailure: (topicPartition, failure) => this.#failing.push(this.#logFailed(topicPartition, failure)),
      onReadFailure: (name, error) => this.#readFailed(name, error),
      onRecoveryPoint: () => this.#housekeeping.recordSoon(),
      onTornTail: data => o.onEvent('warn', 'torn-tail-cut', data),
      beforeTruncation: (name, to) => checkpoints.lower(name, to, this.#logs)
    })
    this.#deletions = new Deletions(files, clock, (directory, error) => {
      if (error) o.onEvent('warn', 'log-delete-failed', { directory, err: error })
      else o.onEvent('info', 'log-deleted', { directory })
    })
    const { partitions, doomed } = takeStock(found.names)
    this.#unclaimed = partitions
    this.#leftovers = doomed.map(name => path.join(home.path, name))
    this.#files.retain(partitions)
    if (this.cleanShutdown === null && !home.isNew) {
      o.onEvent('warn', 'unclean-start', { directory: home.path, logs: this.#unclaimed.size })
    }
    this.#housekeeping = new Housekeeping({
      clock,
      settings,
      files: this.#files,
      logs: () => this.#logs,
      fail: error => void this.#lose(asFailure(error)),
      onEvent: (level, event, data) => o.onEvent(level, event, data)
    })
    this.#housekeeping.start()
  }

  get directory(): string {
    return this.#home.path
  }

  get directoryId(): Uuid {
    return this.#home.directoryId
  }

  /** Null while nobody knows it. */
  get clusterId(): Uuid | null {
    return this.#home.meta?.clusterId ?? null
  }

  /** The cluster has this id: written down durably. Rejects with ERR_WRONG_DIRECTORY where this directory has another. */
  adoptClusterId(clusterId: Uuid): Promise<void> {
    return this.#home.adopt(clusterId)
  }

  /** True when this start made the directory. */
  get isNew(): boolean {
    return this.#home.isNew
  }

  get isOffline(): boolean {
    return this.#lost !== null
  }

  get(topicPartition: TopicPartition): Log | undefined {
    return this.#logs.get(partitionName(topicPartition))
  }

  /** What compaction does, log by log. */
  get cleaner(): Cleaner {
    return this.#housekeeping.cleaner
  }

  all(): Iterable<Log> {
    return this.#logs.values()
  }

  /** Why a log could not be opened, where it could not. */
  refusals(): ReadonlyMap<string, unknown> {
    return this.#refused
  }

  async volume(): Promise<{ totalBytes: number; usableBytes: number }> {
    const usage = await this.#o.files.diskUsage(this.directory).catch(() => ({ totalBytes: -1, freeBytes: -1 }))
    return { totalBytes: usage.totalBytes, usableBytes: usage.freeBytes }
  }

  /** As last recorded, 0 where nothing was. */
  highWatermarkOf(topicPartition: TopicPartition): Offset {
    return this.#files.highWatermarkOf(partitionName(topicPartition))
  }

  recordHighWatermark(topicPartition: TopicPartition, highWatermark: Offset): void {
    this.#files.recordHighWatermark(topicPartition, highWatermark)
  }

  /** The log of a partition that the metadata places here. One of an earlier topic of that name is set aside.
   *  A null topic id takes whatever is there. ERR_LOG_CORRUPT, or a bug: only that log is offline, and nobody's stray. */
  getOrCreate(topicPartition: TopicPartition, topicId: Uuid | null, config: LogConfig): Promise<Log> {
    const name = partitionName(topicPartition)
    return this.#turns.run(name, async () => {
      const open = this.#logs.get(name)
      if (open && (topicId === null || open.topicId === topicId)) return open
      this.#checkOpen()
      if (this.#refused.has(name)) throw this.#refused.get(name)
      return await this.#slots.run(() => this.#openOrCreate(topicPartition, topicId, config))
    })
  }

  /** Whether anything of that name is here: open, on the disk, or written down. */
  has(topicPartition: TopicPartition): boolean {
    const name = partitionName(topicPartition)
    if (this.#logs.has(name) || this.#unclaimed.has(name) || this.#refused.has(name)) return true
    return this.#turns.isBusy(name) || this.#suspects.has(name) || this.#files.knows(name)
  }

  /** As getOrCreate, at once; for a name of which there is nothing. Null where there is, or where no log may be opened. */
  begin(topicPartition: TopicPartition, topicId: Uuid, config: LogConfig): Log | null {
    if (this.#lost !== null || this.#isClosing || this.has(topicPartition)) return null
    const log = this.#opener.openUnmade(topicPartition, topicId, config)
    this.#logs.set(partitionName(topicPartition), log)
    return log
  }

  /** Out of service at once; the files follow after file.delete.delay.ms, or stay, as a stray's. No error where none is. */
  remove(topicPartition: TopicPartition, fate: DirectoryFate = 'delete'): Promise<void> {
    const name = partitionName(topicPartition)
    return this.#turns.run(name, async () => {
      this.#checkOpen()
      const delayMs = this.#logs.get(name)?.config.fileDeleteDelayMs ?? this.#o.settings.fileDeleteDelayMs
      const renamed = await this.#retire(topicPartition, fate)
      if (renamed !== null && fate === 'delete') this.#deletions.schedule(renamed, delayMs)
    })
  }

  /** Call when the metadata has named every partition that belongs here: what is left belongs to no topic that
   *  exists. Renamed to `-stray`, and kept, as Kafka does (LogManager.loadLog). Leftovers of deletions go now. */
  async setAsideStrays(): Promise<void> {
    for (const leftover of this.#leftovers.splice(0)) this.#deletions.schedule(leftover, 0)
    for (const name of [...this.#unclaimed]) {
      const stray = parseDirectoryName(name) as TopicPartition
      if (stray.topic === METADATA_TOPIC) continue
      await this.#turns.run(name, async () => {
        if (this.#unclaimed.has(name)) await this.#retire(stray, 'stray')
      })
    }
    this.#files.release(name => this.#logs.has(name) || this.#refused.has(name) || this.#unclaimed.has(name))
  }

  /** Syncs and closes every log, writes everything down, marks the stop as clean, and gives up the lock. */
  async close(o: { brokerEpoch: number }): Promise<void> {
    if (this.#isClosing) return
    this.#isClosing = true
    await this.#housekeeping.stop()
    await this.#deletions.stop()
    await this.#turns.settled()
    try {
      if (this.#lost === null) await this.#closeLogs()
      if (this.#lost === null) await this.#files.writeAll(this.#logs)
      if (this.#lost === null && this.#mayCallItClean()) {
        // A life that never registered has changed nothing that the last one had promised.
        const brokerEpoch = o.brokerEpoch >= 0 ? o.brokerEpoch : (this.cleanShutdown?.brokerEpoch ?? -1)
        await markCleanShutdown(this.#o.files, this.directory, brokerEpoch)
      }
    } finally {
      // The mark of a failed sync must be there before the process may end.
      await Promise.all(this.#failing)
      await this.snapshots.close()
    }
  }

  /** The next start takes the recovery points for the ends of the logs: only where each was opened, or was clean before. */
  #mayCallItClean(): boolean {
    const unseen = [...this.#unclaimed].filter(name => parseDirectoryName(name)?.topic !== METADATA_TOPIC)
    const allWereSeen = this.cleanShutdown !== null || unseen.length === 0
    return this.#refused.size === 0 && this.#suspects.all.length === 0 && allWereSeen
  }

  async #closeLogs(): Promise<void> {
    const close = async (log: Log) => await (isWrittenDown(log) ? log.discard() : log.close())
    const closing = [...this.#logs.values()].map(log => this.#slots.run(() => close(log)))
    for (const each of await Promise.allSettled(closing)) if (each.status === 'rejected') throw each.reason
  }

  async #openOrCreate(topicPartition: TopicPartition, topicId: Uuid | null, config: LogConfig): Promise<Log> {
    const name = partitionName(topicPartition)
    const directory = path.join(this.directory, name)
    try {
      const known =
        this.#unclaimed.has(name) || this.#logs.has(name) ? await this.#topicIdIn(directory, name) : undefined
      const isNew = known === undefined || (topicId !== null && known !== null && known !== topicId)
      if (isNew) {
        this.#files.checkNothingLost(name, topicId, known)
        if (known) await this.#retire(topicPartition, 'stray')
        await this.#files.forget(name, this.#logs)
      }
      // What the quorum keeps beside its log needs the directory at once.
      const isUnmade = isNew && topicId !== null && topicPartition.topic !== METADATA_TOPIC
      if (!isUnmade && (isNew || !known)) await this.#opener.make(name, topicId)
      const log = isUnmade
        ? this.#opener.openUnmade(topicPartition, topicId, config)
        : await this.#opener.open(topicPartition, topicId ?? known ?? null, config, isNew)
      this.#logs.set(name, log)
      this.#unclaimed.delete(name)
      await this.#suspects.clear(name)
      return log
    } catch (error) {
      if (isFailure(error, 'ERR_LOG_CORRUPT') || !isFailure(error)) this.#refuse(name, asFailure(error))
      else if (isFailure(error, 'ERR_STORAGE') || isFailure(error, 'ERR_NO_SPACE')) await this.#lose(error)
      throw error
    }
  }

  #refuse(name: string, error: MoldauError): void {
    this.#refused.set(name, error)
    this.#unclaimed.delete(name)
    this.#o.onEvent('error', 'log-corrupt', { directory: path.join(this.directory, name), err: error })
  }

  async #topicIdIn(directory: string, name: string): Promise<Uuid | null> {
    const open = this.#logs.get(name)
    return open ? open.topicId : await readTopicId(this.#o.files, directory)
  }

  /** Takes a partition's directory out of service under another name; gives its path, or null where there is none. */
  async #retire(topicPartition: TopicPartition, fate: DirectoryFate): Promise<string | null> {
    const name = partitionName(topicPartition)
    const log = this.#logs.get(name)
    if (!log && !this.#unclaimed.has(name) && !this.#refused.has(name)) return null
    const uniqueHex = Buffer.from(this.#o.random.uuid(), 'base64url').toString('hex')
    const directory = path.join(this.directory, name)
    const renamed = path.join(this.directory, fateName(topicPartition, fate, uniqueHex))
    this.#logs.delete(name)
    this.#unclaimed.delete(name)
    this.#refused.delete(name)
    try {
      if (log) await log.remove(renamed)
      if (log?.isUnmade) return null
      else if (await this.#o.files.stat(directory)) this.#o.files.rename(directory, renamed)
      await this.#files.syncDirectory()
      await this.#files.forget(name, this.#logs)
      await this.#suspects.clear(name)
    } catch (error) {
      await this.#lose(asFailure(error))
      throw error
    }
    this.#o.onEvent(fate === 'stray' ? 'warn' : 'info', 'log-set-aside', { directory: renamed })
    return renamed
  }

  /** A consumer asks again and again: said once a minute. */
  #readFailed(name: string, error: MoldauError): void {
    const nowMs = this.#o.clock.monotonicMs()
    if (nowMs - (this.#readFailures.get(name) ?? Number.NEGATIVE_INFINITY) < READ_FAILURE_PAUSE_MS) return
    this.#readFailures.set(name, nowMs)
    this.#o.onEvent('error', 'log-read-failed', { directory: path.join(this.directory, name), err: error })
  }

  async #logFailed(topicPartition: TopicPartition, failure: LogFailure): Promise<void> {
    const { error, operation, durableEndOffset } = failure
    const isMarked =
      operation !== 'sync' ||
      (await this.#suspects.mark({ ...topicPartition, durableEndOffset, reason: error.message }))
    await this.#lose(error, { partition: partitionName(topicPartition), operation, durableEndOffset, isMarked })
  }

  async #lose(error: MoldauError, data: object = {}): Promise<void> {
    if (this.#lost !== null) return
    this.#lost = error
    await this.#suspects.marked()
    this.#o.onEvent('error', 'log-directory-offline', { directory: this.directory, ...data, err: error })
    this.#o.onOffline(error)
  }

  #checkOpen(): void {
    if (this.#lost !== null) throw new MoldauError('ERR_LOG_OFFLINE', this.#lost.message, { cause: this.#lost })
    if (this.#isClosing) throw new MoldauError('ERR_CLOSED', 'the log directory is closing')
  }
}

function asFailure(error: unknown): MoldauError {
  return isFailure(error) ? error : new MoldauError('ERR_STORAGE', String(error), { cause: error })
}
