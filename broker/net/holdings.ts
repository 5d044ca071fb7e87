// What one connection holds of the memory budget: the room of the large frame that it receives, the requests that it has
// in work, and the answers that its peer has not taken. Whatever is taken here is given back once, however the
// connection ends.
import type { AnswerLease, Answers } from './answers.ts'
import { type FrameRoom, type MemoryBudget, SMALL_FRAME_BYTES } from './budget.ts'
import type { Holder } from './shares.ts'

/** Below this a stream does not say when it is empty again; it is not worth an account either. */
const UNCOUNTED_BYTES = 64 * 1024

export interface HoldingsOptions {
  readonly budget: MemoryBudget
  /** Of the frame that is being received. */
  readonly bufferedBytes: () => number
  /** Bytes that the system has not taken. */
  readonly unsentBytes: () => number
  /** Whether the peer is read from, as far as its own requests are concerned. */
  readonly isRead: () => boolean
  readonly resume: () => void
  readonly abandon: (reason: string) => void
}

export class Holdings {
  readonly #o: HoldingsOptions
  /** For the frame at the front, while it is not whole. */
  #front: FrameRoom | null = null
  #answerBytes = 0
  /** Where they are counted: among the answers of the kind that was sent last. */
  #answers: Answers
  #isHoldingAnswer = false
  #isClosed = false
  readonly #receiver: Holder
  readonly #sender: Holder

  constructor(o: HoldingsOptions) {
    this.#o = o
    const { abandon } = o
    this.#answers = o.budget.answers.consumer
    // NaN is never what it was before: who is not read from for his own requests' sake cannot move.
    this.#receiver = {
      get movedBytes() {
        return o.isRead() ? o.bufferedBytes() : Number.NaN
      },
      abandon
    }
    this.#sender = {
      get movedBytes() {
        return o.unsentBytes()
      },
      abandon
    }
  }

  /** The frame at the front waits for room: nothing more is to be received. */
  get isWaiting(): boolean {
    return this.#front?.isWaiting === true
  }

  /** Whether the rest of a frame of this size, of which a part is here, may be received now. */
  hasRoom(size: number): boolean {
    if (size <= SMALL_FRAME_BYTES) return true
    this.#front ??= this.#o.budget.takeFrame(size, this.#receiver, this.#o.resume)
    return !this.#front.isWaiting
  }

  /** A whole frame goes to work; null for a small one, which is counted by its bytes alone. */
  taken(bytes: number): FrameRoom | null {
    const room = this.#front
    this.#front = null
    room?.received()
    if (bytes > SMALL_FRAME_BYTES) return room ?? this.#o.budget.chargeFrame(bytes)
    room?.giveBack()
    this.#o.budget.takeSmall(bytes)
    return null
  }

  /** Its answer is known. */
  answered(bytes: number, room: FrameRoom | null): void {
    if (room !== null) room.giveBack()
    else this.#o.budget.giveSmall(bytes)
  }

  /** No frame is at the front any more: it was answered at once, or nothing is received from now on. */
  passed(): void {
    if (this.#front === null) return
    this.#front.giveBack()
    this.#front = null
  }

  /** An answer is on its way out: what it has taken is given back when it has left. */
  sending(lease: AnswerLease): void {
    if (this.#isClosed) {
      lease.clear()
      return
    }
    if (lease.answers !== this.#answers) {
      const bytes = this.#answerBytes
      this.#count(0)
      this.#answers = lease.answers
      this.#count(bytes)
    }
    this.#answerBytes += lease.bytes
  }

  /** Everything that was to be sent has been handed to the stream. */
  sent(): void {
    const unsent = this.#o.unsentBytes()
    this.#count(unsent < UNCOUNTED_BYTES ? 0 : unsent)
  }

  close(): void {
    this.#isClosed = true
    this.passed()
    this.#count(0)
  }

  #count(bytes: number): void {
    const answers = this.#answers
    if (bytes > 0 !== this.#isHoldingAnswer) {
      this.#isHoldingAnswer = bytes > 0
      if (this.#isHoldingAnswer) answers.heldBy(this.#sender)
      else answers.letGo(this.#sender)
    }
    const more = bytes - this.#answerBytes
    if (more === 0) return
    this.#answerBytes = bytes
    answers.take(more)
  }
}
