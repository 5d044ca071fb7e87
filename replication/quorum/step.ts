// The metadata quorum of this node: one input in, effects out (raft/.../KafkaRaftClient.java, QuorumState.java).
import type { At, Effect, Input } from './inputs.ts'
import type { Quorum } from './state.ts'

export type { At, Effect, Input } from './inputs.ts'
export { createQuorum, type Quorum, toldHighWatermark } from './state.ts'

export function step(_quorum: Quorum, _input: Input, _at: At): Effect[] {
  throw new Error('not yet')
}

/** When `ticked` is due; Infinity for never. */
export function nextDeadlineMs(_quorum: Quorum): number {
  return Infinity
}
