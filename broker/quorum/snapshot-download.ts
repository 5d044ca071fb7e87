// Fetches a snapshot of the leader piece by piece (KIP-630). It is whole when as many bytes have come as the leader says
// it has; whoever installs it reads it first, down to its footer, before a file of that name is there.
import { ErrorCode, errorName } from '../../protocol/errors.ts'
import { fetchSnapshot } from '../../protocol/messages/fetch-snapshot.ts'
import type { Uuid } from '../../protocol/types.ts'
import { METADATA_TOPIC } from '../../replication/controller/topic-names.ts'
import type { SnapshotId } from '../../replication/metadata/batches.ts'
import type { Logger } from '../log.ts'
import type { QuorumPeers } from './peers.ts'

const FETCH_SNAPSHOT_VERSION = 1

export interface SnapshotDownload {
  readonly peers: QuorumPeers
  readonly nodeId: number
  readonly logger: Logger
  readonly clusterId: () => Uuid | null
  readonly snapshotMaxBytes: () => number
}

/** Null where the leader does not have it (any more) or is none: then a fetch tells what to do. Rejects as the link does.
 *  `onPiece` says whether to go on. */
export async function downloadSnapshot(
  snapshotId: SnapshotId,
  { leaderId, epoch }: { readonly leaderId: number; readonly epoch: number },
  { peers, nodeId, logger, clusterId, snapshotMaxBytes }: SnapshotDownload,
  onPiece: () => boolean
): Promise<Buffer | null> {
  const link = peers.fetching(leaderId)
  const pieces: Buffer[] = []
  let position = 0
  for (;;) {
    const partition = { partition: 0, currentLeaderEpoch: epoch, snapshotId, position }
    const topics = [{ name: METADATA_TOPIC, partitions: [partition] }]
    const request = { clusterId: clusterId(), replicaId: nodeId, maxBytes: snapshotMaxBytes(), topics }
    const response = await link?.send(fetchSnapshot, FETCH_SNAPSHOT_VERSION, request)
    const answer = response?.topics[0]?.partitions[0]
    const errorCode = response?.errorCode || answer?.errorCode
    const piece = answer?.unalignedRecords
    if (errorCode !== ErrorCode.NONE || answer?.position !== position || !piece?.length) {
      logger.warn({ leader: leaderId, ...snapshotId, error: errorName(errorCode ?? -1) }, 'metadata-snapshot-refused')
      return null
    }
    if (!onPiece()) return null
    pieces.push(Buffer.from(piece))
    position += piece.length
    if (position >= answer.size) return position === answer.size ? Buffer.concat(pieces) : null
  }
}
