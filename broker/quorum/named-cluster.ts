// Which cluster the voters say that they are of, while nothing is committed that says it: an operator may have named it on
// some nodes only (a directory formatted ahead, or the setting). A node that is told of no id takes over what others name,
// for their directories would refuse any other. What must hold: a new cluster is given the id that one of its voters has,
// and none comes about whose voters have different ones.
import type { BrokerId, Uuid } from '../../protocol/types.ts'
import type { Logger } from '../log.ts'

export interface NamedClusterOptions {
  /** What this node knows by itself: its directory, committed metadata, or its settings. */
  readonly own: () => Uuid | null
  readonly voters: readonly BrokerId[]
  readonly logger: Logger
}

export class NamedCluster {
  readonly #o: NamedClusterOptions
  readonly #named = new Map<BrokerId, Uuid>()
  /** The last id that nobody contradicted. */
  #agreed: Uuid | null = null
  #isDisputeTold = false

  constructor(o: NamedClusterOptions) {
    this.#o = o
  }

  get own(): Uuid | null {
    return this.#o.own()
  }

  /** What this node says to others; null where it knows none, or cannot know which. */
  get clusterId(): Uuid | null {
    return this.own ?? this.#heard
  }

  /** What a new cluster is to be called; null: as its first leader likes. */
  get forNewCluster(): Uuid | null {
    return this.own ?? this.#agreed
  }

  /** Somebody has named the cluster: who does not know its id must not found it. */
  get isNamed(): boolean {
    return this.own !== null || this.#named.size > 0
  }

  get #heard(): Uuid | null {
    const [first, ...others] = new Set(this.#named.values())
    return first !== undefined && others.length === 0 ? first : null
  }

  /** A voter has named its cluster, or says that it knows none. */
  hear(voter: BrokerId, clusterId: Uuid | null): void {
    const { voters } = this.#o
    if (this.own !== null || !voters.includes(voter)) return
    // Its directory was begun anew, or it had only been told, and now by voters who differ.
    if (clusterId === null) this.#named.delete(voter)
    else this.#named.set(voter, clusterId)
    this.#agreed = this.#named.size === 0 ? null : (this.#heard ?? this.#agreed)
    this.#tellDispute()
  }

  #tellDispute(): void {
    const isDispute = this.#named.size > 0 && this.#heard === null
    if (isDispute && !this.#isDisputeTold) {
      const named = [...this.#named].map(([id, name]) => `voter ${id}: ${name}`).join(', ')
      this.#o.logger.error({ named }, 'voters-of-different-clusters')
    }
    this.#isDisputeTold = isDispute
  }
}
