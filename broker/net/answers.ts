// The memory for answers under way, of one kind of reader. Each kind has its own, so that consumers who do not read are
// waited for by other consumers, and never by the brokers and controllers on which acks and the quorum hang. What must
// hold: an answer is never refused, only made small or begun later; who is being sent one waits for nobody.
import assert from 'node:assert/strict'
import type { Clock } from '../clock.ts'
import { type Holder, Share, Stalled } from './shares.ts'

/** An answer gets at least so much, however little room there is: the system takes it even from a peer that does not
 *  read, so it is soon out of this memory. */
const SMALL_ANSWER_BYTES = 64 * 1024
/** Answers may be over their share by so much before the next one waits. */
const ANSWERS_OVER_BYTES = 32 * 1024 * 1024
/** Whoever moved nothing for one to two of these, while others waited, is ended. */
const SENDING_STALL_MS = 30_000
const NOT_READ = 'an answer that was not read, while others waited for its memory'

const NEVER = (): void => {}

/** Who reads: clients, brokers that follow, or whoever is on the controllers' listener. */
export type Reader = 'consumer' | 'follower' | 'controller'

export class Answers {
  readonly limitBytes: number
  readonly #sending: Stalled
  readonly #share: Share

  constructor(clock: Clock, limitBytes: number) {
    this.limitBytes = limitBytes
    this.#sending = new Stalled(clock, SENDING_STALL_MS, NOT_READ, () => this.#share.waiting.size > 0)
    this.#share = new Share(this.#sending, () => this.#fit())
  }

  get usedBytes(): number {
    return this.#share.usedBytes
  }

  get waiting(): number {
    return this.#share.waiting.size
  }

  get abandoned(): number {
    return this.#sending.abandoned
  }

  /** Whether another large answer may be begun at once. */
  get hasRoom(): boolean {
    return this.#share.waiting.size === 0 && this.#fit()
  }

  /** Calls `begin` when another large answer may be begun, in the order of those who wait; the answer ends the wait. */
  whenFit(begin: () => void): () => void {
    const { waiting } = this.#share
    const waiter = this.#share.take(0, begin)
    if (waiter === true) begin()
    else return () => waiting.delete(waiter)
    return NEVER
  }

  #fit(): boolean {
    return this.#share.usedBytes < this.limitBytes + ANSWERS_OVER_BYTES
  }

  /** The half of what is free, so that those who come later find something too. */
  shareOf(wanted: number, isFirst: boolean): number {
    const share = Math.floor((this.limitBytes - this.#share.usedBytes) / 2)
    if (share >= SMALL_ANSWER_BYTES) return Math.min(wanted, share)
    return isFirst ? Math.min(wanted, SMALL_ANSWER_BYTES) : 0
  }

  take(bytes: number): void {
    this.#share.usedBytes += bytes
    assert(this.#share.usedBytes >= 0)
    if (bytes < 0) this.#share.grant()
  }

  /** His peer has an answer to read. */
  heldBy(holder: Holder): void {
    this.#sending.add(holder)
  }

  letGo(holder: Holder): void {
    this.#sending.delete(holder)
  }
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

/** The bytes of one answer. */
export class AnswerLease implements AnswerRoom {
  readonly answers: Answers
  bytes = 0
  isShort = false

  constructor(answers: Answers) {
    this.answers = answers
  }

  ask(wanted: number, isFirst: boolean): number {
    const asked = this.answers.shareOf(wanted, isFirst)
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
    this.answers.take(bytes)
  }
}
