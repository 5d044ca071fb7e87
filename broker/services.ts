// What a handler may use: the parts of one broker, wired once in broker.ts. Types only, so that handlers and parts can
// name each other without importing each other's code.
import type { Catalog } from '../storage/catalog.ts'
import type { Clock, Random } from './clock.ts'
import type { BrokerConfig } from './config.ts'
import type { Controller } from './controller.ts'
import type { ControllerChannel } from './controller-channel.ts'
import type { FetchSessions } from './fetch-sessions.ts'
import type { GroupCoordinator } from './groups/coordinator.ts'
import type { Logger } from './log.ts'
import type { MetadataCache } from './metadata-cache.ts'
import type { Partitions } from './partitions.ts'
import type { ProducerIds } from './producer-ids.ts'
import type { Looks } from './readers.ts'

export interface Services {
  readonly nodeId: number
  readonly clusterId: string
  readonly config: BrokerConfig
  readonly clock: Clock
  readonly random: Random
  readonly log: Logger
  /** The cluster as committed metadata records say. */
  readonly metadata: MetadataCache
  /** Decisions about the cluster: topics, partitions, configs, registrations. */
  readonly controller: Controller
  /** The active controller, wherever it is: what this broker asks it, and what it forwards. */
  readonly channel: ControllerChannel
  /** The partitions that this broker hosts. */
  readonly partitions: Partitions
  readonly catalog: Catalog
  readonly fetchSessions: FetchSessions
  /** Fetches that were woken in this turn. */
  readonly looks: Looks
  readonly groups: GroupCoordinator
  readonly producerIds: ProducerIds
}
