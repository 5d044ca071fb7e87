// How a log comes back (LogLoader.java). After a clean stop nothing is read but names, sizes, epochs and one producer
// snapshot; of an empty log not even those. After a crash every batch behind the recovery point is walked and checked;
// indexes, epochs and producer state are made anew from there. The first bad batch ends the log: above the recorded synced
// end it is a torn tail and is cut off; below it the log is corrupt, is not opened, and nothing is changed. What was
// walked is synced before it counts: here, or by the log's writer, to whom it is handed over.
import path from 'node:path'
import { isFailure, MoldauError } from '../protocol/failure.ts'
import { baseOffset, partitionLeaderEpoch, sizeInBytes } from '../protocol/records/batch.ts'
import type { Offset } from '../protocol/types.ts'
import { LeaderEpochs } from './epochs.ts'
import { EPOCHS_FILE, fileName, parseFileName } from './file-names.ts'
import { settleLeftovers } from './leftovers.ts'
import type { LogOptions } from './log-options.ts'
import type { RecoveredUnsynced } from './log-writer.ts'
import { ProducerSnapshots } from './producer-snapshots.ts'
import { ProducerStates } from './producers.ts'
import { Segment } from './segment.ts'
import { deleteSegmentFiles, rewriteSegment, syncSegment } from './segment-files.ts'
import { walkSegment } from './walk.ts'

/** Walked again at the next start rather than written down at this one: with a thousand partitions, a thousand times. */
const CHEAP_TO_WALK_BYTES = 256 * 1024

export interface Recovered {
  readonly segments: Segment[]
  readonly logStartOffset: Offset
  readonly endOffset: Offset
  readonly epochs: LeaderEpochs
  readonly producers: ProducerStates
  readonly snapshots: ProducerSnapshots
  readonly recoveryPoint: Offset
  /** False: nothing was read, everything was as the clean stop left it. */
  readonly wasWalked: boolean
  /** The disk may not have every name of the directory yet: nothing new counts before that is synced. */
  readonly isDirectoryDirty: boolean
  /** Walked, sound, left as it was, and not synced yet: nothing above the recovery point counts before it is. */
  readonly unsynced: RecoveredUnsynced | null
  /** So much was walked, or changed, that the next start should not have to do it again. */
  readonly needsCheckpoint: boolean
  /** Bytes cut off as a torn tail. */
  readonly truncatedBytes: number
}

export async function recover(o: LogOptions): Promise<Recovered> {
  if ((await o.files.stat(o.directory)) === null) {
    await o.files.mkdir(o.directory)
    // A log in a directory that a crash may take away is not durable, however well it is synced.
    await o.files.syncDirectory(path.dirname(o.directory))
  }
  const names = await settleLeftovers(o.files, o.directory, await o.files.readdir(o.directory))
  const recovery = new Recovery(o, names)
  try {
    return await recovery.run()
  } catch (error) {
    recovery.letGo()
    throw error
  }
}

/** A log that is not on the disk (LogOptions.make): nothing to read, nothing to write. */
export function nothingYet(o: LogOptions): Recovered {
  const size = { sizeInBytes: 0, createdMs: o.clock.nowMs(), rollJitterMs: 0 }
  const segment = new Segment(o.files, o.directory, 0, size)
  segment.resetIndexes()
  return {
    segments: [segment],
    logStartOffset: 0,
    endOffset: 0,
    epochs: new LeaderEpochs(),
    producers: new ProducerStates({ producerIdExpirationMs: o.producerIdExpirationMs }),
    snapshots: new ProducerSnapshots(o.files, () => o.directory, []),
    recoveryPoint: 0,
    wasWalked: false,
    isDirectoryDirty: false,
    unsynced: null,
    needsCheckpoint: false,
    truncatedBytes: 0
  }
}

class Recovery {
  readonly #o: LogOptions
  readonly #names: Set<string>
  #segments: Segment[] = []
  readonly #snapshots: ProducerSnapshots
  #epochs = new LeaderEpochs()
  #producers: ProducerStates
  /** False: the batches must tell, all of them. */
  #hasEpochs = false
  #wasWalked = false
  #isDirectoryDirty = false
  #unsynced: RecoveredUnsynced | null = null
  #walkedBytes = 0
  /** More was done than the walk of one sound segment. */
  #isChanged = false
  #truncatedBytes = 0

  constructor(o: LogOptions, names: string[]) {
    this.#o = o
    this.#names = new Set(names)
    const snapshots: Offset[] = []
    for (const name of names) {
      const parsed = parseFileName(name)
      if (parsed?.kind === 'snapshot') snapshots.push(parsed.baseOffset)
    }
    this.#snapshots = new ProducerSnapshots(o.files, () => o.directory, snapshots)
    this.#producers = this.#noProducers()
  }

  #noProducers(): ProducerStates {
    return new ProducerStates({ producerIdExpirationMs: this.#o.producerIdExpirationMs })
  }

  async run(): Promise<Recovered> {
    const { logStartOffset } = this.#o
    await this.#loadSegments()
    await this.#loadEpochs()
    if (this.#segments.length === 0) {
      this.#checkEnd(logStartOffset)
      return await this.#begin(logStartOffset)
    }
    this.#checkNoneEmptied()
    const endOffset = (await this.#endOfCleanLog()) ?? (await this.#endOfEmptyLog()) ?? (await this.#walk())
    if (endOffset < logStartOffset) return await this.#begin(logStartOffset)
    return this.#result(endOffset)
  }

  /** No file stays open, and nothing in memory that the files hold, for a log that nobody may ask for. */
  letGo(): void {
    for (const segment of this.#segments) {
      this.#o.openFiles.close(segment.file)
      segment.unloadIndexes()
    }
  }

  #result(endOffset: Offset): Recovered {
    const first = this.#segments[0] as Segment
    return {
      segments: this.#segments,
      logStartOffset: Math.max(this.#o.logStartOffset, first.baseOffset),
      endOffset,
      epochs: this.#epochs,
      producers: this.#producers,
      snapshots: this.#snapshots,
      recoveryPoint: Math.min(this.#o.recoveryPoint, endOffset),
      wasWalked: this.#wasWalked,
      isDirectoryDirty: this.#isDirectoryDirty,
      unsynced: this.#unsynced,
      needsCheckpoint: this.#wasWalked && (this.#isChanged || this.#walkedBytes > CHEAP_TO_WALK_BYTES),
      truncatedBytes: this.#truncatedBytes
    }
  }

  async #loadSegments(): Promise<void> {
    const { files, directory, clock } = this.#o
    for (const name of this.#names) {
      const parsed = parseFileName(name)
      if (parsed?.kind !== 'log') continue
      const stat = await files.stat(path.join(directory, name))
      if (!stat) continue
      const createdMs = Math.floor(stat.modifiedMs) || clock.nowMs()
      const size = { sizeInBytes: stat.sizeInBytes, createdMs, rollJitterMs: 0 }
      this.#segments.push(new Segment(files, directory, parsed.baseOffset, size))
    }
    this.#segments.sort((a, b) => a.baseOffset - b.baseOffset)
  }

  async #loadEpochs(): Promise<void> {
    if (!this.#names.has(EPOCHS_FILE)) return
    const bytes = await this.#o.files.readFile(path.join(this.#o.directory, EPOCHS_FILE))
    try {
      if (bytes) this.#epochs = LeaderEpochs.parse(bytes.toString('latin1'))
      this.#hasEpochs = bytes !== null
    } catch (error) {
      if (!isFailure(error, 'ERR_MALFORMED')) throw error
    }
  }

  /** A log without a single batch: one empty segment at `offset`. */
  async #begin(offset: Offset): Promise<Recovered> {
    const { files, directory, clock } = this.#o
    this.#unsynced = null
    for (const segment of this.#segments) await deleteSegmentFiles(this.#o, segment)
    await this.#snapshots.deleteAbove(-1)
    this.#epochs = new LeaderEpochs()
    this.#producers = this.#noProducers()
    const size = { sizeInBytes: 0, createdMs: clock.nowMs(), rollJitterMs: 0 }
    const segment = new Segment(files, directory, offset, size)
    segment.resetIndexes()
    files.close(files.open(segment.file.path, 'create'))
    if (this.#segments.length > 0) await files.syncDirectory(directory)
    else this.#isDirectoryDirty = true
    this.#segments = [segment]
    return this.#result(offset)
  }

  /** The recovery point, where it can be the end of a log that was closed in order and everything for it is there. */
  async #endOfCleanLog(): Promise<Offset | null> {
    const { cleanShutdown, isSuspect, recoveryPoint } = this.#o
    const active = this.#segments[this.#segments.length - 1] as Segment
    if (!cleanShutdown || isSuspect || !this.#hasEpochs || recoveryPoint < active.baseOffset) return null
    if (recoveryPoint > active.baseOffset !== active.sizeInBytes > 0) return null
    const { baseOffset, sizeInBytes } = this.#o.activeWas ?? active
    if (baseOffset !== active.baseOffset || sizeInBytes !== active.sizeInBytes) return null
    if (this.#segments.some(segment => !this.#hasIndexes(segment))) return null
    if (recoveryPoint < (this.#o.syncedEnd ?? 0)) return null
    return (await this.#loadProducers(recoveryPoint)) ? recoveryPoint : null
  }

  /** One segment without a byte: nothing is there that could be torn, whatever way the last life ended. */
  async #endOfEmptyLog(): Promise<Offset | null> {
    const [only, second] = this.#segments as [Segment, Segment?]
    if (second || only.sizeInBytes > 0 || this.#o.isSuspect) return null
    const end = only.baseOffset
    this.#checkEnd(end)
    this.#epochs.truncateFromEnd(end)
    await this.#snapshots.deleteAbove(end)
    if (this.#snapshots.offsets.includes(end)) await this.#loadProducers(end)
    if (this.#names.has(fileName(end, 'index')) || this.#names.has(fileName(end, 'timeindex'))) only.resetIndexes()
    this.#isDirectoryDirty = true
    return end
  }

  #hasIndexes(segment: Segment): boolean {
    const has = (kind: 'index' | 'timeindex') => this.#names.has(fileName(segment.baseOffset, kind))
    return has('index') && has('timeindex')
  }

  /** True when the snapshot at this very offset could be read. */
  async #loadProducers(offset: Offset): Promise<boolean> {
    const bytes = await this.#snapshots.read(offset)
    if (!bytes) return false
    const producers = this.#noProducers()
    try {
      producers.readSnapshot(bytes, offset)
    } catch (error) {
      if (!isFailure(error)) throw error
      await this.#snapshots.delete(offset)
      return false
    }
    this.#producers = producers
    return true
  }

  /** Walks from the recovery point, or from an older offset whose producer snapshot can be read; gives the log's end. */
  async #walk(): Promise<Offset> {
    this.#wasWalked = true
    const from = await this.#walkStart()
    this.#epochs.truncateFromEnd(from)
    // Where a segment begins right here the one before is looked at too: it may have been left with zeros at its end.
    const start = Math.max(
      0,
      this.#segments.findLastIndex(segment => segment.baseOffset < from)
    )
    const cuts = new Map<Segment, number>()
    const atRoll: { offset: Offset; bytes: Buffer }[] = []
    let end = (this.#segments[start] as Segment).baseOffset
    let count = start
    for (; count < this.#segments.length; count++) {
      const segment = this.#segments[count] as Segment
      if (count > start) {
        if (segment.baseOffset !== end && !this.#mayHaveHole(segment.baseOffset, end, cuts)) break
        atRoll.push({ offset: segment.baseOffset, bytes: this.#producers.takeSnapshot() })
      }
      const fileSize = segment.sizeInBytes
      const walk = await walkSegment(
        this.#o,
        segment,
        this.#hasIndexes(segment) ? from : segment.baseOffset,
        (buffer, at, last) => {
          this.#walkedBytes += sizeInBytes(buffer, at)
          if (last < from) return
          this.#epochs.assign(partitionLeaderEpoch(buffer, at), baseOffset(buffer, at))
          this.#producers.update(buffer, at)
        }
      )
      end = Math.max(segment.baseOffset, walk)
      if (segment.sizeInBytes < fileSize) cuts.set(segment, fileSize)
    }
    this.#checkEnd(end)
    // Their indexes may have been made anew, and then lack what only a sealed one says.
    for (const segment of this.#segments.slice(start, -1)) segment.seal()
    if (cuts.size === 0 && count === this.#segments.length && this.#isWrittenDown(from, end)) return this.#leave(end)
    this.#isChanged = this.#o.isSuspect === true || cuts.size > 0 || count < this.#segments.length || count > start + 1
    await this.#cut(count, cuts)
    await this.#snapshots.deleteAbove(from)
    for (const snapshot of atRoll) await this.#snapshots.write(snapshot.offset, snapshot.bytes, false)
    if (this.#o.syncsLater && !this.#isChanged && end > this.#o.recoveryPoint) return this.#handOver(end)
    await this.#settle(this.#segments.slice(start))
    return end
  }

  /** With ten thousand partitions twenty thousand syncs: nobody waits for those of another log. */
  #handOver(end: Offset): Offset {
    const { recoveryPoint, logStartOffset, syncedEnd = 0 } = this.#o
    const from = Math.min(end, Math.max(recoveryPoint, logStartOffset))
    this.#unsynced = { segments: this.#segments.slice(-1), from, durableEnd: Math.min(end, Math.max(from, syncedEnd)) }
    this.#isDirectoryDirty = true
    // The file stays open for its sync.
    for (const segment of this.#segments) segment.unloadIndexes()
    return end
  }

  /** The log ends at the recovery point: with a thousand idle partitions most do, and all of it was synced then. */
  #isWrittenDown(from: Offset, end: Offset): boolean {
    const { recoveryPoint, isSuspect } = this.#o
    if (isSuspect || !this.#hasEpochs || end !== recoveryPoint || from !== recoveryPoint) return false
    return this.#snapshots.offsets.includes(from)
  }

  /** A file that was new when the last life ended may still be missing in the directory that the disk has. */
  #leave(end: Offset): Offset {
    this.#wasWalked = false
    this.#isDirectoryDirty = true
    this.letGo()
    return end
  }

  /** At or below the recovery point, where the producer state is known; a missing index moves it to its segment. */
  async #walkStart(): Promise<Offset> {
    const first = (this.#segments[0] as Segment).baseOffset
    if (!this.#hasEpochs) return first
    const bound = Math.max(first, this.#o.recoveryPoint)
    const broken = this.#segments.find(segment => !this.#hasIndexes(segment))
    for (const offset of this.#snapshots.atOrBelow(Math.min(bound, broken?.baseOffset ?? bound))) {
      if (offset >= first && (await this.#loadProducers(offset))) return offset
    }
    return first
  }

  /** Where a segment begins at the very offset that the one before ended at, that one was whole, whatever lies behind
   *  its batches (zeros of a preallocated file). Compaction leaves holes between segments, but cleans only what is recorded
   *  as durable: a hole behind that is a torn end. Of a log that Kafka wrote, which has no recorded synced end, holes are
   *  believed as Kafka believes them. */
  #mayHaveHole(base: Offset, end: Offset, cuts: Map<Segment, number>): boolean {
    if (base < end || cuts.size > 0) return false
    const { recoveryPoint, syncedEnd = Number.POSITIVE_INFINITY, config } = this.#o
    return base <= recoveryPoint || (config.compacts && base <= syncedEnd)
  }

  /** No log rolls an empty segment, and none is emptied behind it; only Kafka's cleaner leaves some. */
  #checkNoneEmptied(): void {
    const { config, recoveryPoint } = this.#o
    if (config.compacts) return
    for (const [index, { sizeInBytes, file }] of this.#segments.entries()) {
      const next = this.#segments[index + 1]
      if (sizeInBytes > 0 || !next || next.baseOffset > recoveryPoint) continue
      throw new MoldauError(
        'ERR_LOG_CORRUPT',
        `${file.path} is empty, but everything below ${recoveryPoint} was synced`
      )
    }
  }

  #checkEnd(end: Offset): void {
    const bound = Math.max(this.#o.syncedEnd ?? 0, this.#o.recoveryPoint)
    if (end >= bound) return
    const { topic, partition } = this.#o.topicPartition
    throw new MoldauError(
      'ERR_LOG_CORRUPT',
      `${topic}-${partition}: sound batches end at offset ${end}, but everything below ${bound} was synced`
    )
  }

  /** Cuts the torn segment to its sound batches and drops the segments after the end. */
  async #cut(count: number, cuts: Map<Segment, number>): Promise<void> {
    const { files, openFiles } = this.#o
    for (const segment of this.#segments.splice(count)) {
      this.#truncatedBytes += segment.sizeInBytes
      await deleteSegmentFiles(this.#o, segment)
    }
    for (const [segment, fileSize] of cuts) {
      this.#truncatedBytes += fileSize - segment.sizeInBytes
      files.ftruncate(openFiles.use(segment.file), segment.sizeInBytes)
    }
  }

  /** Every file that was walked becomes durable, and the entries of the directory. Indexes, epochs and producers follow
   *  with the next checkpoint: until then the recovery point stays below what was walked. */
  async #settle(walked: Segment[]): Promise<void> {
    const { files, directory, isSuspect } = this.#o
    for (const segment of walked) {
      if (isSuspect) await rewriteSegment(this.#o, segment)
    }
    try {
      await Promise.all([...walked.map(segment => syncSegment(this.#o, segment)), files.syncDirectory(directory)])
    } catch (error) {
      // The next start must not take what it reads for what is on the disk (durability rule 5).
      const failure = isFailure(error) ? error : new MoldauError('ERR_STORAGE', 'sync failed', { cause: error })
      this.#o.onFailure({ error: failure, operation: 'sync', durableEndOffset: this.#o.recoveryPoint })
      throw failure
    }
    this.letGo()
  }
}
