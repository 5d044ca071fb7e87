// What one fetch reads, partition by partition: whole batches from memory or disk, up to the high watermark
// (read_committed: the last stable offset; followers: the log's end), within the limits of the request. Followers tell
// what they have synced by what they ask for. Only the leader is read, save by debugging consumers.
import { ErrorCode } from '../protocol/errors.ts'
import { isFailure } from '../protocol/failure.ts'
import type { fetch } from '../protocol/messages/fetch.ts'
import type { RequestOf } from '../protocol/schema.ts'
import type { Offset } from '../protocol/types.ts'
import type { ReadResult } from '../storage/log.ts'
import { refusalOf } from './epoch-check.ts'
import type { FetchContext, FetchedPartition, FetchTarget } from './fetch-sessions.ts'
import type { RequestContext } from './handlers/handler.ts'
import { CONSUMER, DEBUGGING_CONSUMER, localReplica } from './local-replica.ts'
import type { AnswerRoom } from './net/answers.ts'
import { errorCodeOf } from './net/dispatch.ts'
import type { Partition } from './partition.ts'
import type { Located } from './partitions.ts'
import type { Consumers, SharedRead } from './readers.ts'
import type { Services } from './services.ts'

export const READ_COMMITTED = 1
/** Before it no client counts as one that may read replicas (KIP-392; FetchParams.java, fetchOnlyLeader). */
const REPLICAS_SINCE = 11
const EMPTY: readonly Buffer[] = []
/** What is read for several at once is copied, and this much is cheaper to copy than to send in its pieces. */
const SHARED_BYTES_MAX = 64 * 1024

/** What one partition gives to one fetch. */
export interface Result extends FetchedPartition {
  /** Up to where there was something to read. */
  readonly readableEnd: number
  readonly records: readonly Buffer[]
  readonly leaderId: number
  readonly leaderEpoch: number
  readonly divergingEpoch: { epoch: number; endOffset: number } | null
}

/** One fetch at work: what is asked, and its limits. */
export interface Work {
  readonly request: RequestOf<typeof fetch>
  readonly context: RequestContext
  readonly services: Services
  readonly session: FetchContext
  readonly targets: readonly FetchTarget[]
  readonly maxBytes: number
  /** Memory for what is read. */
  readonly room: AnswerRoom
  /** The broker that follows, -1 for a consumer, -2 for a debugging one. */
  readonly replicaId: number
  readonly deadlineMs: number
  /** Of `maxBytes`, while a look is taken. */
  left: number
  /** A fetch counts once for what its follower has, however often it is looked at. */
  isFirstLook: boolean
  /** The consumers among whom this one waits for their next round, though there may be something to read already. */
  crowd: Consumers | null
}

export function locate(target: FetchTarget, { services, replicaId, context }: Work): Located {
  if (target.topic === null && target.topicId !== '') {
    target.topic = services.metadata.image.topicsById.get(target.topicId)?.name ?? null
  }
  const located = services.partitions.locateTarget(target.topic, target.topicId, target.partition)
  const asksReplica = replicaId === DEBUGGING_CONSUMER && context.apiVersion >= REPLICAS_SINCE
  return asksReplica ? localReplica(located, target.partition, services) : located
}

/** Partitions in the order asked for; the first with data may exceed the limits, so that a large batch gets through. */
export function readAll(work: Work): Result[] | Promise<Result[]> {
  // What an earlier look has read is not sent.
  work.context.holds?.letGo()
  work.room.clear()
  work.left = work.maxBytes
  const results: Result[] = []
  const pending = readOn(work, results)
  return pending === null ? results : readRest(work, results, pending)
}

async function readRest(work: Work, results: Result[], first: Promise<Result>): Promise<Result[]> {
  for (let pending: Promise<Result> | null = first; pending !== null; pending = readOn(work, results)) {
    take(work, results, await pending)
  }
  return results
}

/** From the first partition on that has no result yet to one that has to be read from the disk, which is given; null: all
 *  are read. */
function readOn(work: Work, results: Result[]): Promise<Result> | null {
  const { targets } = work
  for (let index = results.length; index < targets.length; index++) {
    const result = readOne(work, targets[index] as FetchTarget, work.left, work.left === work.maxBytes)
    if (result instanceof Promise) return result
    take(work, results, result)
  }
  work.isFirstLook = false
  return null
}

function take(work: Work, results: Result[], result: Result): void {
  work.left -= result.sizeInBytes
  results.push(result)
}

function readOne(work: Work, target: FetchTarget, left: number, minOneMessage: boolean): Result | Promise<Result> {
  const located = locate(target, work)
  const { leaderId, leaderEpoch, partition } = located
  // Any negative epoch is none here (FetchRequest.java, optionalEpoch).
  const claimed = Math.max(-1, target.currentLeaderEpoch)
  const refusal = refusalOf(claimed, located)
  if (partition === null || refusal !== ErrorCode.NONE) return failed(refusal, leaderId, leaderEpoch)
  if (!isServed(work, partition)) return failed(ErrorCode.NOT_LEADER_OR_FOLLOWER, leaderId, leaderEpoch)
  const upto = readableEnd(work, partition)
  const { fetchOffset } = target
  const diverging = divergence(target, partition)
  if (diverging !== null && diverging !== 'unknown') return resultOf(partition, leaderId, upto, EMPTY, 0, diverging)
  const isOutside = fetchOffset < partition.logStartOffset || fetchOffset > partition.logEndOffset
  if (isOutside || diverging) return failed(ErrorCode.OFFSET_OUT_OF_RANGE, leaderId, leaderEpoch)
  if (work.isFirstLook && work.replicaId >= 0) noteFollower(work, target, partition)
  if (fetchOffset >= upto || (left <= 0 && !minOneMessage)) return resultOf(partition, leaderId, upto, EMPTY, 0, null)
  if (work.isFirstLook && isToRest(work, target, partition)) {
    work.crowd = partition.consumers
    return resultOf(partition, leaderId, upto, EMPTY, 0, null)
  }
  const { room } = work
  // Limits below nothing are nothing.
  const wanted = Math.max(0, Math.min(left, target.partitionMaxBytes))
  const maxBytes = room.ask(wanted, minOneMessage)
  if (maxBytes === 0 && wanted > 0) return resultOf(partition, leaderId, upto, EMPTY, 0, null)
  const done = ({ records, sizeInBytes }: ReadResult | SharedRead): Result => {
    room.settle(maxBytes, sizeInBytes)
    return resultOf(partition, leaderId, upto, records, sizeInBytes, null)
  }
  const refused = (error: unknown): Result => {
    room.settle(maxBytes, 0)
    return unreadable(error, leaderId, leaderEpoch)
  }
  try {
    const read = readShared(work, partition, fetchOffset, upto, maxBytes, minOneMessage)
    return read instanceof Promise ? read.then(done, refused) : done(read)
  } catch (error) {
    return refused(error)
  }
}

function isToRest({ targets, services, deadlineMs, replicaId }: Work, target: FetchTarget, { consumers }: Partition) {
  if (replicaId !== CONSUMER || targets.length !== 1) return false
  const restMs = consumers.restMs(target.fetchOffset)
  return restMs > 0 && services.clock.monotonicMs() + restMs < deadlineMs
}

/** Readers of the tail whom one move has woken mostly ask for the same: it is put together once for all of them. */
function readShared(
  { services: { looks }, context: { holds } }: Work,
  partition: Partition,
  from: Offset,
  upto: Offset,
  maxBytes: number,
  minOneMessage: boolean
): SharedRead | ReadResult | Promise<ReadResult> {
  if (!looks.isShared) return partition.read(from, upto, maxBytes, minOneMessage, holds)
  const { shared } = looks
  if (shared?.partition === partition && shared.from === from && shared.upto === upto && shared.maxBytes === maxBytes) {
    return shared
  }
  const read = partition.read(from, upto, maxBytes, minOneMessage, holds)
  if (read instanceof Promise) return read
  const { records, sizeInBytes } = read
  // Beyond its limits is only what is the first of its request.
  if (sizeInBytes === 0 || sizeInBytes > Math.min(maxBytes, SHARED_BYTES_MAX)) return read
  const joined = { partition, from, upto, maxBytes, records: [Buffer.concat(records, sizeInBytes)], sizeInBytes }
  looks.shared = joined
  return joined
}

/** Only who follows this leader may read what is not committed yet, and in its present life (Partition.scala,
 *  followerReplicaOrThrow; KIP-903). */
function isServed({ request, replicaId }: Work, partition: Partition): boolean {
  if (replicaId < 0) return true
  return partition.hasFollower(replicaId) && !partition.isOfEarlierLife(replicaId, request.replicaState.replicaEpoch)
}

/** Its log agrees with this one up to there, and is synced: before the read, so that what comes in meanwhile does not
 *  make it look late. */
function noteFollower({ request, replicaId }: Work, target: FetchTarget, partition: Partition): void {
  const { fetchOffset, logStartOffset } = target
  partition.followerFetched(replicaId, fetchOffset, logStartOffset, request.replicaState.replicaEpoch)
}

export function readableEnd({ request, replicaId }: Work, partition: Partition): number {
  if (replicaId >= 0) return partition.logEndOffset
  return request.isolationLevel === READ_COMMITTED ? partition.lastStableOffset : partition.highWatermark
}

/** A fetcher whose last batch is of an epoch that ended earlier here has records that were never committed (KIP-320).
 *  'unknown': this log has no such epoch, which is answered as an offset out of range (Partition.scala, readRecords). */
function divergence(target: FetchTarget, partition: Partition): Result['divergingEpoch'] | 'unknown' {
  if (target.lastFetchedEpoch < 0) return null
  const found = partition.log.epochs.endOffsetFor(target.lastFetchedEpoch, partition.logEndOffset)
  const { leaderEpoch, endOffset } = found
  if (leaderEpoch < 0 || endOffset < 0) return 'unknown'
  const diverges = leaderEpoch < target.lastFetchedEpoch || endOffset < target.fetchOffset
  return diverges ? { epoch: leaderEpoch, endOffset } : null
}

function resultOf(
  partition: Partition,
  leaderId: number,
  readableEnd: number,
  records: readonly Buffer[],
  sizeInBytes: number,
  divergingEpoch: Result['divergingEpoch']
): Result {
  return {
    errorCode: ErrorCode.NONE,
    highWatermark: partition.highWatermark,
    lastStableOffset: partition.lastStableOffset,
    logStartOffset: partition.logStartOffset,
    readableEnd,
    sizeInBytes,
    records,
    leaderId,
    leaderEpoch: partition.leaderEpoch,
    divergingEpoch
  }
}

function failed(errorCode: number, leaderId: number, leaderEpoch: number): Result {
  return {
    errorCode,
    highWatermark: -1,
    lastStableOffset: -1,
    logStartOffset: -1,
    readableEnd: -1,
    sizeInBytes: 0,
    records: EMPTY,
    leaderId,
    leaderEpoch,
    divergingEpoch: null
  }
}

function unreadable(error: unknown, leaderId: number, leaderEpoch: number): Result {
  if (!isFailure(error)) throw error
  return failed(errorCodeOf(error), leaderId, leaderEpoch)
}
