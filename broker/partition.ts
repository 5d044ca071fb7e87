// One partition that this broker hosts: its log, and its role in it: leader, follower, or neither. Performs the effects
// of replication/leader.ts (those of a follower: broker/following.ts) and wakes whoever waits: Produce for the high
// watermark, consumers for readable data, followers for anything new, coordinators for commits. Nothing here runs while
// the partition is idle.
import { strict as assert } from 'node:assert'
import { ErrorCode } from '../protocol/errors.ts'
import { MoldauError } from '../protocol/failure.ts'
import type { Holds } from '../protocol/memory-pool.ts'
import type { BrokerId, LeaderEpoch, Offset, TopicPartition, Uuid } from '../protocol/types.ts'
import {
  type Input,
  isOfEarlierLife,
  isUnderMinIsr,
  type Leader,
  lastStableOffset,
  lead,
  lowWatermark,
  step
} from '../replication/leader.ts'
import { RECOVERING } from '../replication/metadata/partition.ts'
import type { AppendResult, Log, ReadResult } from '../storage/log.ts'
import type { Clock } from './clock.ts'
import { Following } from './following.ts'
import type { IsrProposal, PartitionAnswer } from './isr-updates.ts'
import type { Logger } from './log.ts'
import { Consumers, Readers } from './readers.ts'
import type { FollowerRole, LeaderRole } from './roles.ts'
import { type Waiter, Waiters } from './waiters.ts'

export interface PartitionOptions {
  readonly nodeId: number
  readonly topicId: Uuid
  readonly log: Log
  readonly clock: Clock
  /** Monotonic, and without the time in which this process stood still: the lag of followers is measured by it. */
  readonly lagMs: () => number
  /** As checkpointed; the log start where nothing was. */
  readonly highWatermark: Offset
  readonly logger?: Logger
  readonly onHighWatermark: (partition: Partition) => void
  /** To the controller; absent where this broker is alone. */
  readonly proposeIsr?: (
    partition: Partition,
    proposal: IsrProposal,
    answered: (answer: PartitionAnswer) => void
  ) => void
}

export class Partition {
  readonly topicPartition: TopicPartition
  readonly topicId: Uuid
  readonly log: Log
  readonly #o: PartitionOptions
  #leader: Leader | null = null
  #following: Following | null = null
  /** A cut of the log that an earlier reign has begun. */
  #settled: Promise<void> = Promise.resolve()
  #leaderEpoch: LeaderEpoch = -1
  #leaderId = -1
  /** Kept while nobody leads here, so that a later reign does not begin behind it. */
  #highWatermark: Offset
  readonly #committed = new Waiters()
  readonly #written = new Waiters()
  readonly #removed = new Waiters()
  /** Woken on every move of the high watermark, the log start or leadership. */
  readonly consumers: Consumers
  /** The same for followers: on every append, and on every move of the log start or leadership. */
  readonly followers = new Readers()
  readonly #commitListeners = new Set<() => void>()

  constructor(options: PartitionOptions) {
    this.topicPartition = options.log.topicPartition
    this.topicId = options.topicId
    this.log = options.log
    this.#o = options
    this.consumers = new Consumers(options.clock)
    this.#highWatermark = Math.max(
      options.log.logStartOffset,
      Math.min(options.highWatermark, options.log.logEndOffset)
    )
    this.log.onSynced(syncedEndOffset => {
      if (this.#following) this.#following.synced(syncedEndOffset)
      else this.#step({ kind: 'synced', syncedEndOffset })
    })
    this.log.onWritten(() => {
      if (!this.#written.isEmpty) this.#written.release(this.log.writtenEndOffset)
    })
  }

  get isLeader(): boolean {
    return this.#leader !== null
  }

  get isFollower(): boolean {
    return this.#following !== null
  }

  /** Its part in the present leader's reign, while this broker follows. */
  get following(): Following | null {
    return this.#following
  }

  get leaderEpoch(): LeaderEpoch {
    return this.#leaderEpoch
  }

  /** Node id of the leader, -1 for none. */
  get leaderId(): number {
    return this.#leaderId
  }

  get highWatermark(): Offset {
    return this.#leader?.highWatermark ?? this.#following?.highWatermark ?? this.#highWatermark
  }

  get lastStableOffset(): Offset {
    return this.#leader ? lastStableOffset(this.#leader, null) : this.highWatermark
  }

  get logStartOffset(): Offset {
    return this.log.logStartOffset
  }

  get logEndOffset(): Offset {
    return this.log.logEndOffset
  }

  get lowWatermark(): Offset {
    return this.#leader ? lowWatermark(this.#leader) : this.log.logStartOffset
  }

  get hasTooFewReplicas(): boolean {
    return this.#leader !== null && isUnderMinIsr(this.#leader)
  }

  hasFollower(brokerId: BrokerId): boolean {
    return this.#leader?.followers.has(brokerId) ?? false
  }

  /** A follower of an earlier life of its broker: what it says does not count (KIP-903). */
  isOfEarlierLife(brokerId: BrokerId, brokerEpoch: number): boolean {
    return this.#leader !== null && isOfEarlierLife(this.#leader, brokerId, brokerEpoch)
  }

  /** A follower has everything before `from`, synced, and its log is one with this one so far. */
  followerFetched(by: BrokerId, from: Offset, logStartOffset: Offset, brokerEpoch: number): void {
    this.#step({ kind: 'fetched', by, from, logStartOffset, brokerEpoch, nowMs: this.#o.lagMs() })
    if (!this.#removed.isEmpty) this.#removed.release(this.lowWatermark)
  }

  /** The offset at which the present leader's reign began, or null where nobody leads here. */
  get epochStartOffset(): Offset | null {
    return this.#leader?.epochStartOffset ?? null
  }

  /** Resolves when the log takes appends: a reign must not begin while a cut is under way. */
  get settled(): Promise<void> {
    return this.#following?.settled ?? this.#settled
  }

  /** Begins a reign, or takes note of a new in-sync set within it. */
  becomeLeader(role: LeaderRole): void {
    assert(role.leaderEpoch >= this.#leaderEpoch, 'leader epochs never go back')
    const nowMs = this.#o.lagMs()
    if (this.#leader !== null && this.#leaderEpoch === role.leaderEpoch) {
      const { isr, partitionEpoch, replicas, isRecovering = false } = role
      this.#step({ kind: 'isr-decided', isr, partitionEpoch, replicas, isRecovering, nowMs })
      if (!this.#removed.isEmpty) this.#removed.release(this.lowWatermark)
      return
    }
    const goesOn = this.#leader !== null
    this.#endRole(role.leaderEpoch, this.#o.nodeId)
    this.log.epochs.assign(role.leaderEpoch, this.log.logEndOffset)
    this.#leader = lead({
      ...role,
      nodeId: this.#o.nodeId,
      minInsyncReplicas: this.log.config.minInsyncReplicas,
      logStartOffset: this.log.logStartOffset,
      logEndOffset: this.log.logEndOffset,
      syncedEndOffset: this.log.syncedEndOffset,
      highWatermark: this.#highWatermark,
      nowMs
    })
    // Who led before has everything that it took still, and owes the acks: nobody is to send it again.
    if (goesOn) this.#wakeAll()
    else this.#fail(ErrorCode.NOT_LEADER_OR_FOLLOWER)
    this.#step({ kind: 'synced', syncedEndOffset: this.log.syncedEndOffset })
  }

  /** Follows another broker. The same reign again changes nothing. */
  becomeFollower({ leaderId, leaderEpoch }: FollowerRole): Following {
    assert(leaderEpoch >= this.#leaderEpoch, 'leader epochs never go back')
    const present = this.#following
    if (present !== null && present.leaderEpoch === leaderEpoch && present.leaderId === leaderId) return present
    this.#endRole(leaderEpoch, leaderId)
    const following = new Following({
      ...{ log: this.log, leaderId, leaderEpoch, highWatermark: this.#highWatermark },
      logger: this.#o.logger ?? null,
      onHighWatermark: () => this.#advanced(following.highWatermark),
      onLogStart: () => this.consumers.wake()
    })
    this.#following = following
    this.#fail(ErrorCode.NOT_LEADER_OR_FOLLOWER)
    return following
  }

  /** Neither leads nor follows (nobody leads, or the broker stops): whoever waits is told at once. */
  resign(leaderEpoch: LeaderEpoch, leaderId: number, errorCode: number = ErrorCode.NOT_LEADER_OR_FOLLOWER): void {
    this.#endRole(leaderEpoch, leaderId)
    this.#fail(errorCode)
  }

  #endRole(leaderEpoch: LeaderEpoch, leaderId: BrokerId): void {
    this.#highWatermark = this.highWatermark
    this.#leader = null
    if (this.#following) {
      this.#settled = this.#following.settled
      this.#following.end()
      this.#following = null
    }
    this.#leaderEpoch = Math.max(this.#leaderEpoch, leaderEpoch)
    this.#leaderId = leaderId
  }

  /** Broker epochs of the brokers that may be in sync. */
  brokersChanged(eligible: ReadonlyMap<number, number>): void {
    this.#step({ kind: 'brokers-changed', eligible, nowMs: this.#o.lagMs() })
    if (!this.#removed.isEmpty) this.#removed.release(this.lowWatermark)
  }

  /** Followers that lag too far behind leave the in-sync set. */
  tick(): void {
    this.#step({ kind: 'ticked', nowMs: this.#o.lagMs() })
  }

  /** Takes over changed topic settings. */
  configured(replicaLagTimeMaxMs: number): void {
    const { minInsyncReplicas } = this.log.config
    this.#step({ kind: 'configured', minInsyncReplicas, replicaLagTimeMaxMs })
  }

  /** Appends one batch of a client or a coordinator; offsets are given at once, the bytes follow at the end of the turn. */
  appendAsLeader(records: Buffer, origin: 'client' | 'coordinator'): AppendResult {
    assert(this.#leader !== null, 'only a leader appends')
    const result = this.log.appendAsLeader(records, {
      leaderEpoch: this.#leaderEpoch,
      origin,
      nowMs: this.#o.clock.nowMs()
    })
    if (result.kind === 'appended') {
      this.#step({ kind: 'appended', logEndOffset: this.log.logEndOffset })
      this.followers.wake()
    }
    return result
  }

  /** Tells the waiter once the high watermark has reached `endOffset`, or with the reason why it never will here. */
  whenCommitted(endOffset: Offset, waiter: Waiter): void {
    if (this.#leader === null) waiter.done(ErrorCode.NOT_LEADER_OR_FOLLOWER)
    else if (this.log.isOffline) waiter.done(ErrorCode.KAFKA_STORAGE_ERROR)
    else if (endOffset <= this.highWatermark) waiter.done(ErrorCode.NONE)
    else this.#committed.add(endOffset, waiter)
  }

  /** The same for acks=1: once the bytes are written to the file, synced or not. */
  whenWritten(endOffset: Offset, waiter: Waiter): void {
    if (this.log.isOffline) waiter.done(ErrorCode.KAFKA_STORAGE_ERROR)
    else if (endOffset <= this.log.writtenEndOffset) waiter.done(ErrorCode.NONE)
    else this.#written.add(endOffset, waiter)
  }

  /** DeleteRecords: calls `done` once every live replica's log begins at `offset` or later. */
  whenRemoved(offset: Offset, waiter: Waiter): void {
    if (this.#leader === null) waiter.done(ErrorCode.NOT_LEADER_OR_FOLLOWER)
    else if (this.lowWatermark >= offset) waiter.done(ErrorCode.NONE)
    else this.#removed.add(offset, waiter)
  }

  /** `holds` takes the memory that the records lie in; without it that memory is never used again. */
  read(
    from: Offset,
    upto: Offset,
    maxBytes: number,
    minOneMessage: boolean,
    holds?: Holds
  ): ReadResult | Promise<ReadResult> {
    return this.log.read(from, { upto, maxBytes, minOneMessage, holds })
  }

  /** DeleteRecords: everything below `offset` may go. Throws ERR_OUT_OF_RANGE above the high watermark. */
  deleteRecordsBefore(offset: Offset): void {
    if (offset < 0 || offset > this.highWatermark) {
      throw new MoldauError('ERR_OUT_OF_RANGE', `offset ${offset} is above the high watermark ${this.highWatermark}`)
    }
    this.log.advanceLogStartOffset(offset)
    this.#step({ kind: 'start-offset', logStartOffset: this.log.logStartOffset })
    this.#wakeAll()
  }

  /** The log failed (rule 1: it stays offline until a new epoch): nothing that waits here will be answered well. */
  storageFailed(): void {
    this.#following?.storageFailed()
    this.#fail(ErrorCode.KAFKA_STORAGE_ERROR)
  }

  // The log as a coordinator sees it (broker/groups/shard.ts).

  /** Appends a batch of the coordinator's own. Throws MoldauError where that cannot be. */
  append(batch: Buffer): Offset {
    if (this.#leader === null) throw new MoldauError('ERR_NOT_LEADER', `${this} is not led by this broker`)
    const result = this.appendAsLeader(batch, 'coordinator')
    if (result.kind === 'refused') {
      throw new MoldauError('ERR_LOG_OFFLINE', `${this} refused records: ${result.errorMessage ?? result.errorCode}`)
    }
    return this.log.logEndOffset
  }

  onHighWatermark(listener: () => void): () => void {
    this.#commitListeners.add(listener)
    return () => this.#commitListeners.delete(listener)
  }

  /** Whole batches from one that holds `from` up to `upto`, in pieces of bounded size. */
  async *batches(from: Offset, upto: Offset): AsyncGenerator<Buffer> {
    let next = from
    while (next < upto) {
      const { records, endOffset } = await this.log.read(next, { upto, maxBytes: LOAD_BYTES, minOneMessage: true })
      if (records.length === 0) return
      for (const each of records) yield each
      next = endOffset
    }
  }

  toString(): string {
    return `${this.topicPartition.topic}-${this.topicPartition.partition}`
  }

  #step(input: Input): void {
    const leader = this.#leader
    if (leader === null) return
    for (const effect of step(leader, input)) {
      if (effect.kind === 'advance-high-watermark') this.#advanced(effect.to)
      else this.#propose(leader, effect)
    }
  }

  #propose(leader: Leader, proposal: IsrProposal): void {
    this.#o.proposeIsr?.(this, proposal, ({ errorCode, isr, partitionEpoch, leaderRecoveryState }) => {
      if (this.#leader !== leader) return
      const nowMs = this.#o.lagMs()
      const proposedAt = proposal.partitionEpoch
      if (errorCode === ErrorCode.NONE) {
        const isRecovering = leaderRecoveryState === RECOVERING
        this.#step({ kind: 'isr-answered', proposedAt, isr, partitionEpoch, isRecovering, nowMs })
      } else if (errorCode === ErrorCode.INELIGIBLE_REPLICA || errorCode === ErrorCode.OPERATION_NOT_ATTEMPTED) {
        this.#step({ kind: 'isr-refused', proposedAt, nowMs })
      }
      // Any other error: it may have been taken after all, so it stays open until the metadata says what is.
    })
  }

  #advanced(to: Offset): void {
    this.#highWatermark = to
    this.#committed.release(to)
    for (const listener of this.#commitListeners) listener()
    this.consumers.moved(to)
    this.#o.onHighWatermark(this)
  }

  #fail(errorCode: number): void {
    this.#committed.fail(errorCode)
    this.#written.fail(errorCode)
    this.#removed.fail(errorCode)
    this.#wakeAll()
  }

  #wakeAll(): void {
    this.consumers.wake()
    this.followers.wake()
  }
}

/** Bytes that a coordinator reads at a time while it loads. */
const LOAD_BYTES = 1024 * 1024
