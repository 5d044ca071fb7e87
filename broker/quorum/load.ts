// What the disk says of the metadata at the start: the newest whole snapshot, and the batches of the log behind it. A
// sole voter's log is committed as far as it goes; among several, only their high watermark says how far.
import { isFailure, MoldauError } from '../../protocol/failure.ts'
import type { Offset } from '../../protocol/types.ts'
import { checkFeatures } from '../../replication/controller/features.ts'
import { type MetadataBatch, metadataBatches } from '../../replication/metadata/batches.ts'
import { MetadataDelta } from '../../replication/metadata/delta.ts'
import { MetadataImage } from '../../replication/metadata/image.ts'
import type { StoredVote } from '../../replication/quorum/state.ts'
import type { Log } from '../../storage/log.ts'
import { MetadataCache } from '../metadata-cache.ts'
import type { MetadataLogOptions } from '../metadata-log.ts'
import type { MetadataSnapshots } from '../metadata-snapshots.ts'
import { forgetQuorumState, readQuorumState } from './state-file.ts'
import { UncommittedBatches } from './uncommitted.ts'

const READ_BYTES = 1 << 20

export interface LoadedMetadata {
  readonly cache: MetadataCache
  readonly uncommitted: UncommittedBatches
  readonly snapshotEndOffset: Offset
  /** Of the batches behind the snapshot. */
  readonly sizeInBytes: number
}

export interface LoadedVote {
  readonly stored: StoredVote | null
  /** An operator vouches that this directory is new. */
  readonly isFormatted: boolean
}

type VoteOptions = Pick<MetadataLogOptions, 'files' | 'log' | 'voters' | 'isFormatted' | 'hasLived' | 'logger'>

/**
 * What this node promised before. Among several voters one that lost its vote, or all of its records, is as good as an
 * empty directory, whatever meta.properties says: it would help to elect who lacks what it had acknowledged. To be asked
 * once the metadata is loaded. Where the records are gone the vote is forgotten too, durably: the next start may find a
 * part of them again.
 */
export async function loadVote(o: VoteOptions): Promise<LoadedVote> {
  const { files, log, isFormatted, hasLived, logger } = o
  const voters = o.voters.map(voter => voter.nodeId)
  const stored = await readQuorumState(files, log.directory, voters)
  const hasRecords = log.logEndOffset > 0
  if (voters.length === 1 || (stored !== null && hasRecords)) return { stored, isFormatted }
  if (!hasRecords && !(await hasLived())) return { stored, isFormatted }
  if (stored !== null) await forgetQuorumState(files, log.directory)
  const lost = hasRecords ? 'vote' : 'records'
  if (isFormatted) logger.warn({ directory: log.directory, lost }, 'metadata-quorum-past-lost')
  return { stored: null, isFormatted: false }
}

export async function loadMetadata(log: Log, snapshots: MetadataSnapshots, isAlone: boolean): Promise<LoadedMetadata> {
  const snapshot = await snapshots.newest(log.logStartOffset)
  const image = new MetadataImage()
  const delta = new MetadataDelta()
  for (const record of snapshot?.records ?? []) image.apply(record, delta)
  checkFeatures(image)
  const snapshotEndOffset = Math.max(snapshot?.endOffset ?? 0, log.logStartOffset)
  if (snapshotEndOffset > log.logEndOffset) await beginAtSnapshot(log, snapshotEndOffset, isAlone)
  const uncommitted = new UncommittedBatches()
  let sizeInBytes = 0
  for await (const batch of batchesFrom(log, snapshotEndOffset)) {
    sizeInBytes += batch.sizeInBytes
    if (!isAlone) uncommitted.push(batch)
    else for (const record of batch.records) image.apply(record, delta)
  }
  checkFeatures(image)
  const cache = new MetadataCache(image, isAlone ? log.logEndOffset : snapshotEndOffset, delta)
  return { cache, uncommitted, snapshotEndOffset, sizeInBytes }
}

/** The snapshot came from a leader, and the node died before its log began anew (KafkaMetadataLog.scala). A sole voter has
 *  nobody to have it from: what it had is lost. */
async function beginAtSnapshot(log: Log, endOffset: Offset, isAlone: boolean): Promise<void> {
  if (isAlone) {
    throw new MoldauError(
      'ERR_LOG_CORRUPT',
      `${log.directory}: a snapshot covers the metadata up to offset ${endOffset}, but the log ends at ${log.logEndOffset}`
    )
  }
  await log.truncateFullyAndStartAt(endOffset)
}

async function* batchesFrom(log: Log, from: Offset): AsyncGenerator<MetadataBatch> {
  let at = from
  while (at < log.logEndOffset) {
    const read = await log.read(at, { maxBytes: READ_BYTES, upto: log.logEndOffset, minOneMessage: true })
    if (read.endOffset <= at) {
      throw new MoldauError('ERR_LOG_CORRUPT', `${log.directory}: nothing can be read at offset ${at}`)
    }
    for (const bytes of read.records) {
      // The first batch may begin below the offset that a snapshot reaches to: it was counted there.
      for (const batch of soundBatches(log, bytes)) if (batch.endOffset > at) yield batch
    }
    at = read.endOffset
  }
}

/** A clean start reads the metadata log without having walked it. */
function* soundBatches(log: Log, bytes: Buffer): Generator<MetadataBatch> {
  try {
    yield* metadataBatches(bytes)
  } catch (error) {
    if (!isFailure(error, 'ERR_CORRUPT_BATCH')) throw error
    throw new MoldauError('ERR_LOG_CORRUPT', `${log.directory}: ${error.message}`, { cause: error })
  }
}
