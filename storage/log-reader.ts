// How a log is read: from the tail cache where it has the batch, else from the files; a look at the files that a
// truncation overtook is made again.
import { isFailure, MoldauError } from '../protocol/failure.ts'
import type { Offset, TimestampMs } from '../protocol/types.ts'
import type { Log } from './log.ts'
import { readFromDisk } from './log-read.ts'
import { findByTimestamp, findNewest, type TimestampOffset } from './log-times.ts'
import type { ReadOptions, ReadResult } from './read-result.ts'

export class LogReader {
  readonly #log: Log
  /** Grows with each truncation: what was read before may be gone. */
  #generation = 0

  constructor(log: Log) {
    this.#log = log
  }

  invalidate(): void {
    this.#generation++
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
      return await this.#undisturbed(() => readFromDisk(this.#log.disk, from, o), from)
    } catch (error) {
      // What cannot be read harms that read only; a disk that is broken refuses a write soon enough.
      if (isFailure(error, 'ERR_STORAGE')) this.#log.options.onReadFailure?.(error)
      throw error
    }
  }

  async #undisturbed<T>(look: () => Promise<T>, from: Offset): Promise<T> {
    for (;;) {
      // The files must hold what the tail cache could not give.
      this.#log.writer.write()
      this.#checkReadable(from)
      const generation = this.#generation
      try {
        const result = await look()
        if (generation === this.#generation) return result
      } catch (error) {
        if (generation === this.#generation || !isFailure(error)) throw error
      }
    }
  }
}

function below(upto: Offset, found: TimestampOffset | null): TimestampOffset | null {
  return found && found.offset < upto ? found : null
}
