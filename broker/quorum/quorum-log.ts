// The metadata log as its quorum compares it: where it ends, in which epochs, and whether another's offset and epoch lie
// on it (raft/.../ReplicatedLog.java, core/.../KafkaMetadataLog.scala). Where the log begins, a snapshot says its epoch.
import { MoldauError } from '../../protocol/failure.ts'
import type { LeaderEpoch, Offset } from '../../protocol/types.ts'
import type { SnapshotId } from '../../replication/metadata/batches.ts'
import type { LogEnd } from '../../replication/quorum/inputs.ts'
import type { Log } from '../../storage/log.ts'
import type { MetadataSnapshots } from '../metadata-snapshots.ts'

export type Verdict =
  | { readonly kind: 'valid' }
  /** Cut back to the end of that epoch. */
  | { readonly kind: 'diverging'; readonly end: SnapshotId }
  /** What follows there is no longer in the log: fetch this snapshot. */
  | { readonly kind: 'snapshot'; readonly id: SnapshotId }
  /** A snapshot is needed, and none is whole: a new one is on its way. */
  | { readonly kind: 'later' }

export class QuorumLog {
  readonly log: Log
  readonly snapshots: MetadataSnapshots

  constructor(log: Log, snapshots: MetadataSnapshots) {
    this.log = log
    this.snapshots = snapshots
  }

  get end(): LogEnd {
    return { logEndOffset: this.log.logEndOffset, lastEpoch: this.lastEpoch }
  }

  /** Of the last record; after a snapshot the one that it names. */
  get lastEpoch(): LeaderEpoch {
    const { epochs, logEndOffset, logStartOffset } = this.log
    const ofLog = logEndOffset > logStartOffset ? epochs.latest?.epoch : undefined
    return ofLog ?? this.snapshots.latest?.epoch ?? 0
  }

  /** Whether a follower whose log ends at `offset`, with a record of `epoch`, may go on from there. */
  validate(offset: Offset, epoch: LeaderEpoch): Verdict {
    const { latest, earliest } = this.snapshots
    const { logStartOffset } = this.log
    if (offset === 0 && latest) return { kind: 'snapshot', id: latest }
    if (offset === 0 && logStartOffset === 0) return { kind: 'valid' }
    if (!latest && offset <= logStartOffset) return { kind: 'later' }
    const isBehind =
      earliest &&
      (offset < logStartOffset || (offset === logStartOffset && epoch !== earliest.epoch) || epoch < earliest.epoch)
    if (isBehind && latest) return { kind: 'snapshot', id: latest }
    const end = this.endOf(epoch)
    return end.epoch !== epoch || end.endOffset < offset ? { kind: 'diverging', end } : { kind: 'valid' }
  }

  /** The largest epoch not above `epoch`, and where it ends. */
  endOf(epoch: LeaderEpoch): SnapshotId {
    const { log, snapshots } = this
    const { leaderEpoch, endOffset } = log.epochs.endOffsetFor(epoch, log.logEndOffset)
    if (leaderEpoch < 0) return { epoch: this.lastEpoch, endOffset: log.logEndOffset }
    const { earliest } = snapshots
    // Smaller than all that the log has: what was before is the snapshot's.
    if (earliest && endOffset === earliest.endOffset && leaderEpoch === epoch) return earliest
    return { epoch: leaderEpoch, endOffset }
  }

  /** Where to cut so that nothing is left that the leader does not have (ReplicatedLog.truncateToEndOffset). */
  cutFor({ epoch, endOffset }: SnapshotId): Offset {
    if (epoch === 0) return endOffset
    const own = this.endOf(epoch)
    return own.epoch === epoch ? Math.min(own.endOffset, endOffset) : own.endOffset
  }

  /** Throws where something would go that was committed: this log or the leader's is not what it promised to be. */
  async truncateTo(offset: Offset, committed: Offset): Promise<void> {
    if (offset < committed) {
      throw new MoldauError(
        'ERR_LOG_CORRUPT',
        `${this.log.directory}: the leader's metadata log differs from this one at offset ${offset}, but all below ${committed} was committed: one of both logs has lost records`
      )
    }
    await this.log.truncateTo(offset)
  }
}
