// The memory for what is under way on all connections: requests that were received and not answered, frames of which a
// part is here, answers that have not left. Back-pressure does the rest: who is over his share is not read from, and
// answers get smaller. What must hold: nobody who frees memory ever waits for memory (answers that are being written,
// small requests, one for each connection), a frame of any size that is allowed gets through in the end, and a peer that
// holds what others wait for, and neither sends nor reads, loses its connection.
import assert from 'node:assert/strict'
import type { Clock } from '../clock.ts'
import { Answers, type Reader } from './answers.ts'
import { type Holder, Share, Stalled, type Waiter } from './shares.ts'

/** Frames up to this size need no room before they are read: they come in one or two pieces anyway. */
export const SMALL_FRAME_BYTES = 64 * 1024
/** Whoever moved nothing for one to two of these, while others waited, is ended. */
const RECEIVING_STALL_MS = 10_000

/** What there is beside the cache, whatever the settings say. */
const LEAST_BYTES = 16 * 1024 * 1024

export interface BudgetOptions {
  readonly clock: Clock
  /** For everything together, `cacheBytes` included. */
  readonly limitBytes: number
  readonly cacheBytes: number
  readonly maxFrameBytes: number
}

export interface Account {
  readonly name: string
  readonly usedBytes: number
  readonly limitBytes: number
}

export class MemoryBudget {
  // Half of what the cache leaves is for large requests, a quarter for answers to clients, an eighth each for small
  // requests and for followers. Metadata for other controllers is little: its share says only when there is too much.
  readonly #largeLimit: number
  readonly #smallLimit: number
  /** What giants leave to the other large requests; a frame that is larger is a giant. */
  readonly #mediumShare: number
  readonly #receiving: Stalled
  readonly #giants: Share
  readonly #mediums: Share
  readonly answers: Readonly<Record<Reader, Answers>>
  #smallBytes = 0

  constructor(o: BudgetOptions) {
    const restBytes = Math.max(o.limitBytes - o.cacheBytes, LEAST_BYTES)
    this.#mediumShare = restBytes / 16
    this.#largeLimit = Math.max(restBytes / 2, o.maxFrameBytes + this.#mediumShare)
    this.#smallLimit = restBytes / 8
    this.answers = {
      consumer: new Answers(o.clock, restBytes / 4),
      follower: new Answers(o.clock, restBytes / 8),
      controller: new Answers(o.clock, restBytes / 32)
    }
    const isFrameWaiting = (): boolean => this.#giants.waiting.size + this.#mediums.waiting.size > 0
    this.#receiving = new Stalled(o.clock, RECEIVING_STALL_MS, HALF_A_FRAME, isFrameWaiting)
    this.#giants = new Share(this.#receiving, bytes => this.#giantFits(bytes))
    this.#mediums = new Share(this.#receiving, bytes => this.#mediumFits(bytes))
  }

  #giantFits(bytes: number): boolean {
    const others = Math.max(this.#mediums.usedBytes, this.#mediumShare)
    return this.#giants.usedBytes + bytes + others <= this.#largeLimit
  }

  #mediumFits(bytes: number): boolean {
    const areGiants = this.#giants.usedBytes > 0 || this.#giants.waiting.size > 0
    return this.#mediums.usedBytes + bytes <= (areGiants ? this.#mediumShare : this.#largeLimit)
  }

  #shareOf(bytes: number): Share {
    return bytes > this.#mediumShare ? this.#giants : this.#mediums
  }

  // Requests.

  /** Requests are beyond their share: a connection that has one in work gets no second. */
  get isTight(): boolean {
    return this.#smallBytes >= this.#smallLimit || this.#mediums.usedBytes > this.#largeLimit
  }

  takeSmall(bytes: number): void {
    this.#smallBytes += bytes
  }

  giveSmall(bytes: number): void {
    this.#smallBytes -= bytes
    assert(this.#smallBytes >= 0)
  }

  /** Room for a whole frame before the rest of it is read; `granted` is called if it has to wait. */
  takeFrame(bytes: number, holder: Holder, granted: () => void): FrameRoom {
    return new FrameRoom(bytes, this.#shareOf(bytes), this.#receiving, holder, granted, this.#given)
  }

  /** For a frame that came as a whole. */
  chargeFrame(bytes: number): FrameRoom {
    return new FrameRoom(bytes, this.#shareOf(bytes), this.#receiving, null, NEVER, this.#given)
  }

  readonly #given = (): void => {
    // A giant that waits makes the others few: it goes first.
    this.#giants.grant()
    this.#mediums.grant()
  }

  // What is told.

  get accounts(): readonly Account[] {
    const requestBytes = this.#giants.usedBytes + this.#mediums.usedBytes
    return [
      { name: 'large-requests', usedBytes: requestBytes, limitBytes: this.#largeLimit },
      { name: 'small-requests', usedBytes: this.#smallBytes, limitBytes: this.#smallLimit },
      accountOf('answers', this.answers.consumer),
      accountOf('follower-answers', this.answers.follower),
      accountOf('controller-answers', this.answers.controller)
    ]
  }

  get waiting(): number {
    return this.#giants.waiting.size + this.#mediums.waiting.size + this.#ofAnswers(each => each.waiting)
  }

  get abandoned(): number {
    return this.#receiving.abandoned + this.#ofAnswers(each => each.abandoned)
  }

  #ofAnswers(figure: (answers: Answers) => number): number {
    return Object.values(this.answers).reduce((sum, each) => sum + figure(each), 0)
  }
}

function accountOf(name: string, { usedBytes, limitBytes }: Answers): Account {
  return { name, usedBytes, limitBytes }
}

const HALF_A_FRAME = 'half of a large request, and then silence, while others waited for its memory'

const NEVER = (): void => {}

/** Room for one large frame, from before it is read until it is answered. */
export class FrameRoom {
  readonly bytes: number
  readonly #share: Share
  readonly #stalls: Stalled
  readonly #holder: Holder | null
  readonly #given: () => void
  #waiter: Waiter | null = null
  #isReceived = false

  /** Without a holder the frame is here already. */
  constructor(
    bytes: number,
    share: Share,
    stalls: Stalled,
    holder: Holder | null,
    granted: () => void,
    given: () => void
  ) {
    this.bytes = bytes
    this.#share = share
    this.#stalls = stalls
    this.#holder = holder
    this.#given = given
    if (holder === null) {
      share.usedBytes += bytes
      return
    }
    const taken = share.take(bytes, () => {
      this.#waiter = null
      if (!this.#isReceived) stalls.add(holder)
      granted()
    })
    if (taken === true) stalls.add(holder)
    else this.#waiter = taken
  }

  get isWaiting(): boolean {
    return this.#waiter !== null
  }

  /** The frame is here as a whole: what it waits for now is not its peer's to give. */
  received(): void {
    this.#isReceived = true
    if (this.#holder !== null) this.#stalls.delete(this.#holder)
  }

  giveBack(): void {
    this.received()
    if (this.#waiter !== null) this.#share.waiting.delete(this.#waiter)
    else this.#share.usedBytes -= this.bytes
    this.#waiter = null
    this.#given()
  }
}
