// The truth about one partition, as far as it is known: what was committed, in order, and who led it when. Grows when a
// leader moves its high watermark; never shrinks, and nothing in it ever changes.
import type { LeaderEpoch, Offset } from '../../protocol/types.ts'
import { Mirror } from './mirror.ts'
import { type Row, Rows, rowIndexOf } from './rows.ts'

/** One life of one broker's process. */
export interface Life {
  readonly nodeId: number
  readonly life: number
}

export interface LedgerOptions {
  readonly name: string
  readonly topic: string
  /** Replicas that must have a row synced when it is committed. */
  readonly copies: number
  /** Its batches come from writers whose sends are in the history. */
  readonly isOfWriters: boolean
  readonly nodeIds: readonly number[]
}

export class Ledger {
  readonly name: string
  readonly topic: string
  readonly copies: number
  readonly isOfWriters: boolean
  readonly known: Rows
  /** What is committed; never taken back. */
  readonly rows: Row[] = []
  readonly mirrors: ReadonlyMap<number, Mirror>
  /** Who led in which epoch. */
  readonly leaders = new Map<LeaderEpoch, Life>()
  /** The high watermark that the leader of each epoch reached. */
  readonly highWatermarks = new Map<LeaderEpoch, Offset>()
  /** Of idempotent producers: `id/epoch` -> the next sequence. */
  readonly sequences = new Map<string, number>()
  newestEpoch: LeaderEpoch = -1

  constructor(o: LedgerOptions) {
    this.name = o.name
    this.topic = o.topic
    this.copies = o.copies
    this.isOfWriters = o.isOfWriters
    this.known = new Rows(o.name)
    this.mirrors = new Map(
      o.nodeIds.map(nodeId => [nodeId, new Mirror(`${o.name} on node ${nodeId}`, this.known, !o.isOfWriters)])
    )
  }

  /** Everything below is committed. */
  get end(): Offset {
    const last = this.rows[this.rows.length - 1]
    return last === undefined ? 0 : last.last + 1
  }

  /** The committed batch that holds `offset`. */
  at(offset: Offset): Row | undefined {
    const row = this.rows[rowIndexOf(this.rows, offset)]
    return row !== undefined && row.base <= offset ? row : undefined
  }
}
