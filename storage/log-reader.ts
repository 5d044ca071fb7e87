// How a log is read: from the tail cache where it has the batch, else from the files; a look at the files that a
// truncation overtook is made again.
import { isFailure, MoldauError } from '../protocol/failure.ts'
import type { Offset, TimestampMs } from '../protocol/types.ts'
import type { Log } from './log.ts'
import { type DiskRead, type Place, readFromDisk } from './log-read.ts'
import { findByTimestamp, findNewest, type TimestampOffset } from './log-times.ts'
import type { ReadOptions, ReadResult } from './read-result.ts'

/** So many who catch up at the same time are led to where they ended. */
const READERS_MAX = 16

export class LogReader {
  readonly #log: Log
  /** Grows with each truncation: what was read before may be gone. */
  #generation = 0
  /** Where the last reads of the files ended, oldest first: there the next ones of the same readers begin. */
  #ends: Map<Offset, Place> | null = null

  constructor(log: Log) {
    this.#log = log
  }

  invalidate(): void {
    this.#generation++
    this.#ends = null
  }

  read(from: Offset, o: ReadOptions): ReadResult | Promise<ReadResult> {
    this.#checkReadable(from)
    const { logEndOffset, tail } = this.#log
    if (from >= Math.min(o.upto, logEndOffset)) return { records: [], sizeInBytes: 0, endOffset: from }
    return tail.read(from, o) ?? this.#readFromDisk(from, o)
  }

  async offsetForTimestamp(timestamp: TimestampMs, upto: Offset): Promise<TimestampOffset | null> {
    const { logStartOffset } = this.#log
    const find = () => findByTimestamp(this.#log.disk, timestamp, this.#log.logStartOffset)
    return below(upto, await this.#undisturbed(find, logStartOffset))
  }

  async maxTimestampOffset(upto: Offset): Promise<TimestampOffset | null> {
    const { logStartOffset } = this.#log
    const find = () => findNewest(this.#log.disk, this.#log.logStartOffset)
    return below(upto, await this.#undisturbed(find, logStartOffset))
  }

  #checkReadable(from: Offset): void {
    const { writer, logStartOffset, logEndOffset } = this.#log
    if (writer.failure) throw new MoldauError('ERR_LOG_OFFLINE', 'the log is offline', { cause: writer.failure })
    if (from >= logStartOffset && from <= logEndOffset) return
    throw new MoldauError('ERR_OUT_OF_RANGE', `offset ${from} is not in [${logStartOffset}, ${logEndOffset}]`)
  }

  async #readFromDisk(from: Offset, o: ReadOptions): Promise<ReadResult> {
    try {
      const look = () => readFromDisk(this.#log.disk, from, o, this.#ends?.get(from))
      const { result } = await this.#undisturbed(look, from, read => this.#noteEnd(from, read))
      return result
    } catch (error) {
      // What cannot be read harms that read only; a disk that is broken refuses a write soon enough.
      if (isFailure(error, 'ERR_STORAGE')) this.#log.options.onReadFailure?.(error)
      throw error
    }
  }

  #noteEnd(from: Offset, { result, next }: DiskRead): void {
    if (next === null) return
    this.#ends ??= new Map()
    this.#ends.delete(from)
    this.#ends.set(result.endOffset, next)
    if (this.#ends.size <= READERS_MAX) return
    const [oldest] = this.#ends.keys()
    this.#ends.delete(oldest as Offset)
  }

  async #undisturbed<T>(look: () => Promise<T>, from: Offset, good?: (found: T) => void): Promise<T> {
    for (;;) {
      // The files must hold what the tail cache could not give.
      if (this.#log.isUnmade) await this.#log.writer.made()
      this.#log.writer.write()
      this.#checkReadable(from)
      const generation = this.#generation
      try {
        const result = await look()
        if (generation !== this.#generation) continue
        good?.(result)
        return result
      } catch (error) {
        if (generation === this.#generation || !isFailure(error)) throw error
      }
    }
  }
}

function below(upto: Offset, found: TimestampOffset | null): TimestampOffset | null {
  return found && found.offset < upto ? found : null
}
