// The runtime of every decide/apply state machine (controller, groups; later transactions and shares). Records are
// applied when they are appended, so decide always sees the newest state; a reply is held until its records are
// committed, and a reply that wrote nothing until everything that it may have seen is (as Kafka's coordinator runtime,
// coordinator-common/.../CoordinatorRuntime.java). A failed append or lost leadership rolls back to what is committed.
import { MoldauError } from '../protocol/failure.ts'
import type { Offset } from '../protocol/types.ts'
import { Later } from './later.ts'

/** What a machine needs of its partition: appends in order, and word of what is committed. */
export interface MachineLog<R> {
  /** Appends one atomic batch of records and gives the log end offset after it. Throws MoldauError; then nothing was appended. */
  append(records: readonly R[]): Offset
  readonly logEndOffset: Offset
  readonly highWatermark: Offset
}

export interface Decision<R, T> {
  readonly records: readonly R[]
  readonly reply: T
}

/** The replayed state behind a machine. */
export interface MachineState<R> {
  /** The only writer of the state: live and at replay. `endOffset` is the log end offset after the record's batch. */
  apply(record: R, endOffset: Offset): void
  /** Forgets everything applied from records at or beyond `upto` (the committed offset). */
  rollback(upto: Offset): void
  /** Everything below `upto` is committed: undo information below it may go. */
  committed(upto: Offset): void
}

interface Held {
  readonly endOffset: Offset
  release(): void
  fail(error: Error): void
}

/** A reply that waits for its commit. */
class HeldReply<T> implements Held {
  readonly endOffset: Offset
  readonly later = new Later<T>()
  readonly #reply: T

  constructor(endOffset: Offset, reply: T) {
    this.endOffset = endOffset
    this.#reply = reply
  }

  release(): void {
    this.later.settle(this.#reply)
  }

  fail(error: Error): void {
    this.later.fail(error)
  }
}

export class Machine<R> {
  readonly #log: MachineLog<R>
  readonly #state: MachineState<R>
  /** Replies in the order of their end offsets. */
  #held: Held[] = []
  #endOffset: Offset
  #closed: Error | null = null

  constructor(log: MachineLog<R>, state: MachineState<R>) {
    this.#log = log
    this.#state = state
    this.#endOffset = log.highWatermark
  }

  /** Offset up to which the state has applied records. */
  get appliedOffset(): Offset {
    return this.#endOffset
  }

  /** Decides on the newest state, appends and applies at once, and gives the reply when it is committed. */
  submit<T>(decide: () => Decision<R, T>): Later<T> {
    if (this.#closed) return failed(this.#closed)
    let decision: Decision<R, T>
    try {
      decision = decide()
      if (decision.records.length > 0) this.#append(decision.records)
    } catch (error) {
      return failed(error)
    }
    const held = new HeldReply(this.#endOffset, decision.reply)
    if (held.endOffset <= this.#log.highWatermark) held.release()
    else this.#held.push(held)
    return held.later
  }

  /** Call when the high watermark moved: releases replies in order. */
  advance(): void {
    const highWatermark = this.#log.highWatermark
    this.#state.committed(Math.min(highWatermark, this.#endOffset))
    let count = 0
    while (count < this.#held.length && (this.#held[count] as Held).endOffset <= highWatermark) count++
    if (count === 0) return
    for (const held of this.#held.splice(0, count)) held.release()
  }

  /** Leadership is lost or the log failed: held replies fail, the state returns to what is committed, nothing more is taken. */
  close(error: Error = new MoldauError('ERR_NOT_LEADER', 'leadership was lost')): void {
    if (this.#closed) return
    this.#closed = error
    this.#state.rollback(this.#log.highWatermark)
    for (const held of this.#held.splice(0)) held.fail(error)
  }

  #append(records: readonly R[]): void {
    const endOffset = this.#log.append(records)
    for (const record of records) this.#state.apply(record, endOffset)
    this.#endOffset = endOffset
  }
}

function failed<T>(error: unknown): Later<T> {
  const later = new Later<T>()
  later.fail(error)
  return later
}
