// A quorum in a test's hands: it says what happens and when, and sees every effect.
import type { QuorumOptions } from '../../../replication/quorum/state.ts'
import { createQuorum, type Effect, type Input, nextDeadlineMs, step } from '../../../replication/quorum/step.ts'

export const timeouts = { electionMs: 1000, fetchMs: 2000, backoffMaxMs: 1000 }

/** Node 1 of so many voters. */
export class Node {
  readonly quorum
  nowMs = 0
  chance = 0.5
  #token = 0

  constructor(voters: number, options: Partial<QuorumOptions> = {}, logEndOffset = 0, lastEpoch = 0) {
    const ids = Array.from({ length: voters }, (_, index) => index + 1)
    this.quorum = createQuorum({ nodeId: 1, voters: ids, timeouts, stored: null, isFormatted: true, ...options })
    this.started = this.take({ kind: 'started', logEndOffset, lastEpoch })
  }

  readonly started: Effect[]

  take(input: Input): Effect[] {
    return step(this.quorum, input, { nowMs: this.nowMs, chance: this.chance })
  }

  /** Until the next deadline. */
  tick(): Effect[] {
    this.nowMs = Math.max(this.nowMs, nextDeadlineMs(this.quorum))
    return this.take({ kind: 'ticked' })
  }

  asked(candidateId: number, epoch: number, isPreVote: boolean, lastOffset = 0, lastOffsetEpoch = 0): Effect[] {
    const token = this.#token++
    return this.take({ kind: 'vote-requested', token, candidateId, epoch, lastOffset, lastOffsetEpoch, isPreVote })
  }

  grants(candidateId: number, epoch: number, isPreVote: boolean, lastOffset = 0, lastOffsetEpoch = 0): boolean {
    const reply = this.asked(candidateId, epoch, isPreVote, lastOffset, lastOffsetEpoch).at(-1)
    return reply?.kind === 'reply' && reply.isGranted
  }

  answered(from: number, isGranted: boolean, leaderId = -1, epoch = this.quorum.epoch): Effect[] {
    const { epoch: requestEpoch, role } = this.quorum
    const isPreVote = role.kind !== 'candidate'
    return this.take({ kind: 'vote-answered', from, requestEpoch, isPreVote, epoch, leaderId, isGranted })
  }

  begun(leaderId: number, epoch: number): Effect[] {
    return this.take({ kind: 'begin-requested', token: this.#token++, leaderId, epoch })
  }

  ended(leaderId: number, epoch: number, preferredSuccessors: number[]): Effect[] {
    return this.take({ kind: 'end-requested', token: this.#token++, leaderId, epoch, preferredSuccessors })
  }

  fetchAnswered(highWatermark: number): Effect[] {
    const { epoch, leaderId } = this.quorum
    return this.take({ kind: 'fetch-answered', from: leaderId, epoch, highWatermark })
  }

  fetched(by: number, from: number): Effect[] {
    return this.take({ kind: 'fetched', by, from, highWatermark: -1 })
  }

  get role(): string {
    return this.quorum.role.kind
  }
}
