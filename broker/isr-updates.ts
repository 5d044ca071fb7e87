// In-sync sets that leaders of this broker propose, on their way to the controller: one AlterPartition in flight per
// broker, everything proposed meanwhile goes with the next (AlterPartitionManager.scala, KIP-497).
import type { alterPartition } from '../protocol/messages/alter-partition.ts'
import type { RequestDraft, ResponseOf } from '../protocol/schema.ts'
import type { BrokerId, Uuid } from '../protocol/types.ts'
import type { Effect } from '../replication/leader.ts'
import type { Clock } from './clock.ts'
import type { Logger } from './log.ts'

export type IsrProposal = Extract<Effect, { kind: 'propose-isr' }>
export type PartitionAnswer = ResponseOf<typeof alterPartition>['topics'][number]['partitions'][number]

export interface IsrUpdatesOptions {
  readonly nodeId: BrokerId
  readonly brokerEpoch: () => number
  /** To the active controller, wherever it is (broker/controller-channel.ts). */
  readonly alterPartition: (request: RequestDraft<typeof alterPartition>) => Promise<ResponseOf<typeof alterPartition>>
  readonly clock: Clock
  readonly log: Logger
}

export class IsrUpdates {
  constructor(_options: IsrUpdatesOptions) {}

  /** `answered` is called once, unless the proposal is withdrawn: with what the controller says of the partition. */
  propose(_topicId: Uuid, _index: number, _proposal: IsrProposal, _answered: (answer: PartitionAnswer) => void): void {
    throw new Error('not there yet')
  }

  /** The partition is not led here any more: nobody waits for an answer. */
  withdraw(_topicId: Uuid, _index: number): void {
    throw new Error('not there yet')
  }

  stop(): void {
    throw new Error('not there yet')
  }
}
