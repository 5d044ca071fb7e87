// One partition that this broker hosts: its log, and while it leads, the replication state beside it. Performs the
// effects of replication/leader.ts and wakes whoever waits: Produce for the high watermark, Fetch for readable data,
// coordinators for commits. Nothing here runs while the partition is idle.
import { strict as assert } from 'node:assert'
import { ErrorCode } from '../protocol/errors.ts'
import { MoldauError } from '../protocol/failure.ts'
import type { BrokerId, LeaderEpoch, Offset, TopicPartition, Uuid } from '../protocol/types.ts'
import {
  type Input,
  isUnderMinIsr,
  type Leader,
  lastStableOffset,
  lead,
  lowWatermark,
  step
} from '../replication/leader.ts'
import type { AppendResult, Log, ReadResult } from '../storage/log.ts'
import type { Clock } from './clock.ts'

/** What the committed metadata says of a partition that this broker leads. */
export interface LeaderRole {
  readonly leaderEpoch: LeaderEpoch
  readonly partitionEpoch: number
  readonly replicas: readonly number[]
  readonly isr: readonly number[]
  readonly eligible: ReadonlyMap<number, number>
  readonly replicaLagTimeMaxMs: number
}

/** Somebody who waits for records below `endOffset` to be committed (or written, for acks=1). */
interface Waiter {
  readonly endOffset: Offset
  /** Called once: NONE, or why the records may never be committed here. */
  readonly done: (errorCode: number) => void
}

export interface PartitionOptions {
  readonly nodeId: number
  readonly topicId: Uuid
  readonly log: Log
  readonly clock: Clock
  /** As checkpointed; the log start where nothing was. */
  readonly highWatermark: Offset
  readonly onHighWatermark: (partition: Partition) => void
}

export class Partition {
  readonly topicPartition: TopicPartition
  readonly topicId: Uuid
  readonly log: Log
  readonly #nodeId: number
  readonly #clock: Clock
  readonly #onHighWatermark: (partition: Partition) => void
  #leader: Leader | null = null
  #leaderEpoch: LeaderEpoch = -1
  #leaderId = -1
  /** Kept while nobody leads here, so that a later reign does not begin behind it. */
  #highWatermark: Offset
  #committedWaiters: Waiter[] = []
  #writtenWaiters: Waiter[] = []
  readonly #dataWaiters = new Set<() => void>()
  readonly #commitListeners = new Set<() => void>()

  constructor(options: PartitionOptions) {
    this.topicPartition = options.log.topicPartition
    this.topicId = options.topicId
    this.log = options.log
    this.#nodeId = options.nodeId
    this.#clock = options.clock
    this.#onHighWatermark = options.onHighWatermark
    this.#highWatermark = Math.max(
      options.log.logStartOffset,
      Math.min(options.highWatermark, options.log.logEndOffset)
    )
    this.log.onSynced(syncedEndOffset => this.#step({ kind: 'synced', syncedEndOffset }))
    this.log.onWritten(() => this.#releaseWritten())
  }

  get isLeader(): boolean {
    return this.#leader !== null
  }

  get leaderEpoch(): LeaderEpoch {
    return this.#leaderEpoch
  }

  /** Node id of the leader, -1 for none. */
  get leaderId(): number {
    return this.#leaderId
  }

  get highWatermark(): Offset {
    return this.#leader?.highWatermark ?? this.#highWatermark
  }

  get lastStableOffset(): Offset {
    return this.#leader ? lastStableOffset(this.#leader, null) : this.#highWatermark
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

  /** The offset at which the present leader's reign began, or null where nobody leads here. */
  get epochStartOffset(): Offset | null {
    return this.#leader?.epochStartOffset ?? null
  }

  /** Begins a reign, or takes note of a new in-sync set within it. */
  becomeLeader(role: LeaderRole): void {
    assert(role.leaderEpoch >= this.#leaderEpoch, 'leader epochs never go back')
    const nowMs = this.#clock.monotonicMs()
    if (this.#leader !== null && this.#leaderEpoch === role.leaderEpoch) {
      const { isr, partitionEpoch, replicas } = role
      this.#step({ kind: 'isr-decided', isr, partitionEpoch, replicas, nowMs })
      return
    }
    this.#fail(ErrorCode.NOT_LEADER_OR_FOLLOWER)
    this.#leaderEpoch = role.leaderEpoch
    this.#leaderId = this.#nodeId
    this.log.epochs.assign(role.leaderEpoch, this.log.logEndOffset)
    this.#leader = lead({
      ...role,
      nodeId: this.#nodeId,
      minInsyncReplicas: this.log.config.minInsyncReplicas,
      logStartOffset: this.log.logStartOffset,
      logEndOffset: this.log.logEndOffset,
      syncedEndOffset: this.log.syncedEndOffset,
      highWatermark: this.#highWatermark,
      nowMs
    })
    this.#step({ kind: 'synced', syncedEndOffset: this.log.syncedEndOffset })
  }

  /** Leads no more (another does, nobody does, or the broker stops): whoever waits is told at once. */
  resign(leaderEpoch: LeaderEpoch, leaderId: number, errorCode: number = ErrorCode.NOT_LEADER_OR_FOLLOWER): void {
    this.#highWatermark = this.highWatermark
    this.#leader = null
    this.#leaderEpoch = Math.max(this.#leaderEpoch, leaderEpoch)
    this.#leaderId = leaderId
    this.#fail(errorCode)
  }

  /** Broker epochs of the brokers that may be in sync. */
  brokersChanged(eligible: ReadonlyMap<number, number>): void {
    this.#step({ kind: 'brokers-changed', eligible, nowMs: this.#clock.monotonicMs() })
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
      nowMs: this.#clock.nowMs()
    })
    if (result.kind === 'appended') this.#step({ kind: 'appended', logEndOffset: this.log.logEndOffset })
    return result
  }

  /** Calls `done` once the high watermark has reached `endOffset`, or with the reason why it never will here. */
  whenCommitted(endOffset: Offset, done: (errorCode: number) => void): void {
    if (this.#leader === null) done(ErrorCode.NOT_LEADER_OR_FOLLOWER)
    else if (this.log.isOffline) done(ErrorCode.KAFKA_STORAGE_ERROR)
    else if (endOffset <= this.highWatermark) done(ErrorCode.NONE)
    else insertInOrder(this.#committedWaiters, { endOffset, done })
  }

  /** The same for acks=1: once the bytes are written to the file, synced or not. */
  whenWritten(endOffset: Offset, done: (errorCode: number) => void): void {
    if (this.log.isOffline) done(ErrorCode.KAFKA_STORAGE_ERROR)
    else if (endOffset <= this.log.writtenEndOffset) done(ErrorCode.NONE)
    else insertInOrder(this.#writtenWaiters, { endOffset, done })
  }

  /** Calls `wake` on every move of the high watermark, the log start or leadership, until unsubscribed. */
  onReadable(wake: () => void): () => void {
    this.#dataWaiters.add(wake)
    return () => this.#dataWaiters.delete(wake)
  }

  read(from: Offset, upto: Offset, maxBytes: number, minOneMessage: boolean): ReadResult | Promise<ReadResult> {
    return this.log.read(from, { upto, maxBytes, minOneMessage })
  }

  /** DeleteRecords: everything below `offset` may go. Throws ERR_OUT_OF_RANGE above the high watermark. */
  deleteRecordsBefore(offset: Offset): void {
    if (offset < 0 || offset > this.highWatermark) {
      throw new MoldauError('ERR_OUT_OF_RANGE', `offset ${offset} is above the high watermark ${this.highWatermark}`)
    }
    this.log.advanceLogStartOffset(offset)
    this.#step({ kind: 'start-offset', logStartOffset: this.log.logStartOffset })
    this.#wakeReaders()
  }

  /** The log failed (rule 1: it stays offline until a new epoch): nothing that waits here will be answered well. */
  storageFailed(): void {
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
    if (this.#leader === null) return
    for (const effect of step(this.#leader, input)) {
      // A single broker has nobody to propose; AlterPartition goes out from here once there are followers.
      if (effect.kind === 'advance-high-watermark') this.#advanced(effect.to)
    }
  }

  #advanced(to: Offset): void {
    this.#highWatermark = to
    release(this.#committedWaiters, to)
    for (const listener of this.#commitListeners) listener()
    this.#wakeReaders()
    this.#onHighWatermark(this)
  }

  #releaseWritten(): void {
    if (this.#writtenWaiters.length > 0) release(this.#writtenWaiters, this.log.writtenEndOffset)
  }

  #wakeReaders(): void {
    if (this.#dataWaiters.size === 0) return
    for (const wake of [...this.#dataWaiters]) wake()
  }

  #fail(errorCode: number): void {
    for (const waiter of [...this.#committedWaiters.splice(0), ...this.#writtenWaiters.splice(0)])
      waiter.done(errorCode)
    this.#wakeReaders()
  }
}

/** Bytes that a coordinator reads at a time while it loads. */
const LOAD_BYTES = 1024 * 1024

/** Waiters mostly come in order; only a duplicate's old offset goes further to the front. */
function insertInOrder(waiters: Waiter[], waiter: Waiter): void {
  let at = waiters.length
  while (at > 0 && (waiters[at - 1] as Waiter).endOffset > waiter.endOffset) at--
  if (at === waiters.length) waiters.push(waiter)
  else waiters.splice(at, 0, waiter)
}

function release(waiters: Waiter[], upto: Offset): void {
  let count = 0
  while (count < waiters.length && (waiters[count] as Waiter).endOffset <= upto) count++
  if (count === 0) return
  for (const waiter of waiters.splice(0, count)) waiter.done(ErrorCode.NONE)
}
