// What one log directory writes down of all its logs: recovery points, log start offsets, high watermarks and synced
// ends, one small file each. A recorded recovery point or synced end is a lower bound at every moment: it is lowered,
// durably, before a log is cut, and a name is forgotten before another log takes it.
import path from 'node:path'
import { MoldauError } from '../protocol/failure.ts'
import type { Offset, TopicPartition, Uuid } from '../protocol/types.ts'
import {
  type ActiveSegment,
  CLEANER_POINTS,
  HIGH_WATERMARKS,
  LOG_START_OFFSETS,
  type OffsetEntry,
  RECOVERY_POINTS,
  SYNCED_ENDS
} from './checkpoints.ts'
import type { Files } from './files.ts'
import type { Log } from './log.ts'
import { OffsetCheckpoint } from './offset-checkpoint.ts'
import { METADATA_TOPIC, partitionName } from './partition-names.ts'

type Logs = ReadonlyMap<string, Log>

/** A log that is about to be cut: until that shows, its own numbers are too high. */
interface Cap {
  readonly to: Offset
  /** Of the log, when the cut began. */
  readonly cuts: number
}

export class CatalogFiles {
  readonly #files: Files
  readonly #directory: string
  readonly #recoveryPoints: OffsetCheckpoint
  readonly #logStartOffsets: OffsetCheckpoint
  readonly #highWatermarks: OffsetCheckpoint
  readonly #syncedEnds: OffsetCheckpoint
  readonly #cleanerPoints: OffsetCheckpoint
  /** Newer than the file. */
  readonly #newHighWatermarks = new Map<string, OffsetEntry>()
  /** Directories whose logs are not open: what is recorded of them stays recorded. */
  readonly #retained = new Set<string>()
  readonly #caps = new Map<string, Cap>()
  #directorySync: Promise<void> = Promise.resolve()
  #nextDirectorySync: Promise<void> | null = null

  constructor(files: Files, directory: string, checkpoints: OffsetCheckpoint[]) {
    this.#files = files
    this.#directory = directory
    const [recoveryPoints, logStartOffsets, highWatermarks, syncedEnds, cleanerPoints] = checkpoints as [
      OffsetCheckpoint,
      OffsetCheckpoint,
      OffsetCheckpoint,
      OffsetCheckpoint,
      OffsetCheckpoint
    ]
    this.#recoveryPoints = recoveryPoints
    this.#logStartOffsets = logStartOffsets
    this.#highWatermarks = highWatermarks
    this.#syncedEnds = syncedEnds
    this.#cleanerPoints = cleanerPoints
    // Where a directory is gone, this alone says that something was there.
    this.retain(syncedEnds.names())
  }

  static async load(
    files: Files,
    directory: string,
    onDamaged: (file: string, error: unknown) => void
  ): Promise<CatalogFiles> {
    const load = (name: string) => {
      const file = path.join(directory, name)
      return OffsetCheckpoint.load(files, file, error => onDamaged(file, error))
    }
    const names = [RECOVERY_POINTS, LOG_START_OFFSETS, HIGH_WATERMARKS, SYNCED_ENDS, CLEANER_POINTS]
    return new CatalogFiles(files, directory, await Promise.all(names.map(load)))
  }

  /** These directories exist, whoever asks for them. */
  retain(names: Iterable<string>): void {
    for (const name of names) this.#retained.add(name)
  }

  /** Every name that anybody may still ask for was asked for: of the others nothing is kept. */
  release(isNeeded: (name: string) => boolean): void {
    for (const name of this.#retained) if (!isNeeded(name)) this.#retained.delete(name)
  }

  recordedOf(
    name: string,
    topicId: Uuid | null
  ): { recoveryPoint: Offset; logStartOffset: Offset; syncedEnd?: Offset; activeWas?: ActiveSegment } {
    const syncedEnd = this.#syncedEnds.entry(name)
    const isOfThisLog = syncedEnd && (syncedEnd.topicId === undefined || syncedEnd.topicId === topicId)
    return {
      recoveryPoint: this.#recoveryPoints.get(name) ?? 0,
      logStartOffset: this.#logStartOffsets.get(name) ?? 0,
      ...(isOfThisLog ? { syncedEnd: syncedEnd.offset } : {}),
      ...(isOfThisLog && syncedEnd.active ? { activeWas: syncedEnd.active } : {})
    }
  }

  /** Before a log is begun: where one of this very topic was before, offsets would be given twice. Its directory may be
   *  gone, or be taken for that of another topic by a damaged partition.metadata. */
  checkNothingLost(name: string, topicId: Uuid | null, found: Uuid | null | undefined): void {
    const entry = this.#syncedEnds.entry(name)
    const end = topicId !== null && entry?.topicId === topicId ? entry.offset : 0
    const isMetadata = name.startsWith(`${METADATA_TOPIC}-`) && found
    if (end === 0 && !isMetadata) return
    const what = found ? `partition.metadata names topic ${found}, not ${topicId}` : 'the directory is gone'
    throw new MoldauError(
      'ERR_LOG_CORRUPT',
      `${name}: ${what}, but ${end > 0 ? `all below ${end}` : 'more'} was synced`
    )
  }

  /** Whether the files say anything of a log of that name that could be taken for another's. */
  knows(name: string): boolean {
    const files = [this.#recoveryPoints, this.#logStartOffsets, this.#highWatermarks, this.#syncedEnds]
    return [...files, this.#cleanerPoints].some(file => file.mayName(name))
  }

  highWatermarkOf(name: string): Offset {
    return this.#newHighWatermarks.get(name)?.offset ?? this.#highWatermarks.get(name) ?? 0
  }

  recordHighWatermark({ topic, partition }: TopicPartition, offset: Offset): void {
    this.#newHighWatermarks.set(`${topic}-${partition}`, { topic, partition, offset })
  }

  /** Whether anything has moved since the last write, at the price of one look. */
  get hasNewHighWatermarks(): boolean {
    return this.#newHighWatermarks.size > 0
  }

  async writeRecoveryPoints(logs: Logs): Promise<void> {
    await this.#recoveryPoints.update(() =>
      this.#collect(this.#recoveryPoints, logs, log => this.#capped(log, log.recoveryPoint))
    )
  }

  async writeLogStartOffsets(logs: Logs): Promise<void> {
    await this.#logStartOffsets.update(() =>
      this.#collect(this.#logStartOffsets, logs, log => this.#capped(log, log.logStartOffset)).filter(
        ({ offset }) => offset > 0
      )
    )
  }

  async writeHighWatermarks(logs: Logs): Promise<void> {
    await this.#highWatermarks.update(() => {
      const entries = this.#collect(this.#highWatermarks, logs, (_log, name) => this.highWatermarkOf(name))
      this.#newHighWatermarks.clear()
      return entries
    })
  }

  async writeSyncedEnds(logs: Logs): Promise<void> {
    await this.#syncedEnds.update(() => {
      const entries = this.#collect(this.#syncedEnds, logs, log => this.#capped(log, log.durableEndOffset))
      return entries.map(entry => {
        const log = logs.get(partitionName(entry))
        if (!log?.topicId) return entry
        const { baseOffset, sizeInBytes } = log.segments.active
        return { ...entry, topicId: log.topicId, active: { baseOffset, sizeInBytes } }
      })
    })
  }

  /** Where the last cleaning of a log ended; what follows is dirty. */
  cleanerPointOf(name: string): Offset | undefined {
    return this.#cleanerPoints.get(name)
  }

  async recordCleanerPoint(cleaned: Log, offset: Offset, logs: Logs): Promise<void> {
    await this.#cleanerPoints.update(() => this.#cleaned(logs, log => (log === cleaned ? offset : undefined)))
  }

  #cleaned(logs: Logs, newOf: (log: Log) => Offset | undefined): OffsetEntry[] {
    return this.#collect(this.#cleanerPoints, logs, (log, name) => newOf(log) ?? this.cleanerPointOf(name) ?? 0).filter(
      ({ offset }) => offset > 0
    )
  }

  async writeAll(logs: Logs): Promise<void> {
    await this.writeLogStartOffsets(logs)
    await this.writeHighWatermarks(logs)
    await this.writeSyncedEnds(logs)
    await this.writeRecoveryPoints(logs)
  }

  /** Before a log is cut at `to`. Below its high watermark or its start it is cut after an unclean election only; a start
   *  recorded above its end would make the next recovery throw everything away. */
  async lower(name: string, to: Offset, logs: Logs): Promise<void> {
    const log = logs.get(name)
    if (log) this.#caps.set(name, { to, cuts: log.cuts })
    if (log && this.highWatermarkOf(name) > to) {
      this.recordHighWatermark(log.topicPartition, to)
      await this.writeHighWatermarks(logs)
    }
    if (log && log.logStartOffset > to) await this.writeLogStartOffsets(logs)
    await this.writeSyncedEnds(logs)
    await this.writeRecoveryPoints(logs)
  }

  /** Before another log takes the name: nothing that was recorded under it may be taken for the new one's. */
  async forget(name: string, logs: Logs): Promise<void> {
    this.#retained.delete(name)
    this.#newHighWatermarks.delete(name)
    this.#caps.delete(name)
    // A log that got no record leaves no trace, however many there are.
    const files = [this.#recoveryPoints, this.#logStartOffsets, this.#highWatermarks, this.#syncedEnds]
    if (files.some(file => file.mayName(name))) await this.writeAll(logs)
    if (this.#cleanerPoints.mayName(name)) await this.#cleanerPoints.update(() => this.#cleaned(logs, () => undefined))
  }

  /** Makes created and renamed entries of the log directory durable. Calls that come together share one sync: one that
   *  had begun before may have missed what the caller did. */
  syncDirectory(): Promise<void> {
    this.#nextDirectorySync ??= this.#directorySync.then(() => {
      this.#nextDirectorySync = null
      const synced = this.#files.syncDirectory(this.#directory)
      this.#directorySync = synced.catch(() => {})
      return synced
    })
    return this.#nextDirectorySync
  }

  #collect(file: OffsetCheckpoint, logs: Logs, offsetOf: (log: Log, name: string) => Offset): OffsetEntry[] {
    const entries: OffsetEntry[] = []
    for (const [name, log] of logs) {
      if (log.isUnmade) continue
      const { topic, partition } = log.topicPartition
      entries.push({ topic, partition, offset: offsetOf(log, name) })
    }
    for (const name of this.#retained) {
      const entry = logs.has(name) ? undefined : file.entry(name)
      if (entry) entries.push(entry)
    }
    return entries
  }

  /** Ends do not tell when a cut is over: appends may have brought the log back to the very end that it had before. */
  #capped(log: Log, offset: Offset): Offset {
    const name = partitionName(log.topicPartition)
    const cap = this.#caps.get(name)
    if (!cap) return offset
    if (log.cuts !== cap.cuts) this.#caps.delete(name)
    else return Math.min(offset, cap.to)
    return offset
  }
}
