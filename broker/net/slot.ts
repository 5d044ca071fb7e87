// What becomes of one request: an answer now or later, or work that waits for its turn; its place in the order of a
// connection's replies, and what memory it holds until it has been answered.
import type { Holds } from '../../protocol/memory-pool.ts'
import type { Later } from '../later.ts'
import type { AnswerLease, AnswerRoom, Reader } from './answers.ts'
import type { FrameRoom } from './budget.ts'

export type Reply = readonly Buffer[] | null

export type Answer = Reply | Promise<Reply> | Later<Reply>

/** Work whose reply may be large (Fetch). It is begun when that of the one before has left, and while the peer takes what
 *  it is sent: who asks for much at a time, and does not read, must not fill the memory. */
export class Turn {
  readonly begin: (room: AnswerRoom) => Answer
  /** The memory that the reply lies in: let go when it has left, or when the peer is gone. */
  readonly holds: Holds
  /** Among whom it waits. */
  readonly reader: Reader

  constructor(begin: (room: AnswerRoom) => Answer, holds: Holds, reader: Reader) {
    this.begin = begin
    this.holds = holds
    this.reader = reader
  }
}

/** A reply not yet due: null bytes mean that nothing is sent (acks=0), but the place in the order is kept. */
export interface Slot {
  done: boolean
  buffers: readonly Buffer[] | null
  /** Why the connection ends here: the replies before still leave. */
  failure: Error | null
  /** Size of the request, which is in memory until it is answered. */
  readonly bytes: number
  /** Of a turn. */
  readonly holds: Holds | null
  /** Of a large request. */
  readonly room: FrameRoom | null
  /** Of the reply that is being made, until it is on its way. */
  lease: AnswerLease | null
}

/** One that was answered at once. */
export const DONE: Slot = { done: true, buffers: null, failure: null, bytes: 0, holds: null, room: null, lease: null }

/** Its reply will not be sent. */
export function abandon(slot: Slot): void {
  slot.holds?.letGo()
  slot.lease?.clear()
}
