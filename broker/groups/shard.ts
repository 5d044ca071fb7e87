// One partition of __consumer_offsets while this broker leads it: loads the state, runs the groups' steps and decisions,
// appends what they store, answers what they answer, and wakes at the earliest deadline. The only file here that does
// I/O. A reply that says something is stored leaves when that is committed (broker/machine.ts).

import { ErrorCode } from '../../protocol/errors.ts'
import { buildBatch } from '../../protocol/records/builder.ts'
import { type Offset, type Uuid, ZERO_UUID } from '../../protocol/types.ts'
import { Machine } from '../machine.ts'
import type { ClassicGroup, Now, Token } from './classic-group.ts'
import { type DescribedGroup, describeGroup, type ListedGroup, listGroups } from './describe.ts'
import { KeptState } from './kept-state.ts'
import { LiveGroups } from './live-groups.ts'
import {
  type CommitRequest,
  checkCommit,
  type Decision,
  type DeletedTopic,
  type DeleteRequest,
  decideCommit,
  decideDelete,
  expiredOffsets,
  type FetchedTopic,
  type FetchRequest,
  fetchOffsets,
  offsetTombstone,
  type TopicCodes
} from './offsets.ts'
import { type Outcome, PendingWrites } from './pending-writes.ts'
import type { CoordinatorLog, GroupClock, GroupLogger, GroupSettings, Snapshots } from './ports.ts'
import { encodeRecord, type GroupRecord } from './records.ts'
import type { GroupsState } from './state.ts'
import type { Input } from './turn.ts'

export interface ShardParts {
  readonly index: number
  readonly log: CoordinatorLog
  readonly clock: GroupClock
  readonly awakeMs: () => number
  readonly logger: GroupLogger
  readonly settings: GroupSettings
  readonly snapshots: Snapshots
  readonly inTurn: InTurn
}

export type { Outcome } from './pending-writes.ts'

export interface DeletedTopicId {
  readonly name: string
  readonly topicId: Uuid
}

/** Runs work when it is its turn: not all partitions load at once, and those that somebody waits for come first. */
export type InTurn = <T>(work: () => Promise<T>, isUrgent: () => boolean) => Promise<T>

/** failed: its log could not be read; closed: for good. */
export type ShardStatus = 'following' | 'loading' | 'active' | 'failed' | 'closed'

/** Tombstones of one batch, so that a batch stays far below max.message.bytes. */
const TOMBSTONES_PER_BATCH = 2_000
/** Groups that are looked at in one turn of the event loop. */
const GROUPS_PER_SLICE = 256

export class GroupShard {
  status: ShardStatus = 'following'
  readonly #parts: ShardParts
  readonly #kept: KeptState
  readonly #state: GroupsState
  #log: CoordinatorLog
  #live: LiveGroups
  readonly #writes = new PendingWrites()
  #machine: Machine<GroupRecord> | null = null
  #stopListening: () => void = () => {}
  #timer: { atMs: number; cancel(): void } | null = null
  /** Grows with each reign, and when one ends. */
  #reign = 0
  /** Topics that were deleted while the state was loaded. */
  readonly #toForget: DeletedTopicId[] = []
  #nowMs = 0

  constructor(parts: ShardParts) {
    this.#parts = parts
    this.#log = parts.log
    const { index, clock, logger, snapshots } = parts
    const inTurn = <T>(work: () => Promise<T>): Promise<T> => parts.inTurn(work, () => this.status !== 'following')
    this.#kept = new KeptState({ index, clock, logger, snapshots, inTurn })
    this.#state = this.#kept.state
    this.#live = this.#newLive()
    this.#attach(parts.log)
  }

  /** Another broker leads: what it commits is applied here as it comes, so that this one can take over at once. */
  follow(log: CoordinatorLog): void {
    this.resign(ErrorCode.NOT_COORDINATOR)
    if (this.status === 'closed') return
    this.#attach(log)
    this.#kept.keepUp()
  }

  /** This broker leads: once the log's end is committed and applied, requests are taken. The same in a later epoch of a
   *  reign that never ended changes nothing. */
  async lead(log: CoordinatorLog): Promise<void> {
    if (this.status === 'closed' || (this.status === 'active' && log === this.#log)) return
    this.resign(ErrorCode.NOT_COORDINATOR)
    this.#attach(log)
    this.status = 'loading'
    const reign = ++this.#reign
    const { clock, logger, index } = this.#parts
    const beganMs = clock.monotonicMs()
    const endOffset = log.logEndOffset
    try {
      await this.#kept.reach(endOffset)
      if (reign !== this.#reign) return
      this.#kept.lead()
      await this.#makeLiveGroups(reign)
      if (reign !== this.#reign) return
      this.#activate()
      const groups = this.#live.size
      const tookMs = Math.round(clock.monotonicMs() - beganMs)
      if (endOffset > 0) logger.info({ partition: index, groups, ...this.#kept.reading, tookMs }, 'groups loaded')
    } catch (error) {
      if (reign !== this.#reign) return
      this.status = 'failed'
      logger.error({ partition: index, err: error }, 'groups could not be loaded')
    }
  }

  /** Leadership is lost: what is parked is answered at once, and the state goes back to what is committed. */
  resign(errorCode: number): void {
    if (this.status === 'closed' || this.status === 'following') return
    this.status = 'following'
    this.#reign++
    this.#toForget.length = 0
    this.#timer?.cancel()
    this.#timer = null
    this.#live.close(errorCode)
    this.#live = this.#newLive()
    this.#machine?.close()
    this.#machine = null
    this.#kept.resign()
  }

  /** For good: the broker stops, or has no replica any more. */
  close(errorCode: number): void {
    this.resign(errorCode)
    this.status = 'closed'
    this.#stopListening()
    this.#kept.close()
  }

  /** For a clean stop, before close: what the next start would have to read from the log again. */
  async saveSnapshot(): Promise<void> {
    if (this.status === 'active' || this.status === 'following') await this.#kept.saveSnapshot()
  }

  /** A step of one group; the reply comes when the step or a later one answers the token. */
  ask<T extends object>(groupId: string, makeInput: (token: Token) => Input): T | Promise<T> {
    return this.#live.ask(groupId, makeInput)
  }

  group(groupId: string): ClassicGroup | undefined {
    return this.#live.get(groupId)
  }

  isForeign(groupId: string): boolean {
    return this.#state.foreign.has(groupId)
  }

  commitOffsets(request: CommitRequest, apiVersion: number): Promise<Outcome<TopicCodes[]>> {
    const { clock, settings } = this.#parts
    const group = this.#live.get(request.groupId)
    const refused = this.isForeign(request.groupId)
      ? ErrorCode.GROUP_ID_NOT_FOUND
      : checkCommit(group, request, apiVersion, this.#state.hasOffsets(request.groupId))
    if (refused !== ErrorCode.NONE) return Promise.resolve({ errorCode: refused, reply: null })
    if (group) this.#live.run(group, { kind: 'committed-offsets', memberId: request.memberId })
    return this.#submit(() => decideCommit(request, clock.nowMs(), settings.offsetMetadataMax))
  }

  /** Stable ones wait until nothing newer is on its way; the others are those that are committed now. */
  fetchOffsets(request: FetchRequest): Promise<Outcome<FetchedTopic[]>> {
    const { requireStable, groupId } = request
    if (requireStable) {
      const newest = (): FetchedTopic[] => fetchOffsets(this.#state, this.#state.offsets.get(groupId), request)
      // Consumers before Kafka 3.9 do not know COORDINATOR_NOT_AVAILABLE here (GroupCoordinatorService.java,
      // handleOffsetFetchException).
      return this.#submit(() => ({ records: [], reply: newest() }), ErrorCode.NOT_COORDINATOR)
    }
    if (this.status !== 'active') return Promise.resolve({ errorCode: ErrorCode.NOT_COORDINATOR, reply: null })
    const committed = this.#state.committedOffsets(groupId, this.#log.highWatermark)
    return Promise.resolve({ errorCode: ErrorCode.NONE, reply: fetchOffsets(this.#state, committed, request) })
  }

  deleteOffsets(request: DeleteRequest): Promise<Outcome<{ errorCode: number; topics: DeletedTopic[] }>> {
    return this.#submit(() => decideDelete(this.#state, this.#live.get(request.groupId), request))
  }

  /** Tombstones for all that the group left behind; only a group without members may go. */
  async deleteGroup(groupId: string): Promise<number> {
    const group = this.#live.get(groupId)
    const isKnown = this.#state.metadata.has(groupId) || this.#state.hasOffsets(groupId)
    if ((!group && !isKnown) || this.isForeign(groupId)) return ErrorCode.GROUP_ID_NOT_FOUND
    if (group && group.state !== 'Empty') return ErrorCode.NON_EMPTY_GROUP
    const records: GroupRecord[] = []
    for (const { topic, partition } of this.#state.offsetsOf(groupId))
      records.push(offsetTombstone(groupId, topic, partition))
    return this.#bury(records, groupId)
  }

  describe(groupId: string, apiVersion: number): DescribedGroup {
    return describeGroup(this.#state, this.#live.get(groupId), groupId, apiVersion)
  }

  list(filters: { statesFilter: readonly string[]; typesFilter: readonly string[] }): ListedGroup[] {
    return listGroups(this.#state, this.#live.all, filters)
  }

  /** The offsets of topics that were deleted, and those that do not say of which topic of that name they are. */
  async forgetTopics(topics: readonly DeletedTopicId[]): Promise<void> {
    if (this.status === 'loading') this.#toForget.push(...topics)
    if (this.status !== 'active') return
    const records: GroupRecord[] = []
    for (const [group, byTopic] of this.#state.offsets) {
      for (const { name, topicId } of topics) {
        for (const [partition, committed] of byTopic.get(name) ?? []) {
          const isGone = committed.topicId === topicId || committed.topicId === ZERO_UUID
          if (isGone) records.push(offsetTombstone(group, name, partition))
        }
      }
    }
    await this.#appendAll(records)
  }

  /** Offsets past their retention, and groups that nothing is left of; a few hundred groups a turn. */
  async expire(): Promise<void> {
    const { clock, settings } = this.#parts
    let inSlice = 0
    for (const groupId of new Set([...this.#state.groupIds()])) {
      if (this.status !== 'active') return
      if (this.isForeign(groupId)) continue
      const group = this.#live.get(groupId)
      const { records, allExpired } = expiredOffsets(
        this.#state,
        group,
        groupId,
        clock.nowMs(),
        settings.offsetsRetentionMs
      )
      const isOver = allExpired && (!group || (group.state === 'Empty' && group.pendingJoins.size === 0))
      if (isOver) await this.#bury(records, groupId)
      else await this.#appendAll(records)
      if (++inSlice % GROUPS_PER_SLICE === 0) await new Promise<void>(resolve => clock.endOfTurn(resolve))
    }
  }

  #newLive(): LiveGroups {
    return new LiveGroups({
      partition: this.#parts.index,
      logger: this.#parts.logger,
      settings: this.#parts.settings,
      now: () => this.#now(),
      stored: groupId => this.#state.metadata.get(groupId),
      store: (groupId, value) => this.#appendAll([{ kind: 'group', group: groupId, value }]),
      reschedule: () => this.#schedule()
    })
  }

  #attach(log: CoordinatorLog): void {
    this.#stopListening()
    this.#log = log
    this.#kept.attach(log)
    this.#stopListening = log.onHighWatermark(() => {
      if (this.#machine) this.#machine.advance()
      else this.#kept.keepUp()
    })
  }

  async #makeLiveGroups(reign: number): Promise<void> {
    const { clock } = this.#parts
    for (const [groupId, stored] of this.#state.metadata) {
      if (reign !== this.#reign) return
      if (this.#state.foreign.has(groupId)) continue
      this.#live.add(groupId, stored)
      if (this.#live.size % GROUPS_PER_SLICE === 0) await new Promise<void>(resolve => clock.endOfTurn(resolve))
    }
  }

  #activate(): void {
    const { logger, index } = this.#parts
    const log = this.#log
    for (const [groupId, protocol] of this.#state.foreign) {
      logger.warn(
        { partition: index, groupId, protocol },
        `group ${groupId} uses the ${protocol} protocol, which this broker does not speak: left alone`
      )
    }
    const append = (records: readonly GroupRecord[]): Offset => this.#append(records)
    this.#machine = new Machine<GroupRecord>(
      {
        append,
        get logEndOffset() {
          return log.logEndOffset
        },
        get highWatermark() {
          return log.highWatermark
        }
      },
      this.#state
    )
    this.status = 'active'
    this.#live.start()
    if (this.#toForget.length > 0) void this.forgetTopics(this.#toForget.splice(0))
  }

  #append(records: readonly GroupRecord[]): Offset {
    const log = this.#log
    const timestamp = this.#parts.clock.nowMs()
    const drafts = records.map(record => ({ timestamp, ...encodeRecord(record) }))
    const endOffset = log.append(buildBatch({ partitionLeaderEpoch: log.leaderEpoch, records: drafts }))
    this.#kept.appended(endOffset, log.leaderEpoch, records.length)
    return endOffset
  }

  #now(): Now {
    return { wallMs: this.#parts.clock.nowMs(), monotonicMs: this.#awakeMs() }
  }

  /** What turns out to be a stall is taken out afterwards: that must not turn time back. */
  #awakeMs(): number {
    this.#nowMs = Math.max(this.#nowMs, this.#parts.awakeMs())
    return this.#nowMs
  }

  /** Tombstones in batches, then the group's own. */
  #bury(offsets: readonly GroupRecord[], groupId: string): Promise<number> {
    const own: GroupRecord[] = this.#state.metadata.has(groupId) ? [{ kind: 'group', group: groupId, value: null }] : []
    const done = this.#appendAll([...offsets, ...own])
    // Records are applied as they are appended: where that failed the group is still there.
    if (!this.#state.metadata.has(groupId)) this.#live.remove(groupId)
    return done
  }

  async #appendAll(records: readonly GroupRecord[]): Promise<number> {
    const outcomes: Promise<Outcome<null>>[] = []
    for (let i = 0; i < records.length; i += TOMBSTONES_PER_BATCH) {
      const batch = records.slice(i, i + TOMBSTONES_PER_BATCH)
      outcomes.push(this.#submit(() => ({ records: batch, reply: null })))
    }
    const failed = (await Promise.all(outcomes)).find(({ errorCode }) => errorCode !== ErrorCode.NONE)
    return failed?.errorCode ?? ErrorCode.NONE
  }

  /** Decides, appends, and gives the reply once it is committed, or a code where that fails or takes too long. */
  #submit<T>(decide: () => Decision<T>, lateCode: number = ErrorCode.COORDINATOR_NOT_AVAILABLE): Promise<Outcome<T>> {
    if (!this.#machine || this.status !== 'active') {
      return Promise.resolve({ errorCode: ErrorCode.NOT_COORDINATOR, reply: null })
    }
    const atMs = this.#awakeMs() + this.#parts.settings.commitTimeoutMs
    const outcome = this.#writes.add(this.#machine.submit(decide), atMs, lateCode)
    this.#schedule()
    return outcome
  }

  #schedule(): void {
    if (this.status !== 'active') return
    const atMs = Math.min(this.#live.earliestMs, this.#writes.earliestMs)
    if (atMs === Infinity || (this.#timer && this.#timer.atMs <= atMs)) return
    this.#timer?.cancel()
    const timer = this.#parts.clock.after(Math.max(0, atMs - this.#awakeMs()), () => this.#onTimer())
    this.#timer = { atMs, cancel: () => timer.cancel() }
  }

  /** Timers fire before what had already arrived is read: so nobody is judged before one full poll of the sockets. */
  #onTimer(): void {
    this.#timer = null
    this.#parts.clock.endOfTurn(() => {
      if (this.status !== 'active') return
      this.#judge()
      this.#schedule()
    })
  }

  #judge(): void {
    const nowMs = this.#awakeMs()
    this.#writes.giveUpDue(nowMs)
    this.#live.judge(nowMs)
  }
}
