// Looks at the brokers after every event and calls the checkers for what has changed. What it may use of a broker is
// written down here: what it says of its partitions, and its disk.
import type { LeaderEpoch, Offset, TopicPartition } from '../../protocol/types.ts'
import { commitUpTo } from './checkers/commits.ts'
import { checkHighWatermark } from './checkers/high-watermark.ts'
import { type ImageParts, Images } from './checkers/images.ts'
import { checkComplete, checkOneLeader } from './checkers/leaders.ts'
import { type ClusterImage, checkMembership } from './checkers/membership.ts'
import { checkCut, checkPrefix } from './checkers/prefix.ts'
import type { History } from './history.ts'
import { Ledger, type Life } from './ledger.ts'
import type { LogView, Mirror, ReadAt } from './mirror.ts'

/** What a broker says of one log that is replicated. */
export interface ReplicaView {
  readonly topicPartition: TopicPartition
  readonly isLeader: boolean
  readonly leaderEpoch: LeaderEpoch
  readonly highWatermark: Offset
  readonly lastStableOffset: Offset
  readonly log: LogView
}

/** One life of a broker, as far as it is there. */
export interface Watched extends Life {
  /** Everything that is open. */
  replicas(): Iterable<ReplicaView>
  /** The metadata that it holds for committed, and a number that changes with it. */
  readonly image: ClusterImage | null
  readonly imageVersion: number
  /** Everything in it, to be compared with what others hold. */
  imageParts(): ImageParts
  readonly readAt: ReadAt
  readonly durableAt: ReadAt
}

/** What was seen last of one replica. */
interface Seen {
  readonly ledger: Ledger
  readonly mirror: Mirror
  writtenEnd: Offset
  logEnd: Offset
  durableEnd: Offset
  highWatermark: Offset
  leaderEpoch: LeaderEpoch
  isLeader: boolean
}

export interface WatchOptions {
  readonly nodeIds: readonly number[]
  readonly history: History
  /** Topics whose batches come from writers. */
  readonly topics: ReadonlySet<string>
  /** Of each row of any topic, synced when it is committed. */
  readonly copies: number
}

const METADATA_TOPIC = '__cluster_metadata'

export class Watch {
  readonly ledgers = new Map<string, Ledger>()
  elections = 0
  readonly #images = new Images()
  readonly #o: WatchOptions
  readonly #lives = new Map<number, { life: number; seen: Map<ReplicaView, Seen>; imageVersion: number }>()

  constructor(options: WatchOptions) {
    this.#o = options
  }

  ledger(name: string): Ledger {
    const known = this.ledgers.get(name)
    if (known !== undefined) return known
    const topic = name.slice(0, name.lastIndexOf('-'))
    const { nodeIds, topics } = this.#o
    const copies = topic === METADATA_TOPIC ? majorityOf(nodeIds.length) : this.#o.copies
    const ledger = new Ledger({ name, topic, copies, nodeIds, isOfWriters: topics.has(topic) })
    this.ledgers.set(name, ledger)
    return ledger
  }

  /** Something happened on that node. */
  look(watched: Watched): void {
    let known = this.#lives.get(watched.nodeId)
    if (known === undefined || known.life !== watched.life) {
      known = { life: watched.life, seen: new Map(), imageVersion: -1 }
      this.#lives.set(watched.nodeId, known)
      for (const ledger of this.ledgers.values()) ledger.mirrors.get(watched.nodeId)?.reread()
    }
    for (const replica of watched.replicas()) {
      let seen = known.seen.get(replica)
      if (seen === undefined) {
        const { topic, partition } = replica.topicPartition
        seen = this.#firstSeen(`${topic}-${partition}`, watched)
        known.seen.set(replica, seen)
      }
      if (hasChanged(seen, replica)) this.#check(watched, seen, replica)
    }
    const { image, imageVersion } = watched
    if (image === null || imageVersion === known.imageVersion) return
    known.imageVersion = imageVersion
    checkMembership(image)
    this.#images.check(watched.nodeId, imageVersion, watched.imageParts())
  }

  #firstSeen(name: string, { nodeId, durableAt }: Watched): Seen {
    const ledger = this.ledger(name)
    const mirror = ledger.mirrors.get(nodeId) as Mirror
    mirror.durableAt = durableAt
    return {
      ...{ ledger, mirror, writtenEnd: -1, logEnd: -1, durableEnd: -1 },
      ...{ highWatermark: -1, leaderEpoch: -1, isLeader: false }
    }
  }

  #check(watched: Watched, seen: Seen, replica: ReplicaView): void {
    const { ledger, mirror } = seen
    const { log, isLeader, leaderEpoch, highWatermark, lastStableOffset } = replica
    mirror.update(log, watched.readAt, gone => checkCut(ledger, mirror, gone))
    if (isLeader) {
      const who: Life = { nodeId: watched.nodeId, life: watched.life }
      if (checkOneLeader(ledger, who, leaderEpoch)) {
        this.elections++
        // Who hears late of an old election may lack what came after it; nobody follows it.
        if (leaderEpoch === ledger.newestEpoch) checkComplete(ledger, mirror, leaderEpoch)
      }
      checkHighWatermark(ledger, mirror.name, leaderEpoch, {
        ...{ highWatermark, lastStableOffset, logEndOffset: log.logEndOffset }
      })
      commitUpTo(ledger, mirror, highWatermark, this.#o.history)
    }
    checkPrefix(ledger, mirror, highWatermark)
    seen.writtenEnd = log.writtenEndOffset
    seen.logEnd = log.logEndOffset
    seen.durableEnd = log.durableEndOffset
    seen.highWatermark = highWatermark
    seen.leaderEpoch = leaderEpoch
    seen.isLeader = isLeader
  }
}

/** Of whom a quorum asks, whatever min.insync.replicas says. */
function majorityOf(count: number): number {
  return Math.floor(count / 2) + 1
}

function hasChanged(seen: Seen, { log, isLeader, leaderEpoch, highWatermark }: ReplicaView): boolean {
  return (
    seen.highWatermark !== highWatermark ||
    seen.writtenEnd !== log.writtenEndOffset ||
    seen.durableEnd !== log.durableEndOffset ||
    seen.logEnd !== log.logEndOffset ||
    seen.leaderEpoch !== leaderEpoch ||
    seen.isLeader !== isLeader
  )
}
