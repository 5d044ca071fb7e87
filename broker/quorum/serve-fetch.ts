// The leader's side of Fetch and FetchSnapshot for the metadata log (KafkaRaftClient.java): who fetches is checked, told
// where to cut or which snapshot to take, given records whether they are committed or not, and counted by the quorum. An
// answer that says nothing new is held back until there is something, the high watermark moves, or leadership ends.
import { ErrorCode } from '../../protocol/errors.ts'
import { isFailure } from '../../protocol/failure.ts'
import type { fetch } from '../../protocol/messages/fetch.ts'
import type { fetchSnapshot } from '../../protocol/messages/fetch-snapshot.ts'
import type { RequestOf, ResponseDraft } from '../../protocol/schema.ts'
import type { BrokerId, LeaderEpoch, Uuid } from '../../protocol/types.ts'
import { METADATA_TOPIC, METADATA_TOPIC_ID } from '../../replication/controller/topic-names.ts'
import { type Quorum, toldHighWatermark } from '../../replication/quorum/state.ts'
import type { Clock } from '../clock.ts'
import type { QuorumLog } from './quorum-log.ts'
import type { QuorumRunner } from './runner.ts'

/** However long a fetcher would wait. */
const MAX_WAIT_MS = 500

/** However much a fetcher would take at a time: so much memory may one request cost (KafkaRaftClient.MAX_FETCH_SIZE_BYTES). */
const MAX_BYTES = 8 << 20

/** What is known for sure, as opposed to what the quorum is about to be. */
export interface QuorumView {
  readonly epoch: LeaderEpoch
  readonly leaderId: BrokerId
  readonly isLeader: boolean
}

export interface ServedQuorum {
  readonly quorum: Quorum
  readonly runner: QuorumRunner
  readonly log: QuorumLog
  readonly clock: Clock
  readonly clusterId: () => Uuid | null
  readonly view: () => QuorumView
  /** That voter asks as one of this cluster. */
  readonly onOwn: (voter: BrokerId) => void
}

type FetchRequest = RequestOf<typeof fetch>
type FetchReply = ResponseDraft<typeof fetch>
type FetchPartition = FetchRequest['topics'][number]['partitions'][number]
type FetchedPartition = NonNullable<NonNullable<FetchReply['responses']>[number]['partitions']>[number]
type SnapshotRequest = RequestOf<typeof fetchSnapshot>
type SnapshotReply = ResponseDraft<typeof fetchSnapshot>

interface Looked {
  readonly partition: FetchedPartition
  /** Nothing in it that the fetcher does not know. */
  readonly mayWait: boolean
}

export class QuorumServer {
  readonly #o: ServedQuorum
  readonly #parked = new Set<() => void>()

  constructor(o: ServedQuorum) {
    this.#o = o
  }

  /** Something moved: what waits looks again. */
  wake(): void {
    for (const wake of [...this.#parked]) wake()
  }

  async fetch(request: FetchRequest, signal: AbortSignal): Promise<FetchReply> {
    if (this.#isForeign(request.clusterId)) return { errorCode: ErrorCode.INCONSISTENT_CLUSTER_ID }
    const [topic, ...otherTopics] = request.topics
    const [asked, ...others] = topic?.partitions ?? []
    const isOurs = topic?.topicId === METADATA_TOPIC_ID || topic?.topic === METADATA_TOPIC
    if (!topic || !asked || !isOurs || asked.partition !== 0 || otherTopics.length > 0 || others.length > 0) {
      return { errorCode: ErrorCode.INVALID_REQUEST }
    }
    const answer = (partition: FetchedPartition): FetchReply => ({
      responses: [{ topic: topic.topic, topicId: topic.topicId, partitions: [partition] }]
    })
    const { currentLeaderEpoch, fetchOffset, lastFetchedEpoch } = asked
    if (request.maxWaitMs < 0 || fetchOffset < 0 || lastFetchedEpoch < 0 || lastFetchedEpoch > currentLeaderEpoch) {
      return answer(this.#refusal(ErrorCode.INVALID_REQUEST))
    }
    const { clock } = this.#o
    const deadlineMs = clock.monotonicMs() + Math.min(request.maxWaitMs, MAX_WAIT_MS)
    const by = request.replicaState.replicaId >= 0 ? request.replicaState.replicaId : request.replicaId
    this.#o.onOwn(by)
    this.#note(by, asked)
    for (;;) {
      const looked = await this.#look(asked, Math.min(request.maxBytes, asked.partitionMaxBytes, MAX_BYTES))
      const waitMs = deadlineMs - clock.monotonicMs()
      if (!looked.mayWait || waitMs <= 0 || signal.aborted) return answer(looked.partition)
      await this.#moved(asked, waitMs, signal)
    }
  }

  async fetchSnapshot(request: SnapshotRequest): Promise<SnapshotReply> {
    if (this.#isForeign(request.clusterId)) return { errorCode: ErrorCode.INCONSISTENT_CLUSTER_ID }
    const [topic, ...otherTopics] = request.topics
    const [asked, ...others] = topic?.partitions ?? []
    if (!topic || !asked || otherTopics.length > 0 || others.length > 0) return { errorCode: ErrorCode.INVALID_REQUEST }
    const { log, runner } = this.#o
    const { currentLeaderEpoch, position, snapshotId } = asked
    const answer = (partition: object): SnapshotReply => ({
      topics: [
        {
          name: topic.name,
          partitions: [{ index: asked.partition, snapshotId, ...partition, currentLeader: this.#currentLeader() }]
        }
      ]
    })
    if (topic.name !== METADATA_TOPIC || asked.partition !== 0) {
      return answer({ errorCode: ErrorCode.UNKNOWN_TOPIC_OR_PARTITION })
    }
    const fault = this.#leaderFault(currentLeaderEpoch)
    if (fault !== ErrorCode.NONE) return answer({ errorCode: fault })
    const size = log.snapshots.sizeOf(snapshotId)
    if (size === null) return answer({ errorCode: ErrorCode.SNAPSHOT_NOT_FOUND })
    if (position < 0 || position >= size) return answer({ errorCode: ErrorCode.POSITION_OUT_OF_RANGE })
    // A voter that reads a snapshot for a while is alive (LeaderState.updateCheckQuorumForFollowingVoter).
    runner.take({ kind: 'fetched', by: request.replicaId, from: -1, highWatermark: -1 })
    try {
      // A damaged one is of no use to anybody; what was found sound once may be damaged by now.
      if (position === 0 && !(await log.snapshots.isSound(snapshotId))) {
        return answer({ errorCode: ErrorCode.SNAPSHOT_NOT_FOUND })
      }
      const wanted = Math.max(1, Math.min(request.maxBytes, size - position, MAX_BYTES))
      const unalignedRecords = await log.snapshots.read(snapshotId, position, wanted)
      return answer({ errorCode: ErrorCode.NONE, size, position, unalignedRecords })
    } catch (error) {
      // Deleted between two looks: a newer one is there.
      if (!isFailure(error, 'ERR_STORAGE')) throw error
      return answer({ errorCode: ErrorCode.SNAPSHOT_NOT_FOUND })
    }
  }

  #isForeign(clusterId: string | null): boolean {
    const own = this.#o.clusterId()
    return own !== null && clusterId !== null && clusterId !== own
  }

  /** validateLeaderOnlyRequest */
  #leaderFault(epoch: LeaderEpoch): number {
    const { view } = this.#o
    const known = view()
    if (epoch < known.epoch) return ErrorCode.FENCED_LEADER_EPOCH
    if (epoch > known.epoch) return ErrorCode.UNKNOWN_LEADER_EPOCH
    return known.isLeader ? ErrorCode.NONE : ErrorCode.NOT_LEADER_OR_FOLLOWER
  }

  #currentLeader() {
    const { epoch, leaderId } = this.#o.view()
    return { leaderId, leaderEpoch: epoch }
  }

  /** Counts for the high watermark only where its log is the leader's up to there. */
  #note(by: BrokerId, { currentLeaderEpoch, fetchOffset, lastFetchedEpoch, highWatermark }: FetchPartition): void {
    const { log, runner } = this.#o
    if (by < 0 || this.#leaderFault(currentLeaderEpoch) !== ErrorCode.NONE) return
    const isOurs = log.validate(fetchOffset, lastFetchedEpoch).kind === 'valid'
    // The largest number says that the fetcher does not tell (KIP-1166).
    const known = highWatermark <= log.log.logEndOffset ? highWatermark : -1
    runner.take({ kind: 'fetched', by, from: isOurs ? fetchOffset : -1, highWatermark: known })
  }

  async #look(asked: FetchPartition, maxBytes: number): Promise<Looked> {
    const { log } = this.#o
    const { currentLeaderEpoch: epoch, fetchOffset, lastFetchedEpoch } = asked
    const fault = this.#leaderFault(epoch)
    if (fault !== ErrorCode.NONE) return told(this.#refusal(fault))
    const verdict = log.validate(fetchOffset, lastFetchedEpoch)
    if (verdict.kind === 'diverging') return told({ ...this.#found(), divergingEpoch: verdict.end })
    if (verdict.kind === 'later') return told(this.#refusal(ErrorCode.UNKNOWN_SERVER_ERROR))
    if (verdict.kind === 'snapshot') return told({ ...this.#found(), snapshotId: verdict.id })
    const end = log.log.logEndOffset
    if (fetchOffset >= end) return { partition: this.#found(), mayWait: !this.#hasNews(asked) }
    try {
      const read = log.log.read(fetchOffset, { maxBytes, upto: end, minOneMessage: true })
      const { records } = read instanceof Promise ? await read : read
      const lost = this.#leaderFault(epoch)
      return told(lost === ErrorCode.NONE ? { ...this.#found(), records } : this.#refusal(lost))
    } catch (error) {
      if (!isFailure(error)) throw error
      return told(this.#refusal(ErrorCode.UNKNOWN_SERVER_ERROR))
    }
  }

  /** It says that it knows a lower high watermark (before KIP-1166 nobody says so). */
  #hasNews({ highWatermark }: FetchPartition): boolean {
    return highWatermark < toldHighWatermark(this.#o.quorum)
  }

  #found(): FetchedPartition {
    const highWatermark = toldHighWatermark(this.#o.quorum)
    const { logStartOffset } = this.#o.log.log
    const currentLeader = this.#currentLeader()
    return {
      partitionIndex: 0,
      errorCode: ErrorCode.NONE,
      highWatermark,
      lastStableOffset: highWatermark,
      logStartOffset,
      currentLeader,
      abortedTransactions: null,
      records: []
    }
  }

  #refusal(errorCode: number): FetchedPartition {
    return {
      partitionIndex: 0,
      errorCode,
      highWatermark: -1,
      currentLeader: this.#currentLeader(),
      abortedTransactions: null,
      records: []
    }
  }

  /** Resolves when there may be something to say, when the time is up, or when the fetcher is gone. */
  #moved({ fetchOffset, ...asked }: FetchPartition, waitMs: number, signal: AbortSignal): Promise<void> {
    const { clock, log } = this.#o
    return new Promise(resolve => {
      const done = (): void => {
        timer.cancel()
        this.#parked.delete(wake)
        signal.removeEventListener('abort', done)
        resolve()
      }
      const wake = (): void => {
        const hasRecords: boolean = log.log.logEndOffset !== fetchOffset
        const isFenced = this.#leaderFault(asked.currentLeaderEpoch) !== ErrorCode.NONE
        if (hasRecords || isFenced || this.#hasNews({ fetchOffset, ...asked })) done()
      }
      const timer = clock.after(waitMs, done)
      this.#parked.add(wake)
      signal.addEventListener('abort', done, { once: true })
      if (signal.aborted) done()
      else wake()
    })
  }
}

function told(partition: FetchedPartition): Looked {
  return { partition, mayWait: false }
}
