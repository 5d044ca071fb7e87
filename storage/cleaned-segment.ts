// A segment on its way to replace others: written under the suffix `.cleaned`, made durable, renamed to `.swap`, and then
// to its own name when the segments that it replaces are out of the way. A crash at any moment leaves either the old
// segments or the new one (leftovers.ts): directories are synced between the steps, so that no step is seen without the
// ones before it.
import { MoldauError } from '../protocol/failure.ts'
import { lastOffset, maxTimestamp } from '../protocol/records/batch.ts'
import { type FileKind, type FileStage, filePath, SEGMENT_KINDS } from './file-names.ts'
import type { Log } from './log.ts'
import { Segment } from './segment.ts'
import { deleteMarkedFiles, markSegmentDeleted } from './segment-files.ts'

const WRITE_BYTES = 1024 * 1024

/** The cleaning of this log was overtaken: its segments or its directory are not what they were. */
export function abandoned(): MoldauError {
  return new MoldauError('ERR_CLOSED', 'the log was closed, moved or cut while it was being cleaned')
}

/** True once a cut has begun since there were `cuts`: what was read then may be no part of the log any more. */
export function isCutSince(log: Log, cuts: number): boolean {
  return log.isCutting || log.cuts !== cuts
}

export class CleanedSegment {
  readonly segment: Segment
  readonly #log: Log
  readonly #directory: string
  readonly #fd: number
  readonly #cuts: number
  #buffers: Buffer[] = []
  #bufferedBytes = 0
  #kinds: FileKind[] = ['log', 'index', 'timeindex']
  #isOpen = true

  constructor(log: Log, group: readonly Segment[]) {
    const first = group[0] as Segment
    const last = group[group.length - 1] as Segment
    const { files } = log.options
    this.#log = log
    this.#directory = log.directory
    this.#cuts = log.cuts
    const books = { sizeInBytes: 0, createdMs: last.createdMs, rollJitterMs: 0 }
    this.segment = new Segment(files, log.directory, first.baseOffset, books)
    this.segment.resetIndexes()
    this.#point('cleaned')
    this.#fd = files.open(this.segment.file.path, 'create')
    files.ftruncate(this.#fd, 0)
  }

  get sizeInBytes(): number {
    return this.segment.sizeInBytes
  }

  /** One batch, in the order of offsets. */
  add(batch: Buffer): void {
    const { config } = this.#log
    this.segment.note(lastOffset(batch, 0), maxTimestamp(batch, 0), batch.length, config.indexIntervalBytes)
    this.#buffers.push(batch)
    this.#bufferedBytes += batch.length
    if (this.#bufferedBytes >= WRITE_BYTES) this.#write()
  }

  #write(): void {
    if (this.#buffers.length === 0) return
    this.#log.options.files.writev(this.#fd, this.#buffers, this.segment.writtenBytes)
    this.segment.writtenBytes += this.#bufferedBytes
    this.#buffers = []
    this.#bufferedBytes = 0
  }

  /** Everything on the disk, under the `.cleaned` names. */
  async finish(group: readonly Segment[]): Promise<void> {
    const { files } = this.#log.options
    this.#write()
    await files.fdatasync(this.#fd)
    this.#closeFile()
    this.#check()
    this.segment.seal()
    this.segment.writeIndexes()
    await this.segment.syncIndexes(false)
    await this.#joinAbortedIndexes(group)
    this.#check()
    await files.syncDirectory(this.#directory)
  }

  /** Transactions stay as they are, and so does what is known of the aborted ones: entries hold absolute offsets. */
  async #joinAbortedIndexes(group: readonly Segment[]): Promise<void> {
    const { files } = this.#log.options
    const parts: Buffer[] = []
    for (const { baseOffset } of group) {
      const bytes = await files.readFile(filePath(this.#directory, baseOffset, 'txnindex'))
      if (bytes !== null && bytes.length > 0) parts.push(bytes)
    }
    if (parts.length === 0) return
    const fd = files.open(filePath(this.#directory, this.segment.baseOffset, 'txnindex', 'cleaned'), 'create')
    try {
      files.ftruncate(fd, 0)
      files.writev(fd, parts, 0)
      await files.fdatasync(fd)
    } finally {
      files.close(fd)
    }
    this.#kinds = [...SEGMENT_KINDS]
  }

  /** Takes the place of the group. Throws `abandoned` where that cannot be any more; any other failure leaves nothing to
   *  go back to, and the log goes offline. False when retention was faster: then nothing has changed. */
  async replace(group: readonly Segment[]): Promise<boolean> {
    this.#check()
    if (this.#placeOf(group) < 0) return false
    let isDone: boolean
    try {
      const swap = this.#swap(group)
      this.#log.exchanging = swap.catch(() => {})
      isDone = await swap
    } catch (error) {
      if (!this.#isGone) this.#log.fail(error, 'write')
      throw error
    }
    if (!isDone) return false
    const place = this.#place
    this.#log.options.clock.after(this.#log.config.fileDeleteDelayMs, () => {
      for (const segment of group) {
        // The next start drops what stays; a disk that fails tells so at the next write.
        deleteMarkedFiles(place, segment).catch(() => {})
      }
    })
    return true
  }

  async #swap(group: readonly Segment[]): Promise<boolean> {
    const log = this.#log
    const { files } = log.options
    this.#rename('cleaned', 'swap')
    await files.syncDirectory(this.#directory)
    this.#checkPlace()
    const index = this.#placeOf(group)
    if (index < 0) {
      await this.#unlink('swap')
      await files.syncDirectory(this.#directory)
      return false
    }
    for (const segment of group) markSegmentDeleted(this.#place, segment)
    this.#point('swap')
    log.segments.replace(index, group.length, [this.segment])
    // What was cleaned away must not be served from memory.
    log.tail.dropBefore(log.segments.at(index + 1)?.baseOffset ?? log.logEndOffset)
    await files.syncDirectory(this.#directory)
    this.#checkPlace()
    this.#rename('swap', null)
    this.#point(null)
    await files.syncDirectory(this.#directory)
    return true
  }

  /** Not needed, or not finished: nothing of it stays. */
  async discard(): Promise<void> {
    this.#closeFile()
    if (!this.#isGone) await this.#unlink('cleaned')
  }

  async #unlink(stage: FileStage): Promise<void> {
    for (const kind of SEGMENT_KINDS) {
      await this.#log.options.files.unlink(filePath(this.#directory, this.segment.baseOffset, kind, stage))
    }
  }

  /** Where the group is, -1 when it is not whole any more: retention takes the first segments of a log. */
  #placeOf(group: readonly Segment[]): number {
    const { segments } = this.#log
    const index = segments.indexOf(group[0] as Segment)
    return group.every((segment, i) => segments.at(index + i) === segment) ? index : -1
  }

  get #isGone(): boolean {
    return this.#log.isOffline || this.#log.directory !== this.#directory
  }

  #check(): void {
    this.#checkPlace()
    if (isCutSince(this.#log, this.#cuts)) throw abandoned()
  }

  /** A cut that began since then waits until the exchange is over. */
  #checkPlace(): void {
    if (this.#isGone) throw abandoned()
  }

  #rename(from: FileStage, to: FileStage | null): void {
    const { baseOffset } = this.segment
    for (const kind of this.#kinds) {
      const source = filePath(this.#directory, baseOffset, kind, from)
      this.#log.options.files.rename(source, filePath(this.#directory, baseOffset, kind, to))
    }
  }

  #point(stage: FileStage | null): void {
    const { segment } = this
    segment.file.path = filePath(this.#directory, segment.baseOffset, 'log', stage)
    segment.offsetIndex.path = filePath(this.#directory, segment.baseOffset, 'index', stage)
    segment.timeIndex.path = filePath(this.#directory, segment.baseOffset, 'timeindex', stage)
  }

  #closeFile(): void {
    if (this.#isOpen) this.#log.options.files.close(this.#fd)
    this.#isOpen = false
  }

  get #place() {
    const { files, openFiles } = this.#log.options
    return { files, openFiles, directory: this.#directory }
  }
}
