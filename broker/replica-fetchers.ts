// Which partition is fetched from which leader: one loop and one connection per leader node (num.replica.fetchers: so
// many), made when there is something to follow there and ended when there is nothing more.
import type { Api, RequestDraft, ResponseOf } from '../protocol/schema.ts'
import type { BrokerId } from '../protocol/types.ts'
import type { Clock } from './clock.ts'
import type { BrokerConfig } from './config.ts'
import type { Logger } from './log.ts'
import type { Partition } from './partition.ts'

/** A connection to a leader; a PeerLink is one. Rejects with ERR_REFUSED, ERR_DISCONNECTED, ERR_TIMEOUT, ERR_CLOSED. */
export interface ReplicaLink {
  send<A extends Api>(api: A, version: number, request: RequestDraft<A>, timeoutMs?: number): Promise<ResponseOf<A>>
  close(): void
}

export interface ReplicaFetchersOptions {
  readonly nodeId: BrokerId
  /** Of this life, -1 before it is registered: nothing is fetched then. */
  readonly brokerEpoch: () => number
  /** A new connection to the registered inter-broker endpoint of that broker, as the metadata has it when it opens. */
  readonly openLink: (brokerId: BrokerId) => ReplicaLink
  readonly config: BrokerConfig
  readonly clock: Clock
  readonly log: Logger
}

export class ReplicaFetchers {
  constructor(_options: ReplicaFetchersOptions) {}

  /** Fetches the partition from its leader from now on, and from nobody else. */
  follow(_partition: Partition): void {
    throw new Error('not there yet')
  }

  unfollow(_partition: Partition): void {
    throw new Error('not there yet')
  }

  /** These brokers registered anew or changed: what waits after a failure is tried at once. */
  brokersChanged(_brokerIds: Iterable<BrokerId>): void {
    throw new Error('not there yet')
  }

  stop(): void {
    throw new Error('not there yet')
  }
}
