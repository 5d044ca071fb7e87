// Which partition is fetched from which leader: one loop and one connection per leader node (num.replica.fetchers: so
// many), made when there is something to follow there and ended when there is nothing more.
import type { BrokerId } from '../protocol/types.ts'
import type { Clock } from './clock.ts'
import type { BrokerConfig } from './config.ts'
import type { IsrUpdatesOptions } from './isr-updates.ts'
import type { Logger } from './log.ts'
import type { Partition } from './partition.ts'
import { ReplicaFetcher, type ReplicaLink } from './replica-fetcher.ts'

export type { ReplicaLink } from './replica-fetcher.ts'

/** What it takes to follow other brokers and to have followers. */
export interface ReplicationOptions {
  /** Of this life, -1 before it is registered. */
  readonly brokerEpoch: () => number
  /** A new connection to that broker's inter-broker endpoint, as the metadata has it when the connection opens. */
  readonly openLink: (brokerId: number) => ReplicaLink
  /** controllerChannel.alterPartition */
  readonly alterPartition: IsrUpdatesOptions['alterPartition']
  /** Monotonic, without the stalls of the event loop: what the lag of followers is measured by (Clock.monotonicMs where absent). */
  readonly lagMs?: () => number
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
  readonly #o: ReplicaFetchersOptions
  readonly #fetchers = new Map<string, ReplicaFetcher>()
  readonly #fetcherOf = new Map<Partition, ReplicaFetcher>()

  constructor(options: ReplicaFetchersOptions) {
    this.#o = options
  }

  /** Fetches the partition in its present reign, and from nobody else than its present leader. */
  follow(partition: Partition): void {
    const { following } = partition
    if (following === null) {
      this.unfollow(partition)
      return
    }
    const fetcher = this.#fetcherFor(following.leaderId, partition.topicPartition.partition)
    const before = this.#fetcherOf.get(partition)
    if (before !== undefined && before !== fetcher) this.unfollow(partition)
    this.#fetcherOf.set(partition, fetcher)
    fetcher.follow(partition, following)
  }

  unfollow(partition: Partition): void {
    const fetcher = this.#fetcherOf.get(partition)
    if (fetcher === undefined) return
    this.#fetcherOf.delete(partition)
    fetcher.unfollow(partition)
    if (!fetcher.isIdle) return
    fetcher.stop()
    for (const [key, each] of this.#fetchers) if (each === fetcher) this.#fetchers.delete(key)
  }

  /** These brokers registered anew or changed: what waits after a failure is tried at once. */
  brokersChanged(brokerIds: Iterable<BrokerId>): void {
    const changed = new Set(brokerIds)
    for (const fetcher of this.#fetchers.values()) if (changed.has(fetcher.leaderId)) fetcher.retryNow()
  }

  stop(): void {
    for (const fetcher of this.#fetchers.values()) fetcher.stop()
    this.#fetchers.clear()
    this.#fetcherOf.clear()
  }

  #fetcherFor(leaderId: BrokerId, index: number): ReplicaFetcher {
    const key = `${leaderId}/${index % this.#o.config.get('num.replica.fetchers')}`
    const known = this.#fetchers.get(key)
    if (known) return known
    const { nodeId, brokerEpoch, openLink, config, clock, log } = this.#o
    const fetcher = new ReplicaFetcher({
      ...{ nodeId, brokerEpoch, config, clock, log, leaderId },
      openLink: () => openLink(leaderId)
    })
    this.#fetchers.set(key, fetcher)
    return fetcher
  }
}
