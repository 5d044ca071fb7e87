// The group coordinator of this broker: finds the shard of a group, and says what is said where there is none. Which
// group ids and states get which code follows GroupCoordinatorService.java.
import { ErrorCode } from '../../protocol/errors.ts'
import type { Cause } from './classic-group.ts'
import { type DescribedGroup, type ListedGroup, undescribed } from './describe.ts'
import type { CommitRequest, DeletedTopic, DeleteRequest, FetchedTopic, FetchRequest, TopicCodes } from './offsets.ts'
import { partitionFor } from './placement.ts'
import type { CoordinatorLog, GroupClock, GroupLogger, GroupSettings, Snapshots } from './ports.ts'
import { type DeletedTopicId, GroupShard, type InTurn, type Outcome } from './shard.ts'
import type {
  Client,
  HeartbeatReply,
  HeartbeatRequest,
  JoinReply,
  JoinRequest,
  LeaveReply,
  LeavingMember,
  SyncReply,
  SyncRequest
} from './turn.ts'

export interface CoordinatorParts {
  readonly settings: GroupSettings
  readonly clock: GroupClock
  /** The monotonic time without the times in which this process stood still: nobody is late by those. */
  readonly awakeMs: () => number
  readonly random: { uuid(): string }
  readonly logger: GroupLogger
  /** Partitions of __consumer_offsets; 0 while it does not exist. */
  numPartitions(): number
  readonly snapshots: Snapshots
}

const LOADS_AT_ONCE = 4
/** How long a stop waits for snapshots. */
const SAVE_LIMIT_MS = 2_000

export class GroupCoordinator {
  readonly #parts: CoordinatorParts
  readonly #shards: Map<number, GroupShard> = new Map()
  #loads = 0
  readonly #queue: { readonly begin: () => void; readonly isUrgent: () => boolean }[] = []
  #expiry: { cancel(): void } | null = null
  #isClosed = false
  #hasStorageFailed = false

  constructor(parts: CoordinatorParts) {
    this.#parts = parts
  }

  /** The partition of __consumer_offsets that holds the group. */
  partitionOf(groupId: string): number {
    return partitionFor(groupId, Math.max(1, this.#parts.numPartitions()))
  }

  /** Whether this broker has the group, or is loading it. */
  isCoordinatorOf(groupId: string): boolean {
    const shard = this.#shards.get(this.partitionOf(groupId))
    return shard !== undefined && shard.status !== 'following'
  }

  /** This broker leads the partition now: its groups are loaded. Resolves when they answer, or cannot. */
  electPartition(index: number, log: CoordinatorLog): Promise<void> {
    if (this.#isClosed) return Promise.resolve()
    this.#scheduleExpiry()
    return this.#shardAt(index, log).lead(log)
  }

  /** Another broker leads the partition: its groups are kept up with. */
  followPartition(index: number, log: CoordinatorLog): void {
    if (!this.#isClosed) this.#shardAt(index, log).follow(log)
  }

  /** Leads it no more: whoever waits is told at once. What is committed is kept, for it may be led or followed again. */
  resignPartition(index: number): void {
    this.#shards.get(index)?.resign(ErrorCode.NOT_COORDINATOR)
  }

  /** The log directory failed: nothing that waits will be committed, and nothing can be kept. */
  storageFailed(): void {
    this.#hasStorageFailed = true
    for (const index of this.#shards.keys()) this.resignPartition(index)
  }

  /** This broker has no replica of the partition any more. */
  dropPartition(index: number): void {
    this.#shards.get(index)?.close(ErrorCode.NOT_COORDINATOR)
    this.#shards.delete(index)
  }

  #shardAt(index: number, log: CoordinatorLog): GroupShard {
    const inTurn: InTurn = (work, isUrgent) => this.#inTurn(work, isUrgent)
    const shard = this.#shards.get(index) ?? new GroupShard({ ...this.#parts, index, log, inTurn })
    this.#shards.set(index, shard)
    return shard
  }

  joinGroup(request: JoinRequest, client: Client): JoinReply | Promise<JoinReply> {
    const { groupId, memberId, sessionTimeoutMs } = request
    const { settings } = this.#parts
    const shard = this.#shardOf(groupId)
    if (typeof shard === 'number') return refusedJoin(memberId, shard)
    if (sessionTimeoutMs < settings.minSessionTimeoutMs || sessionTimeoutMs > settings.maxSessionTimeoutMs) {
      return refusedJoin(memberId, ErrorCode.INVALID_SESSION_TIMEOUT)
    }
    if (shard.isForeign(groupId)) return refusedJoin('', ErrorCode.INCONSISTENT_GROUP_PROTOCOL)
    if (memberId !== '' && !shard.group(groupId)) return refusedJoin(memberId, ErrorCode.UNKNOWN_MEMBER_ID)
    return shard.ask(groupId, token => ({
      kind: 'join',
      token,
      request,
      client,
      newMemberId: this.#newMemberId(request, client)
    }))
  }

  syncGroup(request: SyncRequest): SyncReply | Promise<SyncReply> {
    const shard = this.#shardWith(request.groupId)
    if (typeof shard === 'number') {
      return { errorCode: shard, protocolType: null, protocolName: null, assignment: Buffer.alloc(0) }
    }
    return shard.ask(request.groupId, token => ({ kind: 'sync', token, request }))
  }

  heartbeat(request: HeartbeatRequest): HeartbeatReply | Promise<HeartbeatReply> {
    const shard = this.#shardWith(request.groupId)
    // A member need not do anything about a coordinator that loads: it is not forgotten.
    if (shard === ErrorCode.COORDINATOR_LOAD_IN_PROGRESS) return { errorCode: ErrorCode.NONE }
    if (typeof shard === 'number') return { errorCode: shard }
    return shard.ask(request.groupId, token => ({ kind: 'heartbeat', token, request }))
  }

  leaveGroup(groupId: string, members: readonly LeavingMember[]): LeaveReply | Promise<LeaveReply> {
    const shard = this.#shardWith(groupId)
    if (shard === ErrorCode.UNKNOWN_MEMBER_ID) {
      return {
        errorCode: ErrorCode.NONE,
        members: members.map(({ memberId, groupInstanceId }) => ({ memberId, groupInstanceId, errorCode: shard }))
      }
    }
    if (typeof shard === 'number') return { errorCode: shard, members: [] }
    return shard.ask(groupId, token => ({ kind: 'leave', token, members }))
  }

  /** The caller has left out topics that do not exist, and has filled in names and ids of the others. */
  commitOffsets(request: CommitRequest, apiVersion: number): Promise<Outcome<TopicCodes[]>> {
    const shard = this.#shardOf(request.groupId, true)
    if (typeof shard === 'number') return Promise.resolve({ errorCode: shard, reply: null })
    return shard.commitOffsets(request, apiVersion)
  }

  fetchOffsets(request: FetchRequest): Promise<Outcome<FetchedTopic[]>> {
    const shard = this.#shardOf(request.groupId, true)
    if (typeof shard === 'number') return Promise.resolve({ errorCode: shard, reply: null })
    return shard.fetchOffsets(request)
  }

  deleteOffsets(request: DeleteRequest): Promise<Outcome<{ errorCode: number; topics: DeletedTopic[] }>> {
    const shard = this.#shardOf(request.groupId)
    if (typeof shard === 'number') return Promise.resolve({ errorCode: shard, reply: null })
    return shard.deleteOffsets(request)
  }

  describeGroups(groupIds: readonly string[], apiVersion: number): DescribedGroup[] {
    return groupIds.map(groupId => {
      const shard = this.#shardOf(groupId, true)
      return typeof shard === 'number' ? undescribed(groupId, shard) : shard.describe(groupId, apiVersion)
    })
  }

  /** Of all partitions that this broker leads; loading ones make the whole answer wait for a better moment. */
  listGroups(filters: { statesFilter: readonly string[]; typesFilter: readonly string[] }): {
    errorCode: number
    groups: ListedGroup[]
  } {
    const groups: ListedGroup[] = []
    if (this.#isClosed) return { errorCode: ErrorCode.COORDINATOR_NOT_AVAILABLE, groups }
    for (const shard of this.#shards.values()) {
      if (shard.status === 'loading') return { errorCode: ErrorCode.COORDINATOR_LOAD_IN_PROGRESS, groups: [] }
      if (shard.status === 'active') groups.push(...shard.list(filters))
    }
    return { errorCode: ErrorCode.NONE, groups }
  }

  deleteGroups(groupIds: readonly string[]): Promise<{ groupId: string; errorCode: number }[]> {
    return Promise.all(
      [...new Set(groupIds)].map(async groupId => {
        const shard = this.#shardOf(groupId, true)
        return { groupId, errorCode: typeof shard === 'number' ? shard : await shard.deleteGroup(groupId) }
      })
    )
  }

  /** Call when topics were deleted: their offsets mean nothing to a later topic of the same name, which may be there
   *  already, with offsets of its own. */
  async forgetTopics(topics: readonly DeletedTopicId[]): Promise<void> {
    await Promise.all([...this.#shards.values()].map(shard => shard.forgetTopics(topics)))
  }

  /** Why the group rebalanced: its last changes of state, oldest first. */
  historyOf(groupId: string): readonly Cause[] {
    const shard = this.#shardOf(groupId, true)
    return typeof shard === 'number' ? [] : (shard.group(groupId)?.history ?? [])
  }

  /** A clean stop: parked requests are answered, and what the next start needs is written down. */
  async close(): Promise<void> {
    if (this.#isClosed) return
    this.#isClosed = true
    this.#expiry?.cancel()
    const shards = this.#hasStorageFailed ? [] : [...this.#shards.values()]
    const saved = Promise.all(shards.map(shard => shard.saveSnapshot()))
    // What is not committed soon may never be: a stop does not wait for that.
    let limit: { cancel(): void } | null = null
    const late = new Promise<void>(resolve => {
      limit = this.#parts.clock.after(SAVE_LIMIT_MS, resolve)
    })
    await Promise.race([saved.finally(() => limit?.cancel()), late])
    for (const shard of this.#shards.values()) shard.close(ErrorCode.NOT_COORDINATOR)
    this.#shards.clear()
  }

  /** The group's shard where it takes requests, or the code to answer with. */
  #shardOf(groupId: string, mayBeEmpty = false): GroupShard | number {
    if (this.#isClosed) return ErrorCode.COORDINATOR_NOT_AVAILABLE
    if (groupId === '' && !mayBeEmpty) return ErrorCode.INVALID_GROUP_ID
    const shard = this.#shards.get(this.partitionOf(groupId))
    if (shard?.status === 'active') return shard
    return shard?.status === 'loading' ? ErrorCode.COORDINATOR_LOAD_IN_PROGRESS : ErrorCode.NOT_COORDINATOR
  }

  /** As shardOf, for requests that only members send: UNKNOWN_MEMBER_ID where there is no such group. */
  #shardWith(groupId: string): GroupShard | number {
    const shard = this.#shardOf(groupId)
    return typeof shard === 'number' || shard.group(groupId) ? shard : ErrorCode.UNKNOWN_MEMBER_ID
  }

  /** Instance or client id and a uuid, as ClassicGroup.generateMemberId. */
  #newMemberId(request: JoinRequest, client: Client): string {
    const hex = Buffer.from(this.#parts.random.uuid(), 'base64url').toString('hex')
    const uuid = [hex.slice(0, 8), hex.slice(8, 12), hex.slice(12, 16), hex.slice(16, 20), hex.slice(20)].join('-')
    return `${request.groupInstanceId ?? client.clientId}-${uuid}`
  }

  /** A few loads at a time: each partition answers as soon as it can, and memory holds the reads of a few only. */
  async #inTurn<T>(work: () => Promise<T>, isUrgent: () => boolean): Promise<T> {
    if (this.#loads >= LOADS_AT_ONCE) await new Promise<void>(begin => this.#queue.push({ begin, isUrgent }))
    else this.#loads++
    try {
      return await work()
    } finally {
      // Whoever is next takes the place over.
      const urgent = this.#queue.findIndex(each => each.isUrgent())
      const [next] = this.#queue.splice(Math.max(0, urgent), 1)
      if (next) next.begin()
      else this.#loads--
    }
  }

  #scheduleExpiry(): void {
    if (this.#expiry || this.#isClosed) return
    const { clock, settings } = this.#parts
    this.#expiry = clock.after(settings.retentionCheckIntervalMs, () => {
      this.#expiry = null
      void this.#expire()
    })
  }

  async #expire(): Promise<void> {
    for (const shard of [...this.#shards.values()]) await shard.expire()
    if (this.#shards.size > 0) this.#scheduleExpiry()
  }
}

function refusedJoin(memberId: string, errorCode: number): JoinReply {
  return {
    errorCode,
    generationId: -1,
    protocolType: null,
    protocolName: null,
    leader: '',
    skipAssignment: false,
    memberId,
    members: []
  }
}
