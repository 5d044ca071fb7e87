// Produce 3-13: batches of clients enter the log. Each partition is on its own: one that refuses harms none beside it.
// acks=-1 waits for the high watermark (synced on every in-sync replica under the default flush policy), acks=1 for
// the write of the leader, acks=0 for nothing. 8 names bad records (KIP-467), 10 the new leader (KIP-951), 13 topic ids.
import { ErrorCode, errorMessage } from '../../protocol/errors.ts'
import { isFailure, MoldauError } from '../../protocol/failure.ts'
import { produce } from '../../protocol/messages/produce.ts'
import { isTransactional } from '../../protocol/records/batch.ts'
import type { RequestOf, ResponseOf } from '../../protocol/schema.ts'
import type { AppendResult } from '../../storage/log.ts'
import { usesZstd } from '../../storage/validate.ts'
import type { Deadline } from '../deadlines.ts'
import { endpointOf, type NodeEndpoint } from '../endpoints.ts'
import { Later } from '../later.ts'
import { errorCodeOf } from '../net/dispatch.ts'
import type { Partition } from '../partition.ts'
import { isInternalTopic, type Located } from '../partitions.ts'
import type { Services } from '../services.ts'
import type { Waiter } from '../waiters.ts'
import { handler, type Reply, type RequestContext } from './handler.ts'

type Request = RequestOf<typeof produce>
type TopicRequest = Request['topicData'][number]
type PartitionRequest = TopicRequest['partitionData'][number]
type PartitionReply = Omit<ResponseOf<typeof produce>['responses'][number]['partitionResponses'][number], never>
interface TopicReply {
  readonly name: string
  readonly topicId: string
  readonly partitionResponses: PartitionReply[]
}

const ACKS_ALL = -1
/** A client's time-out is meant for the followers: Kafka writes before it begins to wait. The own disk's sync, for which
 *  this broker waits as well, gets at least so long. */
const LEAST_WAIT_MS = 1_000
const BATCH_HEADER_BYTES = 61
/** Older clients that read the topic could not know the codec (KIP-110). */
const ZSTD_SINCE = 7
const WITHOUT_LOG_START: ReadonlySet<number> = new Set([
  ErrorCode.CORRUPT_MESSAGE,
  ErrorCode.MESSAGE_TOO_LARGE,
  ErrorCode.RECORD_LIST_TOO_LARGE,
  ErrorCode.KAFKA_STORAGE_ERROR
])
/** Clients that administer write internal topics under this name (AdminUtils.ADMIN_CLIENT_ID). */
const ADMIN_CLIENT_ID = '__admin_client'

const NO_ERRORS: PartitionReply['recordErrors'] = []
const NO_LEADER: PartitionReply['currentLeader'] = { leaderId: -1, leaderEpoch: -1 }
const NOBODY: NodeEndpoint[] = []

export const onProduce = handler(produce, (request, context, services) => {
  if (request.acks < -1 || request.acks > 1) return refuseAll(request, ErrorCode.INVALID_REQUIRED_ACKS)
  if (request.transactionalId !== null) {
    return refuseAll(request, ErrorCode.INVALID_TXN_STATE, 'transactions are not supported by this broker yet')
  }
  const pending = new Pending(request, context, services)
  for (let t = 0; t < request.topicData.length; t++) {
    const topic = request.topicData[t] as TopicRequest
    const partitionResponses = new Array<PartitionReply>(topic.partitionData.length)
    pending.responses[t] = { name: topic.name, topicId: topic.topicId, partitionResponses }
    for (let p = 0; p < partitionResponses.length; p++) {
      partitionResponses[p] = append(topic, topic.partitionData[p] as PartitionRequest, pending)
    }
  }
  return request.acks === 0 ? unacknowledged(pending.responses) : pending.answer()
})

/** A request whose partitions wait for their acks: answered when the last has come, or when the time is up. */
class Pending {
  readonly request: Request
  readonly context: RequestContext
  readonly services: Services
  readonly responses: TopicReply[]
  readonly #acks: Acks[] = []
  #remaining = 0
  #later: Later<Reply<typeof produce>> | null = null
  #deadline: Deadline | null = null

  constructor(request: Request, context: RequestContext, services: Services) {
    this.request = request
    this.responses = new Array(request.topicData.length)
    this.context = context
    this.services = services
  }

  acksOf(reply: PartitionReply, partition: Partition): Acks {
    const awaited = new Acks(this, reply, partition)
    this.#acks.push(awaited)
    this.#remaining++
    return awaited
  }

  answer(): Reply<typeof produce> | Later<Reply<typeof produce>> {
    if (this.#remaining === 0) return this.#reply()
    const { partitions } = this.services
    this.#later = new Later()
    this.#deadline = partitions.deadlines.add(Math.max(this.request.timeoutMs, LEAST_WAIT_MS), () => {
      for (const each of this.#acks) each.giveUp()
      this.#later?.settle(this.#reply())
    })
    return this.#later
  }

  /** One partition has its acks, or never will. */
  came(): void {
    if (--this.#remaining > 0 || this.#later === null) return
    if (this.#deadline !== null) this.services.partitions.deadlines.cancel(this.#deadline)
    this.#later.settle(this.#reply())
  }

  #reply(): Reply<typeof produce> {
    const { responses, context, services } = this
    return { responses, nodeEndpoints: leadersOf(responses, context, services) }
  }
}

/** The acks of one partition. */
class Acks implements Waiter {
  readonly #pending: Pending
  readonly #reply: PartitionReply
  readonly #partition: Partition
  #isOver = false

  constructor(pending: Pending, reply: PartitionReply, partition: Partition) {
    this.#pending = pending
    this.#reply = reply
    this.#partition = partition
  }

  done(errorCode: number): void {
    if (this.#isOver) return
    this.#isOver = true
    const isAll = this.#pending.request.acks === ACKS_ALL
    if (errorCode !== ErrorCode.NONE) fail(this.#reply, errorCode, undefined, this.#partition)
    else if (isAll && this.#partition.hasTooFewReplicas) fail(this.#reply, ErrorCode.NOT_ENOUGH_REPLICAS_AFTER_APPEND)
    this.#pending.came()
  }

  giveUp(): void {
    if (this.#isOver) return
    this.#isOver = true
    fail(this.#reply, ErrorCode.REQUEST_TIMED_OUT)
  }
}

function append(topic: TopicRequest, { index, records }: PartitionRequest, pending: Pending): PartitionReply {
  const { request, context, services } = pending
  const byId = context.apiVersion >= 13
  const located = services.partitions.locate(byId ? null : topic.name, byId ? topic.topicId : null, index)
  const reply = emptyReply(index)
  const refusal = refusalOf(located, records, context)
  if (refusal !== null) return fail(reply, refusal.errorCode, refusal.message, located)
  const { partition } = located as { partition: Partition }
  if (request.acks === ACKS_ALL && partition.hasTooFewReplicas) return fail(reply, ErrorCode.NOT_ENOUGH_REPLICAS)
  try {
    const result = partition.appendAsLeader(records as Buffer, 'client')
    return result.kind === 'refused'
      ? refused(reply, result, partition)
      : accepted(reply, result, partition, request.acks, pending)
  } catch (error) {
    if (!isFailure(error)) throw error
    return fail(reply, errorCodeOf(error), error.message)
  }
}

function refusalOf(
  located: Located,
  records: Buffer | null,
  context: RequestContext
): { errorCode: number; message?: string } | null {
  if (located.errorCode !== ErrorCode.NONE) return located
  if (isInternalTopic(located.topic) && context.clientId !== ADMIN_CLIENT_ID) {
    return { errorCode: ErrorCode.INVALID_TOPIC_EXCEPTION, message: `${located.topic} is written by the broker only` }
  }
  if (records === null || records.length < BATCH_HEADER_BYTES) {
    return { errorCode: ErrorCode.INVALID_RECORD, message: 'a produce request must hold one whole record batch' }
  }
  if (context.apiVersion < ZSTD_SINCE && usesZstd(records)) {
    return { errorCode: ErrorCode.UNSUPPORTED_COMPRESSION_TYPE }
  }
  if (isTransactional(records, 0)) {
    return { errorCode: ErrorCode.INVALID_TXN_STATE, message: 'transactions are not supported by this broker yet' }
  }
  return null
}

function accepted(
  reply: PartitionReply,
  result: Exclude<AppendResult, { kind: 'refused' }>,
  partition: Partition,
  acks: number,
  pending: Pending
): PartitionReply {
  reply.baseOffset = result.baseOffset
  reply.logAppendTimeMs = result.logAppendTimeMs
  reply.logStartOffset = partition.logStartOffset
  if (acks === 0) return reply
  const awaited = pending.acksOf(reply, partition)
  if (acks === ACKS_ALL) partition.whenCommitted(result.lastOffset + 1, awaited)
  else partition.whenWritten(result.lastOffset + 1, awaited)
  return reply
}

/** A producer whose sequence is refused looks at the log start (KIP-360); what no log was asked about has none
 *  (ReplicaManager.appendToLocalLog). */
function refused(
  reply: PartitionReply,
  result: AppendResult & { kind: 'refused' },
  partition: Partition
): PartitionReply {
  reply.recordErrors = result.recordErrors.map(each => ({ ...each }))
  fail(reply, result.errorCode, result.errorMessage ?? undefined)
  if (!WITHOUT_LOG_START.has(result.errorCode)) reply.logStartOffset = partition.logStartOffset
  return reply
}

/** `leader`: who leads instead, as far as this broker knows. */
function fail(
  reply: PartitionReply,
  errorCode: number,
  message?: string,
  leader?: { readonly leaderId: number; readonly leaderEpoch: number }
): PartitionReply {
  reply.errorCode = errorCode
  reply.baseOffset = -1
  reply.logAppendTimeMs = -1
  reply.logStartOffset = -1
  reply.errorMessage = message ?? errorMessage(errorCode)
  if (errorCode === ErrorCode.NOT_LEADER_OR_FOLLOWER && leader) {
    reply.currentLeader = { leaderId: leader.leaderId, leaderEpoch: leader.leaderEpoch }
  }
  return reply
}

function emptyReply(index: number): PartitionReply {
  return {
    index,
    errorCode: ErrorCode.NONE,
    baseOffset: -1,
    logAppendTimeMs: -1,
    logStartOffset: -1,
    recordErrors: NO_ERRORS,
    errorMessage: null,
    currentLeader: NO_LEADER
  }
}

/** With acks=0 nobody reads an answer: an error ends the connection, so that the client looks at the metadata again. */
function unacknowledged(responses: readonly { partitionResponses: readonly PartitionReply[] }[]): null {
  const failed = responses.flatMap(topic => topic.partitionResponses).find(each => each.errorCode !== ErrorCode.NONE)
  if (failed) throw new MoldauError('ERR_CLOSED', `a produce with acks=0 failed: ${failed.errorMessage}`)
  return null
}

function refuseAll(request: Request, errorCode: number, message?: string): Reply<typeof produce> {
  const responses = request.topicData.map(topic => ({
    name: topic.name,
    topicId: topic.topicId,
    partitionResponses: topic.partitionData.map(each => fail(emptyReply(each.index), errorCode, message))
  }))
  return request.acks === 0 ? unacknowledged(responses) : { responses }
}

/** Of the partitions that are led elsewhere. */
function leadersOf(responses: readonly TopicReply[], context: RequestContext, services: Services): NodeEndpoint[] {
  let ids: Set<number> | null = null
  for (const { partitionResponses } of responses) {
    for (const { currentLeader } of partitionResponses) {
      if (currentLeader.leaderId >= 0) ids = (ids ?? new Set()).add(currentLeader.leaderId)
    }
  }
  return ids === null ? NOBODY : [...ids].flatMap(id => endpointOf(id, context, services) ?? [])
}
