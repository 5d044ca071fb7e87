// A node of the world as checkers look at it: its partitions and its metadata log, of which each says what it is, and
// its disk, which says what is there.
import type { Partition } from '../../broker/partition.ts'
import type { Services } from '../../broker/services.ts'
import type { ImageParts } from './checkers/images.ts'
import type { ReadAt } from './mirror.ts'
import type { SimNode } from './node.ts'
import type { ReplicaView, Watched } from './watch.ts'

const METADATA_PARTITION = { topic: '__cluster_metadata', partition: 0 }

export class WatchedNode implements Watched {
  readonly #node: SimNode
  readonly readAt: ReadAt
  readonly durableAt: ReadAt
  #services: Services | null = null
  #metadata: ReplicaView | null = null

  constructor(node: SimNode) {
    this.#node = node
    this.readAt = (path, buffer, position) => node.disk.readAt(path, buffer, position)
    this.durableAt = (path, buffer, position) => node.disk.durableAt(path, buffer, position)
  }

  get nodeId(): number {
    return this.#node.id
  }

  get life(): number {
    return this.#node.lives
  }

  /** There is something to look at. */
  get isThere(): boolean {
    const { services } = this.#node
    if (services !== this.#services) {
      this.#services = services
      this.#metadata = services === null ? null : metadataOf(services)
    }
    return services !== null
  }

  *replicas(): Generator<ReplicaView> {
    if (this.#metadata !== null) yield this.#metadata
    if (this.#services !== null) yield* this.#services.partitions.all() as Generator<Partition>
  }

  get image(): Services['metadata']['image'] | null {
    return this.#services?.metadata.image ?? null
  }

  imageParts(): ImageParts {
    const image = this.image
    if (image === null) return {}
    const { features, brokers, controllers, clientQuotas, scramCredentials, acls, delegationTokens } = image
    const configs = [...image.configResources()].map(({ resourceType, resourceName }): [string, unknown] => {
      return [`${resourceType} ${resourceName}`, image.configs(resourceType, resourceName)]
    })
    return {
      ...{ features, brokers, controllers, topics: image.topicsById, configs: new Map(configs) },
      ...{ clientQuotas, scramCredentials, acls, delegationTokens, nextProducerId: image.nextProducerId }
    }
  }

  get imageVersion(): number {
    return this.#services?.metadata.endOffset ?? -1
  }
}

function metadataOf({ controller, catalog }: Services): ReplicaView | null {
  const { metadataLog } = controller
  const log = catalog.get(METADATA_PARTITION)
  if (log === undefined) return null
  return {
    topicPartition: METADATA_PARTITION,
    log,
    get isLeader() {
      return metadataLog.isLeader
    },
    get leaderEpoch() {
      return metadataLog.leaderEpoch
    },
    get highWatermark() {
      return metadataLog.highWatermark
    },
    get lastStableOffset() {
      return metadataLog.highWatermark
    }
  }
}
