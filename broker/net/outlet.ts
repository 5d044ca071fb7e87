// How the replies of one connection leave: those of one turn of the event loop in one write, large ones in pieces. A piece
// goes when the system has taken the one before, and all connections together hand over so much in one turn and no more:
// the copy into the socket is done by the loop's thread, and a dozen large answers at once would keep everybody waiting.
// What must hold: bytes leave in the order in which they were queued, and memory is let go when the system has taken
// all of the write that it belongs to, or will take nothing any more.
import type { Holds } from '../../protocol/memory-pool.ts'
import type { ByteStream } from './network.ts'
import type { TurnWork } from './turn-work.ts'

/** Replies up to this size are joined into one buffer: one write is cheaper than a gather of many small ones. */
const JOIN_BELOW_BYTES = 64 * 1024
const PIECE_BYTES = 1024 * 1024
/** A rest that is not much more than a piece goes with it: an answer of one megabyte has a header as well. */
const LAST_PIECE_BYTES = 1.5 * PIECE_BYTES

/** What one flush found ready, when that was much. */
interface Parcel {
  readonly buffers: readonly Buffer[]
  readonly holds: readonly Holds[]
  /** The first buffer of which something is left, and how much of it is gone. */
  index: number
  offset: number
  leftBytes: number
}

export interface OutletOptions {
  readonly stream: ByteStream
  /** How much all connections together may send in pieces in one turn. */
  readonly turnWork: TurnWork
  /** The system has taken a piece. */
  readonly onSent: () => void
}

export class Outlet {
  readonly #o: OutletOptions
  #ready: Buffer[] = []
  #readyBytes = 0
  #readyHolds: Holds[] = []
  #parcels: Parcel[] = []
  #parcelBytes = 0
  /** A piece is with the stream. */
  #isSending = false
  /** The next piece leaves in a later turn. */
  #isLate = false
  #isClosed = false

  constructor(options: OutletOptions) {
    this.#o = options
  }

  /** What the system has not taken. */
  get unsentBytes(): number {
    return this.#o.stream.writableLength + this.#readyBytes + this.#parcelBytes
  }

  /** Everything has been handed to the stream. */
  get isEmpty(): boolean {
    return this.#ready.length === 0 && this.#parcels.length === 0
  }

  queue(buffers: readonly Buffer[]): void {
    for (const buffer of buffers) {
      this.#ready.push(buffer)
      this.#readyBytes += buffer.length
    }
  }

  /** The memory of what was queued last. */
  hold(holds: Holds): void {
    this.#readyHolds.push(holds)
  }

  flush(): void {
    const [buffers, bytes, holds] = [this.#ready, this.#readyBytes, this.#readyHolds]
    if (bytes === 0 || this.#isClosed) return
    this.#ready = []
    this.#readyBytes = 0
    if (holds.length > 0) this.#readyHolds = []
    if (bytes <= JOIN_BELOW_BYTES && this.#parcels.length === 0) {
      const isWhole = buffers.length === 1 && holds.length === 0
      this.#o.stream.write(isWhole ? (buffers[0] as Buffer) : Buffer.concat(buffers, bytes))
      letGo(holds)
      return
    }
    this.#parcels.push({ buffers, holds, index: 0, offset: 0, leftBytes: bytes })
    this.#parcelBytes += bytes
    this.#send()
  }

  /** Nothing more will be sent. */
  close(): void {
    this.#isClosed = true
    letGo(this.#readyHolds)
    // The system may still be reading from the piece that it was given: its memory is let go when the stream says so.
    const waiting = this.#parcels.splice(this.#isSending ? 1 : 0)
    for (const { holds } of waiting) letGo(holds)
    this.#ready = []
    this.#readyHolds = []
    this.#readyBytes = this.#parcelBytes = 0
  }

  #send(): void {
    const { stream, turnWork } = this.#o
    if (this.#isSending || this.#isLate || this.#parcels.length === 0 || stream.destroyed) return
    if (turnWork.isOver) {
      this.#isLate = true
      turnWork.later(() => {
        this.#isLate = false
        this.#send()
      })
      return
    }
    this.#isSending = true
    const parcel = this.#parcels[0] as Parcel
    const bytes = parcel.leftBytes <= LAST_PIECE_BYTES ? parcel.leftBytes : PIECE_BYTES
    const pieces = cut(parcel, bytes)
    this.#parcelBytes -= bytes
    turnWork.spend(bytes)
    stream.cork()
    const last = pieces.length - 1
    for (let index = 0; index < last; index++) stream.write(pieces[index] as Buffer)
    stream.write(pieces[last] as Buffer, () => this.#taken())
    stream.uncork()
  }

  #taken(): void {
    this.#isSending = false
    const parcel = this.#parcels[0] as Parcel
    if (this.#isClosed || parcel.leftBytes === 0) {
      this.#parcels.shift()
      letGo(parcel.holds)
    }
    if (this.#isClosed) return
    this.#send()
    this.#o.onSent()
  }
}

/** The next bytes of the parcel. */
function cut(parcel: Parcel, bytes: number): Buffer[] {
  const piece: Buffer[] = []
  parcel.leftBytes -= bytes
  for (let left = bytes; left > 0; ) {
    const buffer = parcel.buffers[parcel.index] as Buffer
    const isRest = buffer.length - parcel.offset <= left
    const end = isRest ? buffer.length : parcel.offset + left
    piece.push(isRest && parcel.offset === 0 ? buffer : buffer.subarray(parcel.offset, end))
    left -= end - parcel.offset
    parcel.offset = isRest ? 0 : end
    if (isRest) parcel.index++
  }
  return piece
}

function letGo(holds: readonly Holds[]): void {
  for (const each of holds) each.letGo()
}
