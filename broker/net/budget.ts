// The memory for what is under way on all connections: requests that were received and not answered, frames of which a
// part is here, answers that have not left. Back-pressure does the rest: who is over his share is not read from, and
// answers get smaller. What must hold: nobody who frees memory ever waits for memory (answers that are being written,
// small requests, one for each connection), a frame of any size that is allowed gets through in the end, and a peer that
// holds what others wait for, and neither sends nor reads, loses its connection.
import assert from 'node:assert/strict'
import type { Clock, Timer } from '../clock.ts'

/** Frames up to this size need no room before they are read: they come in one or two pieces anyway. */
export const SMALL_FRAME_BYTES = 64 * 1024
/** An answer gets at least so much, however little room there is: the system takes it even from a peer that does not
 *  read, so it is soon out of this memory. */
const SMALL_ANSWER_BYTES = 64 * 1024
/** Answers may be over their share by so much before the next one waits. */
const ANSWERS_OVER_BYTES = 32 * 1024 * 1024
/** Whoever moved nothing for one to two of these, while others waited, is ended. */
const RECEIVING_STALL_MS = 10_000
const SENDING_STALL_MS = 30_000

/** What there is beside the cache, whatever the settings say. */
const LEAST_BYTES = 16 * 1024 * 1024

/** Who holds memory until his peer has done its part. */
export interface Holder {
  /** Grows while the peer does that. */
  readonly movedBytes: number
  /** Others waited in vain. */
  abandon(reason: string): void
}

export interface BudgetOptions {
  readonly clock: Clock
  /** For everything together, `cacheBytes` included. */
  readonly limitBytes: number
  readonly cacheBytes: number
  readonly maxFrameBytes: number
}

interface Waiter {
  readonly bytes: number
  readonly granted: () => void
}

/** Bytes of one kind, in order of arrival where there is not enough. */
class Share {
  readonly #fits: (bytes: number) => boolean
  readonly #stalls: Stalled
  usedBytes = 0
  readonly waiting = new Set<Waiter>()
  #isGranting = false

  constructor(stalls: Stalled, fits: (bytes: number) => boolean) {
    this.#stalls = stalls
    this.#fits = fits
  }

  /** True if the bytes are taken now; otherwise `granted` is called once they are, unless the waiter is dropped. */
  take(bytes: number, granted: () => void): Waiter | true {
    if (this.waiting.size === 0 && this.#fits(bytes)) {
      this.usedBytes += bytes
      return true
    }
    const waiter = { bytes, granted }
    this.waiting.add(waiter)
    this.#stalls.watch()
    return waiter
  }

  /** Whoever is granted something may give a part of it back at once: the next get it from here, not from within his call,
   *  where a thousand who wait would be a thousand calls deep. */
  grant(): void {
    if (this.#isGranting) return
    this.#isGranting = true
    try {
      for (const waiter of this.waiting) {
        if (!this.#fits(waiter.bytes)) return
        this.waiting.delete(waiter)
        this.usedBytes += waiter.bytes
        waiter.granted()
      }
    } finally {
      this.#isGranting = false
    }
  }
}

/** Ends holders that do not move while somebody waits for what they hold. */
class Stalled {
  readonly #clock: Clock
  readonly #everyMs: number
  readonly #isWaitedFor: () => boolean
  readonly #reason: string
  readonly #holders = new Map<Holder, number>()
  #timer: Timer | null = null
  abandoned = 0

  constructor(clock: Clock, everyMs: number, reason: string, isWaitedFor: () => boolean) {
    this.#clock = clock
    this.#everyMs = everyMs
    this.#reason = reason
    this.#isWaitedFor = isWaitedFor
  }

  add(holder: Holder): void {
    this.#holders.set(holder, -1)
  }

  delete(holder: Holder): void {
    this.#holders.delete(holder)
  }

  /** Somebody waits. */
  watch(): void {
    this.#timer ??= this.#clock.after(this.#everyMs, () => this.#look())
  }

  #look(): void {
    this.#timer = null
    if (!this.#isWaitedFor()) {
      for (const holder of this.#holders.keys()) this.#holders.set(holder, -1)
      return
    }
    for (const [holder, before] of this.#holders) {
      const now = holder.movedBytes
      if (now !== before) this.#holders.set(holder, now)
      else {
        this.#holders.delete(holder)
        this.abandoned++
        holder.abandon(this.#reason)
      }
    }
    this.watch()
  }
}

export interface Account {
  readonly name: string
  readonly usedBytes: number
  readonly limitBytes: number
}

/** Room for one answer: asked for before the read, given back when the bytes have left. */
export interface AnswerRoom {
  /** How many of the bytes wanted may be read; those are taken until `settle`. `isFirst`: never nothing. */
  ask(wanted: number, isFirst: boolean): number
  /** What was read in the end. */
  settle(asked: number, read: number): void
  /** Less was read than was wanted, for want of room: the answer is not to wait for more. */
  readonly isShort: boolean
  /** Nothing of what was read is kept. */
  clear(): void
}

/** For requests that no connection waits for. */
export const WITHOUT_ACCOUNT: AnswerRoom = { ask: wanted => wanted, settle() {}, clear() {}, isShort: false }

export class MemoryBudget {
  // Half of what the cache leaves is for large requests, a quarter for answers, an eighth for small requests; the rest is
  // for what is over its share for a while.
  readonly #largeLimit: number
  readonly #smallLimit: number
  readonly #answersLimit: number
  /** What giants leave to the other large requests; a frame that is larger is a giant. */
  readonly #mediumShare: number
  readonly #receiving: Stalled
  readonly #sending: Stalled
  readonly #giants: Share
  readonly #mediums: Share
  readonly #answers: Share
  #smallBytes = 0

  constructor(o: BudgetOptions) {
    const restBytes = Math.max(o.limitBytes - o.cacheBytes, LEAST_BYTES)
    this.#mediumShare = restBytes / 16
    this.#largeLimit = Math.max(restBytes / 2, o.maxFrameBytes + this.#mediumShare)
    this.#smallLimit = restBytes / 8
    this.#answersLimit = restBytes / 4
    const isFrameWaiting = (): boolean => this.#giants.waiting.size + this.#mediums.waiting.size > 0
    this.#receiving = new Stalled(o.clock, RECEIVING_STALL_MS, HALF_A_FRAME, isFrameWaiting)
    this.#sending = new Stalled(o.clock, SENDING_STALL_MS, NOT_READ, () => this.#answers.waiting.size > 0)
    this.#giants = new Share(this.#receiving, bytes => this.#giantFits(bytes))
    this.#mediums = new Share(this.#receiving, bytes => this.#mediumFits(bytes))
    this.#answers = new Share(this.#sending, () => this.#answersFit())
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

  // Answers.

  /** Whether another large answer may be begun at once. */
  get hasAnswerRoom(): boolean {
    return this.#answers.waiting.size === 0 && this.#answersFit()
  }

  /** Calls `begin` when another large answer may be begun, in the order of those who wait; the answer ends the wait. */
  whenAnswersFit(begin: () => void): () => void {
    const { waiting } = this.#answers
    const waiter = this.#answers.take(0, begin)
    if (waiter === true) begin()
    else return () => waiting.delete(waiter)
    return NEVER
  }

  #answersFit(): boolean {
    return this.#answers.usedBytes < this.#answersLimit + ANSWERS_OVER_BYTES
  }

  /** The half of what is free, so that those who come later find something too. */
  answerShare(wanted: number, isFirst: boolean): number {
    const share = Math.floor((this.#answersLimit - this.#answers.usedBytes) / 2)
    if (share >= SMALL_ANSWER_BYTES) return Math.min(wanted, share)
    return isFirst ? Math.min(wanted, SMALL_ANSWER_BYTES) : 0
  }

  takeAnswer(bytes: number): void {
    this.#answers.usedBytes += bytes
    assert(this.#answers.usedBytes >= 0)
    if (bytes < 0) this.#answers.grant()
  }

  holdsAnswer(holder: Holder): void {
    this.#sending.add(holder)
  }

  letGoAnswer(holder: Holder): void {
    this.#sending.delete(holder)
  }

  // What is told.

  get accounts(): readonly Account[] {
    const requestBytes = this.#giants.usedBytes + this.#mediums.usedBytes
    return [
      { name: 'large-requests', usedBytes: requestBytes, limitBytes: this.#largeLimit },
      { name: 'small-requests', usedBytes: this.#smallBytes, limitBytes: this.#smallLimit },
      { name: 'answers', usedBytes: this.#answers.usedBytes, limitBytes: this.#answersLimit }
    ]
  }

  get waiting(): number {
    return this.#giants.waiting.size + this.#mediums.waiting.size + this.#answers.waiting.size
  }

  get abandoned(): number {
    return this.#receiving.abandoned + this.#sending.abandoned
  }
}

const HALF_A_FRAME = 'half of a large request, and then silence, while others waited for its memory'
const NOT_READ = 'an answer that was not read, while others waited for its memory'

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

/** The bytes of one answer. */
export class AnswerLease implements AnswerRoom {
  readonly #budget: MemoryBudget
  bytes = 0
  isShort = false

  constructor(budget: MemoryBudget) {
    this.#budget = budget
  }

  ask(wanted: number, isFirst: boolean): number {
    const asked = this.#budget.answerShare(wanted, isFirst)
    if (asked < wanted) this.isShort = true
    this.#add(asked)
    return asked
  }

  settle(asked: number, read: number): void {
    this.#add(read - asked)
  }

  clear(): void {
    this.isShort = false
    this.#add(-this.bytes)
  }

  #add(bytes: number): void {
    if (bytes === 0) return
    this.bytes += bytes
    this.#budget.takeAnswer(bytes)
  }
}
