// Follows the leader of the metadata quorum: fetches from the synced end of the own log on, cuts the log where the leader
// has another history, takes a snapshot where the leader's log begins later. One request at a time. What must hold: the
// log changes only in a job of the quorum's runner, and only while the quorum follows that very leader in that epoch: a
// record that came after a vote was given must not count as one that the vote saw.
import { ErrorCode, errorName } from '../../protocol/errors.ts'
import { isFailure, MoldauError } from '../../protocol/failure.ts'
import { fetch } from '../../protocol/messages/fetch.ts'
import type { ResponseOf } from '../../protocol/schema.ts'
import type { BrokerId, LeaderEpoch, Offset, Uuid } from '../../protocol/types.ts'
import { METADATA_TOPIC_ID } from '../../replication/controller/topic-names.ts'
import { metadataBatches, type SnapshotId, snapshotName, snapshotRecords } from '../../replication/metadata/batches.ts'
import type { MetadataRecord } from '../../replication/metadata/records.ts'
import type { Input } from '../../replication/quorum/inputs.ts'
import type { Quorum } from '../../replication/quorum/state.ts'
import type { Clock } from '../clock.ts'
import type { Logger } from '../log.ts'
import type { QuorumPeers } from './peers.ts'
import type { QuorumLog } from './quorum-log.ts'
import type { QuorumRunner } from './runner.ts'
import { downloadSnapshot } from './snapshot-download.ts'
import type { Uncommitted } from './uncommitted.ts'

const FETCH_VERSION = 18
/** How long the leader may hold back an empty answer. */
const MAX_WAIT_MS = 500
/** After a failure, doubled with each one in a row up to the longest. */
const SHORTEST_BACKOFF_MS = 20
const LONGEST_BACKOFF_MS = 500

export interface FollowerOptions {
  readonly quorum: Quorum
  readonly runner: QuorumRunner
  readonly log: QuorumLog
  readonly peers: QuorumPeers
  readonly clock: Clock
  readonly logger: Logger
  readonly nodeId: BrokerId
  readonly clusterId: () => Uuid | null
  readonly requestTimeoutMs: () => number
  readonly fetchMaxBytes: () => number
  readonly snapshotMaxBytes: () => number
  /** What the image holds: all of it is committed. */
  readonly committedEnd: () => Offset
  /** The log has these now. */
  readonly onFetched: (batches: readonly Uncommitted[]) => void
  readonly onTruncated: (logEndOffset: Offset) => void
  /** The snapshot takes the place of everything: the log begins at its end when this resolves. */
  readonly install: (snapshot: FetchedSnapshot) => Promise<void>
  readonly onForeign: (leaderId: BrokerId) => void
  /** The leader serves this node, as one of its cluster. */
  readonly onAccepted: () => void
  readonly onFailure: (error: unknown) => void
}

export interface FetchedSnapshot {
  readonly id: SnapshotId
  readonly bytes: Buffer
  readonly records: readonly MetadataRecord[]
}

type Partition = ResponseOf<typeof fetch>['responses'][number]['partitions'][number]

/** The leader that is followed, in its epoch. */
export interface Following {
  readonly leaderId: BrokerId
  readonly epoch: LeaderEpoch
}

export class QuorumFollower {
  readonly #o: FollowerOptions
  #following: Following | null = null

  constructor(o: FollowerOptions) {
    this.#o = o
  }

  follow(following: Following): void {
    this.#following = following
    this.#loop(following).catch(error => {
      // A log that failed has been reported by its directory.
      if (!isFailure(error, 'ERR_LOG_OFFLINE') && !isFailure(error, 'ERR_CLOSED')) this.#o.onFailure(error)
    })
  }

  stop(): void {
    this.#following = null
  }

  async #loop(following: Following): Promise<void> {
    let failures = 0
    while (this.#following === following) {
      failures = (await this.#fetch(following)) ? 0 : failures + 1
      if (failures > 0 && this.#following === following) await this.#pause(failures)
    }
  }

  /** True when the next one may go at once. */
  async #fetch(following: Following): Promise<boolean> {
    const { log, peers, quorum, requestTimeoutMs } = this.#o
    const link = peers.fetching(following.leaderId)
    if (link === null) return false
    // What is not synced here is not here.
    await log.log.flush()
    if (this.#following !== following) return false
    let response: ResponseOf<typeof fetch>
    try {
      const limitMs = MAX_WAIT_MS + requestTimeoutMs()
      response = await link.send(fetch, FETCH_VERSION, this.#request(following, quorum.highWatermark), limitMs)
    } catch (error) {
      await this.#unanswered(error, following)
      return false
    }
    peers.answered(following.leaderId)
    if (this.#following !== following) return false
    if (response.errorCode === ErrorCode.INCONSISTENT_CLUSTER_ID) this.#o.onForeign(following.leaderId)
    const partition = response.responses[0]?.partitions[0]
    if (response.errorCode !== ErrorCode.NONE || !partition) {
      this.#o.logger.warn({ leader: following.leaderId, error: errorName(response.errorCode) }, 'quorum-fetch-refused')
      return false
    }
    this.#o.onAccepted()
    return await this.#answered(partition, following)
  }

  #request({ epoch }: Following, highWatermark: Offset) {
    const { log, nodeId, clusterId, fetchMaxBytes } = this.#o
    const partition = {
      partition: 0,
      currentLeaderEpoch: epoch,
      fetchOffset: log.log.syncedEndOffset,
      lastFetchedEpoch: log.lastEpoch,
      logStartOffset: log.log.logStartOffset,
      partitionMaxBytes: fetchMaxBytes(),
      highWatermark
    }
    return {
      clusterId: clusterId(),
      replicaState: { replicaId: nodeId, replicaEpoch: -1 },
      maxWaitMs: MAX_WAIT_MS,
      minBytes: 0,
      maxBytes: fetchMaxBytes(),
      isolationLevel: 0,
      sessionId: 0,
      sessionEpoch: -1,
      topics: [{ topicId: METADATA_TOPIC_ID, partitions: [partition] }],
      forgottenTopicsData: [],
      rackId: ''
    }
  }

  /** Only a refused connection says that the leader's process is gone; one that broke is looked into. */
  async #unanswered(error: unknown, { leaderId }: Following): Promise<void> {
    if (!isFailure(error)) throw error
    const { logger, peers, runner } = this.#o
    peers.failed(leaderId, error)
    logger.debug({ leader: leaderId, err: error }, 'quorum-fetch-failed')
    const isGone = error.code === 'ERR_REFUSED' || (error.code === 'ERR_DISCONNECTED' && (await peers.isGone(leaderId)))
    if (isGone) runner.take({ kind: 'hinted', leaderId })
  }

  async #answered(partition: Partition, following: Following): Promise<boolean> {
    const { runner, logger } = this.#o
    const { errorCode, currentLeader, divergingEpoch, snapshotId, highWatermark } = partition
    const { leaderId: from, epoch } = following
    if (errorCode !== ErrorCode.NONE) {
      logger.debug({ leader: from, epoch, error: errorName(errorCode) }, 'quorum-fetch-refused')
      const { leaderEpoch, leaderId } = currentLeader
      if (leaderEpoch >= 0) runner.take({ kind: 'leader-told', from, epoch: leaderEpoch, leaderId })
      return false
    }
    if (divergingEpoch.epoch >= 0) {
      await this.#job(following, () => this.#truncate(divergingEpoch, following))
      return true
    }
    if (snapshotId.epoch >= 0 && snapshotId.endOffset >= 0) {
      runner.take({ kind: 'fetch-answered', from, epoch, highWatermark: -1 })
      return await this.#takeSnapshot(snapshotId, following)
    }
    let isUsable = true
    await this.#job(following, () => {
      const inputs = this.#append(partition.records, highWatermark, following)
      isUsable = inputs.length > 0
      return inputs
    })
    return isUsable
  }

  /** Runs where nothing else of the quorum is under way, if that leader is followed still. Resolves when it is done. */
  #job(following: Following, work: () => readonly Input[] | Promise<readonly Input[]>): Promise<void> {
    const { runner } = this.#o
    runner.run(() => (this.#isFollowed(following) ? work() : []))
    return runner.settled()
  }

  /** The quorum runs ahead of its effects: it may have given its vote to another, and is writing that down. */
  #isFollowed(following: Following): boolean {
    const { quorum } = this.#o
    const { epoch, leaderId, role } = quorum
    const isSame = epoch === following.epoch && leaderId === following.leaderId && role.kind === 'follower'
    return isSame && this.#following === following
  }

  #append(records: Buffer | null, highWatermark: Offset, { leaderId: from, epoch }: Following): readonly Input[] {
    const { log, logger, onFetched } = this.#o
    const answered = { kind: 'fetch-answered', from, epoch, highWatermark } as const
    if (records === null || records.length === 0) return [answered]
    // The frame that they came in is not the log's to keep.
    const bytes = Buffer.from(records)
    try {
      const batches = [...metadataBatches(bytes)]
      checkOrder(batches, log.log.logEndOffset, epoch)
      log.log.appendAsFollower(bytes.subarray(0, sizeOf(batches)), epoch)
      onFetched(batches)
      return [{ kind: 'appended', ...log.end }, answered]
    } catch (error) {
      if (!isFailure(error, 'ERR_CORRUPT_BATCH') && !isFailure(error, 'ERR_OUT_OF_RANGE')) throw error
      // Asked for again: what was damaged on its way may come whole the next time.
      logger.warn({ leader: from, err: error }, 'quorum-fetch-unusable')
      return []
    }
  }

  async #truncate(end: { epoch: number; endOffset: number }, { leaderId: from, epoch }: Following) {
    const { log, logger, committedEnd, quorum, onTruncated } = this.#o
    const before = log.log.logEndOffset
    const to = log.cutFor(end)
    if (to >= before) throw new MoldauError('ERR_LOG_CORRUPT', `${log.log.directory}: no end in common with the leader`)
    await log.truncateTo(to, Math.max(committedEnd(), quorum.highWatermark))
    logger.info({ leader: from, epoch, from: before, to: log.log.logEndOffset }, 'metadata-log-truncated')
    onTruncated(log.log.logEndOffset)
    const answered: Input = { kind: 'fetch-answered', from, epoch, highWatermark: -1 }
    return [truncated(log), answered]
  }

  async #takeSnapshot(id: SnapshotId, following: Following): Promise<boolean> {
    const { leaderId: from, epoch } = following
    const { clock, install, log, logger, runner } = this.#o
    const began = clock.monotonicMs()
    const bytes = await downloadSnapshot(id, following, this.#o, () => {
      if (this.#following !== following) return false
      runner.take({ kind: 'fetch-answered', from, epoch, highWatermark: -1 })
      return true
    }).catch(async error => {
      await this.#unanswered(error, following)
      return null
    })
    const records = bytes && this.#recordsIn(bytes, id, from)
    if (bytes === null || records === null) return false
    await this.#job(following, async () => {
      await install({ id, bytes, records })
      const ms = Math.round(clock.monotonicMs() - began)
      logger.info({ leader: from, ...id, bytes: bytes.length, ms }, 'metadata-snapshot-fetched')
      return [truncated(log)]
    })
    return true
  }

  /** Null where it is damaged: asked for again, for the leader may have a better one by then. */
  #recordsIn(bytes: Buffer, id: SnapshotId, leader: BrokerId): MetadataRecord[] | null {
    try {
      return snapshotRecords(bytes, snapshotName(id))
    } catch (error) {
      if (!isFailure(error) || isFailure(error, 'ERR_WRONG_DIRECTORY')) throw error
      this.#o.logger.warn({ leader, ...id, err: error }, 'metadata-snapshot-unusable')
      return null
    }
  }

  #pause(failures: number): Promise<void> {
    const ms = Math.min(LONGEST_BACKOFF_MS, SHORTEST_BACKOFF_MS * 2 ** Math.min(10, failures - 1))
    return new Promise(resolve => {
      this.#o.clock.after(ms, resolve)
    })
  }
}

function truncated(log: QuorumLog): Input {
  return { kind: 'truncated', ...log.end, syncedEndOffset: log.log.syncedEndOffset }
}

interface Fetched extends Uncommitted {
  readonly baseOffset: Offset
  readonly leaderEpoch: LeaderEpoch
}

/** Whole batches without a gap, none of a later epoch than the leader's. */
function checkOrder(batches: readonly Fetched[], logEndOffset: Offset, epoch: LeaderEpoch): void {
  let end = logEndOffset
  for (const { baseOffset, endOffset, leaderEpoch } of batches) {
    if (baseOffset !== end || leaderEpoch > epoch) {
      throw new MoldauError('ERR_OUT_OF_RANGE', `a batch of epoch ${leaderEpoch} at ${baseOffset} cannot follow ${end}`)
    }
    end = endOffset
  }
}

function sizeOf(batches: readonly Fetched[]): number {
  return batches.reduce((sum, batch) => sum + batch.sizeInBytes, 0)
}
