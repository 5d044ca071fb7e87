// One partition of __consumer_offsets while this broker leads it: loads the state, runs the groups' steps and decisions,
// appends what they store, answers what they answer, and wakes at the earliest deadline. The only file here that does
// I/O. A reply that says something is stored leaves when that is committed (broker/machine.ts).

import { ErrorCode } from '../../protocol/errors.ts'
import { isFailure } from '../../protocol/failure.ts'
import { buildBatch } from '../../protocol/records/builder.ts'
import type { LeaderEpoch, Offset } from '../../protocol/types.ts'
import { Machine } from '../machine.ts'
import type { ClassicGroup, Now, Token } from './classic-group.ts'
import { type DescribedGroup, describeGroup, type ListedGroup, listGroups } from './describe.ts'
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
import { CommitTimeout, PendingWrites } from './pending-writes.ts'
import type { CoordinatorLog, GroupClock, GroupLogger, GroupSettings, Snapshots } from './ports.ts'
import { encodeRecord, type GroupRecord } from './records.ts'
import { replay } from './replay.ts'
import { readSnapshot, type SnapshotPlace, untilCommitted, writeSnapshot } from './snapshot.ts'
import { GroupsState } from './state.ts'
import type { Input } from './turn.ts'

export interface ShardParts {
  readonly index: number
  readonly log: CoordinatorLog
  readonly clock: GroupClock
  readonly logger: GroupLogger
  readonly settings: GroupSettings
  readonly snapshots: Snapshots
}

/** A reply, or the code that stands in its place. */
export type Outcome<T> =
  | { readonly errorCode: 0; readonly reply: T }
  | { readonly errorCode: number; readonly reply: null }

/** Runs work when it is its turn: not all partitions load at once. */
export type InTurn = <T>(work: () => Promise<T>) => Promise<T>

export type ShardStatus = 'loading' | 'active' | 'failed' | 'closed'

/** A snapshot is written at a clean stop, and after as many records as there are offsets, but not after fewer than this:
 *  so a snapshot costs no more than the records before it did, and a start reads at most twice what there is. */
const RECORDS_PER_SNAPSHOT_MIN = 1_000
/** Tombstones of one batch, so that a batch stays far below max.message.bytes. */
const TOMBSTONES_PER_BATCH = 2_000
/** Groups that are looked at in one turn of the event loop. */
const GROUPS_PER_SLICE = 256
/** A timer later than this says that the process stood still. */
const STALL_MS = 100

export class GroupShard {
  status: ShardStatus = 'loading'
  readonly #parts: ShardParts
  readonly #state = new GroupsState()
  readonly #live: LiveGroups
  readonly #writes = new PendingWrites()
  readonly #place: SnapshotPlace
  #machine: Machine<GroupRecord> | null = null
  #stopListening: () => void = () => {}
  #timer: { atMs: number; cancel(): void } | null = null
  /** Topics that were deleted while the state was loaded. */
  readonly #toForget = new Set<string>()
  #lastSeenMs: number
  /** The last time in which nothing happened here: nobody asked, or the process stood still. */
  #quiet = { fromMs: 0, toMs: 0 }
  #lastEpoch: LeaderEpoch = -1
  #recordsSinceSnapshot = 0
  #snapshotRunning: Promise<unknown> | null = null

  constructor(parts: ShardParts) {
    this.#parts = parts
    this.#lastSeenMs = parts.clock.monotonicMs()
    const { snapshots, log, clock, index } = parts
    this.#live = new LiveGroups({
      partition: index,
      logger: parts.logger,
      settings: parts.settings,
      now: () => this.#now(),
      stored: groupId => this.#state.metadata.get(groupId),
      store: (groupId, value) => this.#appendAll([{ kind: 'group', group: groupId, value }]),
      reschedule: () => this.#schedule()
    })
    this.#place = { snapshots, log, clock, key: `groups/${index}` }
  }

  /** Reads snapshot and log up to the log's end, waits until that end is committed, and takes requests from then on. */
  async load(inTurn: InTurn): Promise<void> {
    const { log, clock, logger, index } = this.#parts
    const beganMs = clock.monotonicMs()
    const endOffset = log.logEndOffset
    try {
      const read = await inTurn(() => this.#readState(endOffset))
      await untilCommitted(log, endOffset)
      if (this.status !== 'loading') return
      this.#activate()
      const groups = this.#live.size
      const tookMs = Math.round(clock.monotonicMs() - beganMs)
      if (endOffset > 0) logger.info({ partition: index, groups, ...read, tookMs }, 'groups loaded')
    } catch (error) {
      if (this.status === 'closed') return
      this.status = 'failed'
      logger.error({ partition: index, err: error }, 'groups could not be loaded')
    }
  }

  /** A step of one group; the reply comes when the step or a later one answers the token. */
  ask<T>(groupId: string, makeInput: (token: Token) => Input): Promise<T> {
    return this.#live.ask(groupId, makeInput)
  }

  group(groupId: string): ClassicGroup | undefined {
    return this.#live.get(groupId)
  }

  isForeign(groupId: string): boolean {
    return this.#state.foreign.has(groupId)
  }

  async commitOffsets(request: CommitRequest, apiVersion: number): Promise<Outcome<TopicCodes[]>> {
    const { clock, settings } = this.#parts
    const group = this.#live.get(request.groupId)
    const refused = this.isForeign(request.groupId)
      ? ErrorCode.GROUP_ID_NOT_FOUND
      : checkCommit(group, request, apiVersion, this.#state.hasOffsets(request.groupId))
    if (refused !== ErrorCode.NONE) return { errorCode: refused, reply: null }
    if (group) this.#live.run(group, { kind: 'committed-offsets', memberId: request.memberId })
    return this.#submit(() => decideCommit(request, clock.nowMs(), settings.offsetMetadataMax))
  }

  fetchOffsets(request: FetchRequest): Promise<Outcome<FetchedTopic[]>> {
    return this.#submit(() => ({ records: [], reply: fetchOffsets(this.#state, request) }))
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

  /** The offsets of topics that were deleted. */
  async forgetTopics(topics: ReadonlySet<string>): Promise<void> {
    if (this.status === 'loading') for (const topic of topics) this.#toForget.add(topic)
    if (this.status !== 'active') return
    const records: GroupRecord[] = []
    for (const [group, byTopic] of this.#state.offsets) {
      for (const [topic, partitions] of byTopic) {
        if (!topics.has(topic)) continue
        for (const partition of partitions.keys()) records.push(offsetTombstone(group, topic, partition))
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

  /** Leadership is lost, or the broker stops: what is parked is answered, and nothing more is taken. */
  close(errorCode: number): void {
    if (this.status === 'closed') return
    this.status = 'closed'
    this.#stopListening()
    this.#timer?.cancel()
    this.#live.close(errorCode)
    this.#machine?.close()
  }

  /** For a clean stop, before close: what the next start would have to read from the log again. */
  async saveSnapshot(): Promise<void> {
    if (this.status !== 'active' || this.#recordsSinceSnapshot === 0) return
    await this.#snapshotRunning
    await this.#writeSnapshot()
  }

  async #readState(endOffset: Offset): Promise<{ snapshotOffset: Offset; records: number; unknown: number }> {
    const { log, clock } = this.#parts
    const loaded = await readSnapshot(this.#place, this.#state).catch(() => null)
    // A snapshot that turned out to be torn may have left half of itself behind.
    if (!loaded) this.#state.clear()
    const from = loaded?.offset ?? log.logStartOffset
    const { leaderEpoch, records, unknown } = await replay(this.#state, log, clock, from, endOffset)
    this.#lastEpoch = leaderEpoch === -1 ? (loaded?.leaderEpoch ?? -1) : leaderEpoch
    this.#recordsSinceSnapshot = records
    await this.#makeLiveGroups()
    return { snapshotOffset: loaded?.offset ?? -1, records, unknown }
  }

  async #makeLiveGroups(): Promise<void> {
    const { clock } = this.#parts
    for (const [groupId, stored] of this.#state.metadata) {
      if (this.#state.foreign.has(groupId)) continue
      this.#live.add(groupId, stored)
      if (this.#live.size % GROUPS_PER_SLICE === 0) await new Promise<void>(resolve => clock.endOfTurn(resolve))
    }
  }

  #activate(): void {
    const { log, logger, index } = this.#parts
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
    this.#stopListening = log.onHighWatermark(() => this.#machine?.advance())
    this.status = 'active'
    this.#live.start()
    if (this.#toForget.size > 0) void this.forgetTopics(this.#toForget)
  }

  #append(records: readonly GroupRecord[]): Offset {
    const { log, clock } = this.#parts
    const timestamp = clock.nowMs()
    const drafts = records.map(record => ({ timestamp, ...encodeRecord(record) }))
    const endOffset = log.append(buildBatch({ partitionLeaderEpoch: log.leaderEpoch, records: drafts }))
    this.#lastEpoch = log.leaderEpoch
    this.#recordsSinceSnapshot += records.length
    if (this.#recordsSinceSnapshot >= Math.max(RECORDS_PER_SNAPSHOT_MIN, this.#state.offsetCount))
      void this.#writeSnapshot()
    return endOffset
  }

  #now(): Now {
    const { clock } = this.#parts
    const monotonicMs = clock.monotonicMs()
    if (monotonicMs - this.#lastSeenMs > STALL_MS) this.#quiet = { fromMs: this.#lastSeenMs, toMs: monotonicMs }
    this.#lastSeenMs = monotonicMs
    return { wallMs: clock.nowMs(), monotonicMs }
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
  async #submit<T>(decide: () => Decision<T>): Promise<Outcome<T>> {
    if (!this.#machine || this.status !== 'active') return { errorCode: ErrorCode.NOT_COORDINATOR, reply: null }
    try {
      return { errorCode: 0, reply: await this.#inTime(this.#machine.submit(decide)) }
    } catch (error) {
      return { errorCode: codeOf(error), reply: null }
    }
  }

  #inTime<T>(reply: Promise<T>): Promise<T> {
    const { clock, settings } = this.#parts
    const inTime = this.#writes.add(reply, clock.monotonicMs() + settings.commitTimeoutMs)
    this.#schedule()
    return inTime
  }

  #schedule(): void {
    if (this.status !== 'active') return
    const atMs = Math.min(this.#live.earliestMs, this.#writes.earliestMs)
    if (atMs === Infinity || (this.#timer && this.#timer.atMs <= atMs)) return
    this.#timer?.cancel()
    const { clock } = this.#parts
    const dueMs = Math.max(atMs, clock.monotonicMs())
    const timer = clock.after(dueMs - clock.monotonicMs(), () => this.#onTimer(dueMs))
    this.#timer = { atMs, cancel: () => timer.cancel() }
  }

  /** Timers fire before what had already arrived is read: so nobody is judged before one full poll of the sockets. */
  #onTimer(dueMs: number): void {
    const { clock } = this.#parts
    this.#timer = null
    const { monotonicMs } = this.#now()
    const lateMs = monotonicMs - dueMs
    const { fromMs, toMs } = this.#quiet
    // What was quiet around the time that the timer was due for is the time in which nobody could be heard.
    const isAround = fromMs <= dueMs && dueMs < toMs
    const stalledMs = lateMs > STALL_MS ? (isAround ? toMs - fromMs : lateMs) : 0
    clock.endOfTurn(() => {
      if (this.status !== 'active') return
      if (stalledMs > 0) this.#live.creditStall(stalledMs)
      else this.#judge()
      this.#schedule()
    })
  }

  #judge(): void {
    const nowMs = this.#parts.clock.monotonicMs()
    this.#writes.giveUpDue(nowMs)
    this.#live.judge(nowMs)
  }

  #writeSnapshot(): Promise<unknown> {
    this.#snapshotRunning ??= this.#doWriteSnapshot().finally(() => {
      this.#snapshotRunning = null
    })
    return this.#snapshotRunning
  }

  async #doWriteSnapshot(): Promise<void> {
    const { logger, index } = this.#parts
    this.#recordsSinceSnapshot = 0
    try {
      await writeSnapshot(this.#place, this.#state, {
        applied: () => ({ offset: this.#machine?.appliedOffset ?? 0, leaderEpoch: this.#lastEpoch }),
        isCurrent: () => this.status === 'active'
      })
    } catch (error) {
      logger.warn({ partition: index, err: error }, 'snapshot of groups not written')
    }
  }
}

/** As CoordinatorOperationExceptionHelper.java: clients look for the coordinator again, or just try again. */
function codeOf(error: unknown): number {
  if (error instanceof CommitTimeout) return ErrorCode.COORDINATOR_NOT_AVAILABLE
  if (!isFailure(error)) throw error
  return error.code === 'ERR_TOO_LARGE' ? ErrorCode.UNKNOWN_SERVER_ERROR : ErrorCode.NOT_COORDINATOR
}
