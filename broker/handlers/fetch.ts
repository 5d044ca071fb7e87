// Fetch 4-18: what there is to read (fetch-read.ts) is answered at once where it is enough. What has too little to give is
// parked and looked at again when a partition it asks for moves, not on a timer: for followers that is every append.
// 7 brings sessions (KIP-227), 12 epochs of the fetcher, 13 topic ids, 16 endpoints of new leaders (KIP-951).
import { ErrorCode } from '../../protocol/errors.ts'
import { fetch } from '../../protocol/messages/fetch.ts'
import type { RequestOf, ResponseDraft } from '../../protocol/schema.ts'
import type { Deadline } from '../deadlines.ts'
import { endpointOf } from '../endpoints.ts'
import { locate, READ_COMMITTED, type Result, readAll, readableEnd, type Work } from '../fetch-read.ts'
import { type FetchContext, type FetchTarget, newTarget } from '../fetch-sessions.ts'
import { Later } from '../later.ts'
import { CONSUMER } from '../local-replica.ts'
import { WITHOUT_ACCOUNT } from '../net/answers.ts'
import { type Consumers, type Readers, readersOf, type Waiting } from '../readers.ts'
import type { Services } from '../services.ts'
import { type Answer, handler, type Reply, type RequestContext } from './handler.ts'

type Request = RequestOf<typeof fetch>

const STORAGE_ERROR_SINCE = 6

export const onFetch = handler(fetch, answer, true, isOfBroker)

function answer(request: Request, context: RequestContext, services: Services): Answer<typeof fetch> {
  // Controllers read the metadata log from each other, and nothing else; brokers are not asked for it.
  if (context.listener === 'controller') return services.controller.metadataLog.serveFetch(request, context.signal)
  const session = openSession(request, context, services)
  if ('errorCode' in session) return { errorCode: session.errorCode }
  const work: Work = {
    request,
    context,
    services,
    session,
    targets: session.targets,
    maxBytes: Math.min(request.maxBytes, services.config.get('fetch.max.bytes')),
    room: context.room ?? WITHOUT_ACCOUNT,
    replicaId: replicaOf(request),
    deadlineMs: services.clock.monotonicMs() + request.maxWaitMs,
    left: 0,
    isFirstLook: true,
    crowd: null
  }
  const results = readAll(work)
  const { crowd } = work
  if (crowd !== null) return new LongPoll(work).rest(crowd)
  if (!(results instanceof Promise) && isDone(work, results)) return respond(work, results)
  return new LongPoll(work).go(results)
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
  const targets: FetchTarget[] = []
  for (const topic of request.topics) {
    const name = nameOf(topic)
    for (const each of topic.partitions) targets.push(newTarget(name, topic.topicId, each))
  }
  const forgotten = request.forgottenTopicsData.flatMap(topic =>
    topic.partitions.map(partition => ({ topic: nameOf(topic), topicId: topic.topicId, partition }))
  )
  const { sessionId, sessionEpoch } = request
  const isFollower = replicaOf(request) >= 0
  const asked = { sessionId, sessionEpoch, usesTopicIds: byId, isFollower, targets, forgotten }
  return services.fetchSessions.open(asked, services.clock.monotonicMs())
}

function replicaOf(request: Request): number {
  return request.replicaState.replicaId === CONSUMER ? request.replicaId : request.replicaState.replicaId
}

/** A broker that is registered, in this life of its or in one that is not known here yet. Anybody can say so: that gets
 *  him into the line of the followers, whose memory is bounded as well. Where he is none he reads nothing
 *  (fetch-read.ts, isServed). */
function isOfBroker({ replicaState: { replicaId, replicaEpoch } }: Request, { metadata, nodeId }: Services): boolean {
  const broker = metadata.image.brokers.get(replicaId)
  return broker !== undefined && replicaId !== nodeId && replicaEpoch >= broker.brokerEpoch
}

/** A fetch that is looked at until it has enough, its time is up, or nobody waits for it any more. */
class LongPoll extends Later<Reply<typeof fetch>> implements Waiting {
  readonly #work: Work
  /** Whom it waits among; null while it does not wait. */
  #among: Readers[] | null = null
  #deadline: Deadline | null = null

  constructor(work: Work) {
    super()
    this.#work = work
  }

  go(results: Result[] | Promise<Result[]>): this {
    if (results instanceof Promise) {
      results.then(
        read => this.#looked(read),
        error => this.fail(error)
      )
    } else this.#looked(results)
    return this
  }

  rest(crowd: Consumers): this {
    this.#park([readersOf(this.#work.context.signal)])
    crowd.addResting(this)
    this.#among?.push(crowd)
    return this
  }

  look(): void {
    let results: Result[] | Promise<Result[]>
    try {
      results = readAll(this.#work)
    } catch (error) {
      this.fail(error)
      return
    }
    this.go(results)
  }

  #looked(results: Result[]): void {
    let reply: Reply<typeof fetch> | null = null
    try {
      if (isDone(this.#work, results)) reply = respond(this.#work, results)
      else this.#wait(results)
    } catch (error) {
      this.fail(error)
      return
    }
    if (reply !== null) this.settle(reply)
  }

  /** Until a partition has moved since `results` were read, the time is up, or the peer is gone. */
  #wait(results: readonly Result[]): void {
    const { targets, services, context, room, replicaId } = this.#work
    const among = [readersOf(context.signal)]
    let isNews = context.signal.aborted
    for (let index = 0; index < targets.length; index++) {
      const { partition } = locate(targets[index] as FetchTarget, this.#work)
      if (partition) among.push(replicaId < 0 ? partition.consumers : partition.followers)
      // It may have moved while another partition was read from the disk.
      if (partition === null || readableEnd(this.#work, partition) !== results[index]?.readableEnd) isNews = true
    }
    if (isNews) {
      services.looks.add(this)
      return
    }
    // What was read is not enough, and will be read again.
    context.holds?.letGo()
    room.clear()
    this.#park(among)
  }

  #park(among: Readers[]): void {
    const { services, deadlineMs } = this.#work
    this.#among = among
    for (const each of among) each.add(this)
    this.#deadline = services.partitions.deadlines.add(deadlineMs - services.clock.monotonicMs(), () => this.wake())
  }

  wake(): void {
    if (this.#among === null) return
    for (const each of this.#among) each.delete(this)
    this.#among = null
    const { partitions, looks } = this.#work.services
    if (this.#deadline !== null) partitions.deadlines.cancel(this.#deadline)
    looks.add(this)
  }
}

function isDone(work: Work, results: readonly Result[]): boolean {
  const { services, deadlineMs, context } = work
  return isEnough(work, results) || services.clock.monotonicMs() >= deadlineMs || context.signal.aborted
}

/** ReplicaManager.fetchMessages: answer at once for enough bytes, any error, a divergence, or nothing asked. A follower
 *  hears of a new log start at once, because DeleteRecords waits for it. */
function isEnough({ request, targets, replicaId, room }: Work, results: readonly Result[]): boolean {
  if (targets.length === 0) return true
  let bytes = 0
  for (let index = 0; index < results.length; index++) {
    const result = results[index] as Result
    if (result.errorCode !== ErrorCode.NONE || result.divergingEpoch !== null) return true
    const { toldLogStartOffset } = targets[index] as FetchTarget
    if (replicaId >= 0 && toldLogStartOffset >= 0 && toldLogStartOffset < result.logStartOffset) return true
    bytes += result.sizeInBytes
  }
  return bytes >= request.minBytes || (bytes > 0 && room.isShort)
}

type TopicReply = NonNullable<ResponseDraft<typeof fetch>['responses']>[number]
type PartitionReply = NonNullable<TopicReply['partitions']>[number]

function respond(work: Work, results: readonly Result[]): Reply<typeof fetch> {
  const { targets, session, context, services } = work
  const { sessionId, include } = session.finish(results)
  const responses: { topic: string; topicId: string; partitions: PartitionReply[] }[] = []
  let last: (typeof responses)[number] | null = null
  const leaders = new Set<number>()
  const { apiVersion } = context
  for (let index = 0; index < targets.length; index++) {
    if (!include[index]) continue
    const target = targets[index] as FetchTarget
    const result = results[index] as Result
    const topic = target.topic ?? ''
    if (last === null || last.topicId !== target.topicId || last.topic !== topic) {
      last = { topic, topicId: target.topicId, partitions: [] }
      responses.push(last)
    }
    const hasMoved = isLeaderChange(result.errorCode)
    if (hasMoved && result.leaderId >= 0) leaders.add(result.leaderId)
    last.partitions.push(partitionReply(target, result, hasMoved, work.request, apiVersion))
  }
  if (leaders.size === 0) return { sessionId, responses }
  return { sessionId, responses, nodeEndpoints: [...leaders].flatMap(id => endpointOf(id, context, services) ?? []) }
}

function partitionReply(
  target: FetchTarget,
  result: Result,
  hasMoved: boolean,
  request: Request,
  apiVersion: number
): PartitionReply {
  const reply = {
    partitionIndex: target.partition,
    errorCode: knownCode(result.errorCode, apiVersion),
    highWatermark: result.highWatermark,
    lastStableOffset: result.lastStableOffset,
    logStartOffset: result.logStartOffset,
    abortedTransactions: request.isolationLevel === READ_COMMITTED || isUnknown(result.errorCode) ? [] : null,
    records: result.records
  }
  if (!hasMoved && result.divergingEpoch === null) return reply
  return {
    ...reply,
    ...(result.divergingEpoch ? { divergingEpoch: result.divergingEpoch } : {}),
    ...(hasMoved ? { currentLeader: { leaderId: result.leaderId, leaderEpoch: result.leaderEpoch } } : {})
  }
}

/** A client that may not know the error is told what makes it look for the leader again, and retry (KafkaApis.scala,
 *  maybeDownConvertStorageError). */
function knownCode(errorCode: number, apiVersion: number): number {
  const isUnheardOf = errorCode === ErrorCode.KAFKA_STORAGE_ERROR && apiVersion < STORAGE_ERROR_SINCE
  return isUnheardOf ? ErrorCode.NOT_LEADER_OR_FOLLOWER : errorCode
}

/** The client asked for what is not there; Kafka then leaves this field at its default (FetchResponse.java). */
function isUnknown(errorCode: number): boolean {
  return errorCode === ErrorCode.UNKNOWN_TOPIC_OR_PARTITION || errorCode === ErrorCode.UNKNOWN_TOPIC_ID
}

function isLeaderChange(errorCode: number): boolean {
  return errorCode === ErrorCode.NOT_LEADER_OR_FOLLOWER || errorCode === ErrorCode.FENCED_LEADER_EPOCH
}
