// Fetch 4-18: whole batches from memory or disk, up to the high watermark (read_committed: the last stable offset).
// Followers read to the log's end, and tell what they have synced by what they ask for. What has too little to give is
// parked and looked at again when a partition it asks for moves, not on a timer: for followers that is every append.
// 7 brings sessions (KIP-227), 12 epochs of the fetcher, 13 topic ids, 16 endpoints of new leaders (KIP-951).
import { ErrorCode } from '../../protocol/errors.ts'
import { isFailure } from '../../protocol/failure.ts'
import { fetch } from '../../protocol/messages/fetch.ts'
import type { RequestOf, ResponseDraft } from '../../protocol/schema.ts'
import { endpointOf } from '../endpoints.ts'
import { epochError } from '../epoch-check.ts'
import type { FetchContext, FetchedPartition, FetchTarget } from '../fetch-sessions.ts'
import { errorCodeOf } from '../net/dispatch.ts'
import type { Partition } from '../partition.ts'
import type { Located } from '../partitions.ts'
import type { Services } from '../services.ts'
import { handler, type Reply, type RequestContext } from './handler.ts'

type Request = RequestOf<typeof fetch>

const READ_COMMITTED = 1
const CONSUMER = -1
const EMPTY: readonly Buffer[] = []

/** What one partition gives to one fetch. */
interface Result extends FetchedPartition {
  /** Up to where there was something to read. */
  readonly readableEnd: number
  readonly records: readonly Buffer[]
  readonly leaderId: number
  readonly leaderEpoch: number
  readonly divergingEpoch: { epoch: number; endOffset: number } | null
}

/** One fetch at work: what is asked, and its limits. */
interface Work {
  readonly request: Request
  readonly context: RequestContext
  readonly services: Services
  readonly targets: readonly FetchTarget[]
  readonly maxBytes: number
  /** The broker that follows, -1 for a consumer, -2 for a debugging one. */
  readonly replicaId: number
  /** A fetch counts once for what its follower has, however often it is looked at. */
  isFirstLook: boolean
}

export const onFetch = handler(fetch, answer, true)

async function answer(request: Request, context: RequestContext, services: Services): Promise<Reply<typeof fetch>> {
  // Controllers read the metadata log from each other, and nothing else; brokers are not asked for it.
  if (context.listener === 'controller') return services.controller.metadataLog.serveFetch(request, context.signal)
  const session = openSession(request, context, services)
  if ('errorCode' in session) return { errorCode: session.errorCode }
  const maxBytes = Math.min(request.maxBytes, services.config.get('fetch.max.bytes'))
  const { targets } = session
  const work: Work = {
    request,
    context,
    services,
    targets,
    maxBytes,
    replicaId: replicaOf(request),
    isFirstLook: true
  }
  const deadlineMs = services.clock.monotonicMs() + request.maxWaitMs
  for (;;) {
    const results = await readAll(work)
    work.isFirstLook = false
    const waitMs = deadlineMs - services.clock.monotonicMs()
    if (isEnough(work, results) || waitMs <= 0 || context.signal.aborted) return respond(work, session, results)
    await moved(work, results, waitMs)
  }
}

function openSession(
  request: Request,
  context: RequestContext,
  services: Services
): FetchContext | { errorCode: number } {
  const byId = context.apiVersion >= 13
  const { topicsById } = services.metadata.image
  const nameOf = (topic: { topic: string; topicId: string }): string | null =>
    byId ? (topicsById.get(topic.topicId)?.name ?? null) : topic.topic
  const targets = request.topics.flatMap(topic => {
    const name = nameOf(topic)
    return topic.partitions.map(each => ({
      ...each,
      topic: name,
      topicId: topic.topicId,
      toldHighWatermark: -1,
      toldLastStableOffset: -1,
      toldLogStartOffset: -1
    }))
  })
  const forgotten = request.forgottenTopicsData.flatMap(topic =>
    topic.partitions.map(partition => ({ topic: nameOf(topic), topicId: topic.topicId, partition }))
  )
  const { sessionId, sessionEpoch } = request
  const isFollower = replicaOf(request) >= 0
  const asked = { sessionId, sessionEpoch, usesTopicIds: byId, isFollower, targets, forgotten }
  return services.fetchSessions.open(asked, services.clock.monotonicMs())
}

function replicaOf(request: Request): number {
  return request.replicaState.replicaId >= 0 ? request.replicaState.replicaId : request.replicaId
}

/** Resolves when a partition has moved since `results` were read, when the time is up, or when the peer is gone. */
function moved(work: Work, results: readonly Result[], waitMs: number): Promise<void> {
  const { targets, services, context } = work
  return new Promise(resolve => {
    const unsubscribe: (() => void)[] = []
    let isAwake = false
    const wake = (): void => {
      if (isAwake) return
      isAwake = true
      for (const each of unsubscribe) each()
      services.partitions.deadlines.cancel(deadline)
      context.signal.removeEventListener('abort', wake)
      // All moves of one turn are answered by one look.
      services.clock.endOfTurn(resolve)
    }
    const deadline = services.partitions.deadlines.add(waitMs, wake)
    context.signal.addEventListener('abort', wake, { once: true })
    targets.forEach((target, index) => {
      const { partition } = locate(target, services)
      if (partition) {
        unsubscribe.push(work.replicaId === CONSUMER ? partition.onReadable(wake) : partition.onAppended(wake))
      }
      // It may have moved while another partition was read from the disk.
      if (partition === null || readableEnd(work, partition) !== results[index]?.readableEnd) wake()
    })
    if (context.signal.aborted) wake()
  })
}

function locate(target: FetchTarget, services: Services) {
  if (target.topic === null && target.topicId !== '') {
    target.topic = services.metadata.image.topicsById.get(target.topicId)?.name ?? null
  }
  return services.partitions.locateTarget(target.topic, target.topicId, target.partition)
}

/** Partitions in the order asked for; the first with data may exceed the limits, so that a large batch gets through. */
async function readAll(work: Work): Promise<Result[]> {
  const results: Result[] = []
  let left = work.maxBytes
  let isEmpty = true
  for (const target of work.targets) {
    const read = readOne(work, target, left, isEmpty)
    const result = read instanceof Promise ? await read : read
    left -= result.sizeInBytes
    if (result.sizeInBytes > 0) isEmpty = false
    results.push(result)
  }
  return results
}

function readOne(work: Work, target: FetchTarget, left: number, minOneMessage: boolean): Result | Promise<Result> {
  const located = locate(target, work.services)
  const { leaderId, leaderEpoch, partition } = located
  if (partition === null) return failed(refusalOf(target, located), leaderId, leaderEpoch)
  // Any negative epoch is none here (FetchRequest.java, optionalEpoch).
  const wrongEpoch = epochError(Math.max(-1, target.currentLeaderEpoch), leaderEpoch)
  if (wrongEpoch !== ErrorCode.NONE) return failed(wrongEpoch, leaderId, leaderEpoch)
  if (!isServed(work, partition)) return failed(ErrorCode.NOT_LEADER_OR_FOLLOWER, leaderId, leaderEpoch)
  const upto = readableEnd(work, partition)
  const { fetchOffset } = target
  const diverging = divergence(target, partition)
  if (diverging !== null && diverging !== 'unknown') return resultOf(partition, leaderId, upto, EMPTY, 0, diverging)
  const isOutside = fetchOffset < partition.logStartOffset || fetchOffset > partition.logEndOffset
  if (isOutside || diverging) return failed(ErrorCode.OFFSET_OUT_OF_RANGE, leaderId, leaderEpoch)
  if (work.isFirstLook && work.replicaId >= 0) noteFollower(work, target, partition)
  if (fetchOffset >= upto || (left <= 0 && !minOneMessage)) return resultOf(partition, leaderId, upto, EMPTY, 0, null)
  const maxBytes = Math.min(left, target.partitionMaxBytes)
  try {
    const read = partition.read(fetchOffset, upto, maxBytes, minOneMessage)
    if (!(read instanceof Promise)) return resultOf(partition, leaderId, upto, read.records, read.sizeInBytes, null)
    return read.then(
      done => resultOf(partition, leaderId, upto, done.records, done.sizeInBytes, null),
      error => unreadable(error, leaderId, leaderEpoch)
    )
  } catch (error) {
    return unreadable(error, leaderId, leaderEpoch)
  }
}

/** Which of two refusals a client is told first: that of its epoch (Partition.scala, getLocalLog). */
function refusalOf(target: FetchTarget, { errorCode, leaderEpoch }: Located): number {
  if (errorCode !== ErrorCode.NOT_LEADER_OR_FOLLOWER) return errorCode
  return epochError(Math.max(-1, target.currentLeaderEpoch), leaderEpoch) || errorCode
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

function readableEnd({ request, replicaId }: Work, partition: Partition): number {
  if (replicaId !== CONSUMER) return partition.logEndOffset
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

/** ReplicaManager.fetchMessages: answer at once for enough bytes, any error, a divergence, or nothing asked. A follower
 *  hears of a new log start at once, because DeleteRecords waits for it. */
function isEnough({ request, targets, replicaId }: Work, results: readonly Result[]): boolean {
  if (targets.length === 0) return true
  let bytes = 0
  for (const [index, result] of results.entries()) {
    if (result.errorCode !== ErrorCode.NONE || result.divergingEpoch !== null) return true
    const { toldLogStartOffset } = targets[index] as FetchTarget
    if (replicaId >= 0 && toldLogStartOffset >= 0 && toldLogStartOffset < result.logStartOffset) return true
    bytes += result.sizeInBytes
  }
  return bytes >= request.minBytes
}

type TopicReply = NonNullable<ResponseDraft<typeof fetch>['responses']>[number]
type PartitionReply = NonNullable<TopicReply['partitions']>[number]

function respond(work: Work, session: FetchContext, results: readonly Result[]): Reply<typeof fetch> {
  const { sessionId, include } = session.finish(results)
  const responses: { topic: string; topicId: string; partitions: PartitionReply[] }[] = []
  const leaders = new Set<number>()
  work.targets.forEach((target, index) => {
    if (!include[index]) return
    const last = responses.at(-1)
    const topic = target.topic ?? ''
    const sameTopic = last !== undefined && last.topicId === target.topicId && last.topic === topic
    if (!sameTopic) responses.push({ topic, topicId: target.topicId, partitions: [] })
    const result = results[index] as Result
    const hasMoved = isLeaderChange(result.errorCode)
    if (hasMoved && result.leaderId >= 0) leaders.add(result.leaderId)
    responses.at(-1)?.partitions.push(partitionReply(target, result, hasMoved, work.request))
  })
  const nodeEndpoints = [...leaders].flatMap(id => endpointOf(id, work.context, work.services) ?? [])
  return { sessionId, responses, nodeEndpoints }
}

function partitionReply(target: FetchTarget, result: Result, hasMoved: boolean, request: Request): PartitionReply {
  return {
    partitionIndex: target.partition,
    errorCode: result.errorCode,
    highWatermark: result.highWatermark,
    lastStableOffset: result.lastStableOffset,
    logStartOffset: result.logStartOffset,
    abortedTransactions: request.isolationLevel === READ_COMMITTED || isUnknown(result.errorCode) ? [] : null,
    records: result.records,
    ...(result.divergingEpoch ? { divergingEpoch: result.divergingEpoch } : {}),
    ...(hasMoved ? { currentLeader: { leaderId: result.leaderId, leaderEpoch: result.leaderEpoch } } : {})
  }
}

/** The client asked for what is not there; Kafka then leaves this field at its default (FetchResponse.java). */
function isUnknown(errorCode: number): boolean {
  return errorCode === ErrorCode.UNKNOWN_TOPIC_OR_PARTITION || errorCode === ErrorCode.UNKNOWN_TOPIC_ID
}

function isLeaderChange(errorCode: number): boolean {
  return errorCode === ErrorCode.NOT_LEADER_OR_FOLLOWER || errorCode === ErrorCode.FENCED_LEADER_EPOCH
}
