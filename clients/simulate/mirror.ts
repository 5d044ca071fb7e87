// One replica as its disk shows it: the batches of its log in order, read from the files as they are written. Kept by the
// checkers beside the broker, so that they do not have to believe what it says of itself; kept over the death of the
// process too, as what is known to lie on its disk.
import { BATCH_HEADER_BYTES, batchLength, checkBatch, LOG_OVERHEAD } from '../../protocol/records/batch.ts'
import type { Offset } from '../../protocol/types.ts'
import { demand, Violation } from './checkers/violation.ts'
import { type Row, type Rows, rowAt, rowIndexOf, shown } from './rows.ts'

/** What is used of storage's Log. */
export interface LogView {
  readonly logStartOffset: Offset
  readonly logEndOffset: Offset
  readonly writtenEndOffset: Offset
  readonly durableEndOffset: Offset
  readonly isOffline: boolean
  readonly segments: Iterable<SegmentView>
}

export interface SegmentView {
  readonly baseOffset: Offset
  readonly file: { readonly path: string }
  readonly writtenBytes: number
}

/** Reads a file of the node's disk as it is now; faults that were injected do not concern it. */
export type ReadAt = (path: string, buffer: Buffer, position: number) => number

/** Rows that a live log threw away. */
export type OnCut = (rows: readonly Row[]) => void

/** Where a row lies. */
export interface Place {
  readonly segmentBase: Offset
  readonly path: string
  readonly position: number
  readonly endPosition: number
}

export class Mirror {
  readonly name: string
  readonly rows: Row[] = []
  /** Everything below is synced on this disk, or was when its process died, says that. */
  syncedEnd: Offset = 0
  /** Of the node's disk: what is durable there. */
  durableAt: ReadAt = () => 0
  /** Rows that were durable on a disk that was then taken away or bent: what its broker had said of them still counts. */
  readonly #taken = new Set<Row>()
  /** What an earlier life has synced of what is still there: its word for it, in the next life, is only what it had written
   *  down, until that has synced the log once more. */
  #earlierEnd: Offset = 0
  #isDamaged = false
  /** Up to this index rows were compared with what is committed. */
  verified = 0
  readonly #places: Place[] = []
  readonly #known: Rows
  /** Compacted logs have gaps. */
  readonly #mayHaveGaps: boolean
  /** Where the log begins: where it ends too while nothing follows the snapshot that it begins at. */
  #start: Offset = 0
  /** Where the next row is looked for. */
  #segmentBase: Offset = -1
  #position = 0
  /** This life of the process was not looked at yet. */
  isOld = true

  constructor(name: string, known: Rows, mayHaveGaps = false) {
    this.name = name
    this.#known = known
    this.#mayHaveGaps = mayHaveGaps
  }

  get end(): Offset {
    const last = this.rows[this.rows.length - 1]
    return last === undefined ? this.#start : last.last + 1
  }

  /** A new life of the process: what it opens is read from the start. Until then the disk counts as it was. */
  reread(): void {
    this.isOld = true
  }

  /** The next life finds another disk, or one that will have forgotten something: told before it does. Below `committedEnd`
   *  nobody asks any more. */
  damaged(committedEnd: Offset): void {
    for (let index = rowIndexOf(this.rows, committedEnd); index < this.rows.length; index++) {
      if (this.#isDurable(index)) this.#taken.add(this.rows[index] as Row)
    }
    this.#isDamaged = true
    this.reread()
  }

  /** It lies on this disk and no loss of power takes it away: looked up there, not asked of the broker. */
  holds(row: Row): boolean {
    const index = rowIndexOf(this.rows, row.base)
    return (this.rows[index] === row && this.#isDurable(index)) || this.#taken.has(row)
  }

  #isDurable(index: number): boolean {
    const row = this.rows[index] as Row
    const { path, position, endPosition } = this.#places[index] as Place
    const bytes = Buffer.allocUnsafe(endPosition - position)
    if (this.durableAt(path, bytes, position) < bytes.length || !isSame(rowAt(bytes, 0), row)) return false
    try {
      checkBatch(bytes, 0)
      return true
    } catch {
      return false
    }
  }

  #forget(): void {
    this.isOld = false
    this.#earlierEnd = this.#isDamaged ? 0 : this.syncedEnd
    this.#isDamaged = false
    this.rows.length = 0
    this.#places.length = 0
    this.verified = 0
    this.#segmentBase = -1
    this.#position = 0
  }

  /** Where the batches between two offsets lie. */
  placesWithin(from: Offset, to: Offset): readonly Place[] {
    return this.#places.filter((_, index) => {
      const row = this.rows[index] as Row
      return row.base >= from && row.last < to
    })
  }

  /** Takes over what was written, or thrown away, since the last look. */
  update(log: LogView, readAt: ReadAt, onCut: OnCut): void {
    const isFirst = this.isOld
    if (isFirst) this.#forget()
    this.#start = log.logStartOffset
    const { end } = this
    // While a cut is under way the files still have what is gone already.
    const upto = Math.min(log.writtenEndOffset, log.logEndOffset)
    if (upto > end || log.logEndOffset < end) {
      const gone = this.#goneOf(log, readAt)
      if (gone.length > 0) onCut(gone)
      if (!isFirst) this.#earlierEnd = Math.min(this.#earlierEnd, this.end)
      this.#read(log, upto, readAt)
    }
    this.#earlierEnd = Math.min(this.#earlierEnd, this.end)
    this.syncedEnd = Math.min(Math.max(log.durableEndOffset, this.#earlierEnd), this.end)
  }

  /** Takes out what is cut off. A cut and new appends may both lie between two looks, so the last row is looked at. */
  #goneOf(log: LogView, readAt: ReadAt): Row[] {
    const { rows } = this
    let kept = rows.length
    while (kept > 0 && (rows[kept - 1] as Row).last >= log.logEndOffset) kept--
    while (kept > 0 && !this.#isStillThere(kept - 1, readAt)) kept--
    if (kept === rows.length) return []
    // What comes next may lie in the same segment again, though what is gone lay in a later one.
    const last = this.#places[kept - 1]
    this.#segmentBase = last?.segmentBase ?? -1
    this.#position = last?.endPosition ?? 0
    this.#places.length = kept
    this.verified = Math.min(this.verified, kept)
    return rows.splice(kept)
  }

  #isStillThere(index: number, readAt: ReadAt): boolean {
    const row = this.rows[index] as Row
    const { path, position } = this.#places[index] as Place
    if (readAt(path, HEADER, position) < HEADER.length) return false
    return isSame(rowAt(HEADER, 0), row)
  }

  #read(log: LogView, upto: Offset, readAt: ReadAt): void {
    if (upto <= this.end) return
    for (const segment of log.segments) {
      if (segment.baseOffset < this.#segmentBase) continue
      if (segment.baseOffset !== this.#segmentBase) {
        this.#segmentBase = segment.baseOffset
        this.#position = 0
      }
      const size = segment.writtenBytes - this.#position
      if (size <= 0) continue
      const bytes = Buffer.allocUnsafe(size)
      this.#take(segment.file.path, bytes.subarray(0, readAt(segment.file.path, bytes, this.#position)), upto)
      if (this.end >= upto) return
    }
  }

  #take(path: string, bytes: Buffer, upto: Offset): void {
    let at = 0
    while (bytes.length - at >= BATCH_HEADER_BYTES) {
      const size = LOG_OVERHEAD + batchLength(bytes, at)
      if (size < BATCH_HEADER_BYTES || size > bytes.length - at) break
      try {
        checkBatch(bytes, at)
      } catch (error) {
        throw new Violation('contiguous-log', `${this.name}, behind offset ${this.end}: ${(error as Error).message}`)
      }
      const row = rowAt(bytes, at)
      if (row.base >= upto) break
      const position = this.#position + at
      const place = { segmentBase: this.#segmentBase, path, position, endPosition: position + size }
      this.#add(this.#known.intern(row), place)
      at += size
    }
    this.#position += at
  }

  #add(row: Row, place: Place): void {
    const { end } = this
    const isNext = this.rows.length === 0 || (this.#mayHaveGaps ? row.base >= end : row.base === end)
    demand(isNext, 'contiguous-log', () => `${this.name} ends at ${end} and goes on with ${shown(row)}`)
    this.rows.push(row)
    this.#places.push(place)
  }
}

function isSame(found: Row, row: Row): boolean {
  return found.base === row.base && found.epoch === row.epoch && found.fingerprint === row.fingerprint
}

const HEADER = Buffer.alloc(BATCH_HEADER_BYTES)
