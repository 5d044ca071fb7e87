// One client connection: requests are taken in order and worked on at once, replies leave in the order of their
// requests, and all replies of one turn of the event loop leave in one write. A peer that does not read, or that asks
// for more than its share, is not read from until it catches up; nobody else waits for it.
import { MoldauError } from '../../protocol/failure.ts'
import { isLater, type Later } from '../later.ts'
import { AnswerLease, type Answers } from './answers.ts'
import type { MemoryBudget } from './budget.ts'
import { FrameReader } from './frames.ts'
import { Holdings } from './holdings.ts'
import { type ByteStream, plainAddress } from './network.ts'
import { Outlet } from './outlet.ts'
import { type Answer, abandon, DONE, type Reply, type Slot, Turn } from './slot.ts'
import { REQUEST_COST_BYTES, type TurnWork } from './turn-work.ts'

/** The API key of Produce. What it keeps of a request are batches, and those who take them hold the memory. */
const PRODUCE = 0
/** What one connection may have in work before it is no longer read from. */
const MAX_PENDING_REQUESTS = 256
const MAX_PENDING_BYTES = 32 * 1024 * 1024
const MAX_UNSENT_BYTES = 4 * 1024 * 1024

/** What to do with a frame: bytes of the reply, null for none, or a promise of them. A failure ends the connection, behind
 *  the replies to the requests before. */
export type OnFrame = (frame: Buffer, connection: Connection) => Answer | Turn

export interface ConnectionOptions {
  readonly id: number
  readonly listenerName: string
  readonly maxFrameBytes: number
  readonly budget: MemoryBudget
  /** How much all connections together may take, and send, in one turn. */
  readonly turnWork: TurnWork
  readonly sendWork: TurnWork
  readonly onFrame: OnFrame
  /** Called once per turn for a connection that has something to send. */
  readonly scheduleFlush: (connection: Connection) => void
  readonly onClosed: (connection: Connection, error: Error | null) => void
  readonly nowMs: () => number
}

interface WaitingTurn {
  readonly slot: Slot
  readonly turn: Turn
}

export class Connection {
  readonly id: number
  readonly listenerName: string
  readonly remoteAddress: string
  readonly remotePort: number
  readonly localAddress: string
  readonly localPort: number
  readonly #stream: ByteStream
  readonly #options: ConnectionOptions
  readonly #reader: FrameReader
  readonly #holdings: Holdings
  readonly #abort = new AbortController()
  #lastActiveMs: number
  #slots: Slot[] = []
  #pendingBytes = 0
  /** Those that are not begun, in order; whether one is at work, or waits for room. */
  readonly #turns: WaitingTurn[] = []
  #isTurnTaken = false
  /** Ends the wait of a turn for room. */
  #stopWaiting: (() => void) | null = null
  readonly #outlet: Outlet
  #flushScheduled = false
  #paused = false
  /** Goes on in the next turn. */
  #isLate = false
  #draining = false
  #hasEnded = false
  /** Once everything is sent the connection ends, whatever the peer does. */
  #endsSoon = false
  #failure: Error | null = null
  #onDrained: (() => void) | null = null

  constructor(stream: ByteStream, options: ConnectionOptions) {
    this.#stream = stream
    this.#options = options
    this.#reader = new FrameReader({
      maxBytes: options.maxFrameBytes,
      isPooled: key => key === PRODUCE,
      hasRoom: size => this.#holdings.hasRoom(size)
    })
    this.#outlet = new Outlet({ stream, turnWork: options.sendWork, onSent: () => this.#onSent() })
    this.#holdings = new Holdings({
      budget: options.budget,
      bufferedBytes: () => this.#reader.bufferedBytes,
      unsentBytes: () => this.#outlet.unsentBytes,
      isRead: () => !this.#isFull(),
      resume: () => this.#work(),
      abandon: reason => this.destroy(new MoldauError('ERR_CLOSED', reason))
    })
    this.id = options.id
    this.listenerName = options.listenerName
    this.remoteAddress = plainAddress(stream.remoteAddress)
    this.remotePort = stream.remotePort ?? 0
    this.localAddress = plainAddress(stream.localAddress)
    this.localPort = stream.localPort ?? 0
    this.#lastActiveMs = options.nowMs()
    stream.setNoDelay(true)
    stream.on('data', chunk => this.#onData(chunk))
    stream.on('drain', () => this.#resumeIfPossible())
    stream.on('end', () => this.#onEnd())
    stream.on('error', error => this.destroy(error))
    stream.on('close', () => this.#onClose())
  }

  /** Aborted when the peer is gone or the broker stops: parked work may be dropped or answered at once. */
  get signal(): AbortSignal {
    return this.#abort.signal
  }

  /** True for a peer that is silent and waits for nothing, or that does not take what ends its connection. */
  isIdle(idleMs: number): boolean {
    const isWaiting = this.#slots.length > 0 && !this.#draining
    return !isWaiting && this.#options.nowMs() - this.#lastActiveMs >= idleMs
  }

  /** Sends every reply that is due, in one write. */
  flush(): void {
    this.#flushScheduled = false
    if (this.#stream.destroyed) return
    this.#send()
    this.#holdings.sent()
    this.#work()
    this.#endIfDrained()
  }

  #send(): void {
    if (this.#outlet.isEmpty) return
    this.#lastActiveMs = this.#options.nowMs()
    this.#outlet.flush()
  }

  /** Ends the connection at once, for the reason given (null: no fault). */
  destroy(error: Error | null): void {
    this.#failure ??= error
    this.#stream.destroy()
  }

  /** Takes no more requests, answers those in work, then closes. Resolves when the socket is closed. */
  drain(): Promise<void> {
    this.#stopTaking()
    return new Promise(resolve => {
      if (this.#stream.destroyed) return resolve()
      this.#onDrained = resolve
      this.#endIfDrained()
    })
  }

  #stopTaking(): void {
    this.#draining = true
    this.#holdings.passed()
    // Read on, and drop what comes: a paused socket would not notice that its peer is gone.
    this.#stream.resume()
    this.#abort.abort()
  }

  #onData(chunk: Buffer): void {
    if (this.#draining) return
    this.#lastActiveMs = this.#options.nowMs()
    this.#reader.push(chunk)
    this.#work(chunk.length)
  }

  /** Takes frames while the connection is within its share. */
  #work(receivedBytes = 0): void {
    const { turnWork } = this.#options
    let isOver = this.#isLate
    try {
      while (!isOver && !this.#draining && !this.#stream.destroyed && !this.#isFull()) {
        const frame = this.#reader.next()
        if (frame === null) break
        this.#take(frame)
        isOver = !turnWork.spend(REQUEST_COST_BYTES)
      }
      this.#reader.keep()
    } catch (error) {
      this.#reader.close()
      // A frame that cannot be read: the requests before it still get their replies.
      this.#slots.push({ ...DONE, failure: error as Error })
      this.#stopTaking()
      this.#releaseInOrder()
      return
    }
    if (isOver || (receivedBytes > 0 && !turnWork.spend(receivedBytes))) this.#postpone()
    this.#pauseOrResume()
  }

  #postpone(): void {
    if (this.#isLate) return
    this.#isLate = true
    this.#options.turnWork.later(() => {
      this.#isLate = false
      if (!this.#stream.destroyed) this.#work()
    })
  }

  #take(frame: Buffer): void {
    const reply = this.#options.onFrame(frame, this)
    const isTurn = reply instanceof Turn
    const holds = isTurn ? reply.holds : null
    if (!isTurn && !isLater<Reply>(reply)) {
      this.#holdings.passed()
      if (this.#slots.length === 0) this.#queue(reply)
      else this.#slots.push({ ...DONE, buffers: reply })
      return
    }
    const bytes = frame.length
    const room = this.#holdings.taken(bytes)
    const slot: Slot = { done: false, buffers: null, failure: null, bytes, holds, room, lease: null }
    this.#slots.push(slot)
    this.#pendingBytes += slot.bytes
    if (isTurn) {
      this.#turns.push({ slot, turn: reply })
      this.#nextTurn()
    } else this.#await(slot, reply)
  }

  #await(slot: Slot, reply: Promise<Reply> | Later<Reply>): void {
    void reply.then(
      buffers => this.#answered(slot, buffers, null),
      error => this.#answered(slot, null, error as Error)
    )
  }

  #nextTurn(): void {
    const [next] = this.#turns
    if (this.#isTurnTaken || next === undefined || this.#outlet.unsentBytes >= MAX_UNSENT_BYTES) return
    this.#isTurnTaken = true
    const answers = this.#options.budget.answers[next.turn.reader]
    if (answers.hasRoom) this.#begin(answers)
    else this.#stopWaiting = answers.whenFit(() => this.#begin(answers))
  }

  #begin(answers: Answers): void {
    this.#stopWaiting = null
    const { slot, turn } = this.#turns.shift() as WaitingTurn
    const lease = new AnswerLease(answers)
    slot.lease = lease
    let reply: Answer
    try {
      reply = turn.begin(lease)
    } catch (error) {
      this.#answered(slot, null, error as Error)
      return
    }
    if (isLater<Reply>(reply)) this.#await(slot, reply)
    else this.#answered(slot, reply, null)
  }

  #answered(slot: Slot, buffers: readonly Buffer[] | null, failure: Error | null): void {
    slot.done = true
    slot.buffers = buffers
    slot.failure = failure
    this.#pendingBytes -= slot.bytes
    this.#holdings.answered(slot.bytes, slot.room)
    if (this.#hasEnded || buffers === null) abandon(slot)
    this.#releaseInOrder()
  }

  #releaseInOrder(): void {
    if (this.#slots[0]?.done !== true) return
    while (this.#slots[0]?.done === true) {
      const slot = this.#slots.shift() as Slot
      if (slot.failure !== null) {
        this.#endWith(slot.failure)
        return
      }
      this.#queue(slot.buffers)
      if (slot.lease !== null) this.#holdings.sending(slot.lease)
      slot.lease = null
      if (slot.holds === null) continue
      this.#isTurnTaken = false
      if (!slot.holds.isEmpty) this.#outlet.hold(slot.holds)
    }
    this.#nextTurn()
    if (this.#paused || this.#draining) this.#schedule()
  }

  #endWith(failure: Error): void {
    this.#failure ??= failure
    this.#forget()
    this.#stopTaking()
    this.#endsSoon = true
    this.#send()
    this.#endIfDrained()
  }

  #queue(buffers: readonly Buffer[] | null): void {
    if (buffers === null || this.#stream.destroyed) return
    this.#outlet.queue(buffers)
    this.#schedule()
  }

  #schedule(): void {
    if (this.#flushScheduled) return
    this.#flushScheduled = true
    this.#options.scheduleFlush(this)
  }

  #isFull(): boolean {
    return (
      this.#slots.length >= MAX_PENDING_REQUESTS ||
      this.#pendingBytes >= MAX_PENDING_BYTES ||
      this.#outlet.unsentBytes >= MAX_UNSENT_BYTES ||
      (this.#slots.length > 0 && this.#options.budget.isTight)
    )
  }

  #pauseOrResume(): void {
    if (this.#draining) return
    const full = this.#isFull() || this.#holdings.isWaiting || this.#isLate
    if (full && !this.#paused) this.#stream.pause()
    else if (!full && this.#paused) this.#stream.resume()
    this.#paused = full
  }

  #resumeIfPossible(): void {
    this.#holdings.sent()
    this.#nextTurn()
    this.#work()
    this.#endIfDrained()
  }

  #onSent(): void {
    this.#lastActiveMs = this.#options.nowMs()
    if (!this.#stream.destroyed) this.#resumeIfPossible()
  }

  /** The peer has sent its last request; it still gets the replies to those before. */
  #onEnd(): void {
    if (this.#slots.length === 0 && this.#outlet.isEmpty) this.#stream.end()
    else this.#stopTaking()
  }

  #endIfDrained(): void {
    if (!this.#draining || this.#slots.length > 0 || !this.#outlet.isEmpty) return
    if (this.#endsSoon) this.#stream.destroySoon()
    else this.#stream.end()
  }

  /** What is answered will not be sent; what is not answered yet lets go when it is. */
  #forget(): void {
    this.#hasEnded = true
    for (const each of this.#slots) if (each.done) abandon(each)
    this.#slots = []
    this.#stopWaiting?.()
    this.#stopWaiting = null
    // These will not be answered: they were not begun.
    for (const { slot } of this.#turns.splice(0)) this.#holdings.answered(slot.bytes, slot.room)
  }

  #onClose(): void {
    this.#reader.close()
    this.#forget()
    this.#outlet.close()
    this.#holdings.close()
    this.#abort.abort()
    this.#onDrained?.()
    this.#options.onClosed(this, this.#failure)
  }
}
