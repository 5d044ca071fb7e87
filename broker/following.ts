// One reign of another broker over a partition that this broker follows: performs the effects of replication/follower.ts
// on the log. Who fetches (broker/replica-fetcher.ts) asks what to ask for, hands in the answers, and is told when that
// may have changed. What must hold: records go from the received frame into the log as they are; nothing of this reign
// touches the log after its end, save a cut that has begun.

import { isBug, isFailure } from '../protocol/failure.ts'
import type { fetch } from '../protocol/messages/fetch.ts'
import { BATCH_HEADER_BYTES, baseOffset } from '../protocol/records/batch.ts'
import type { ResponseOf } from '../protocol/schema.ts'
import type { BrokerId, LeaderEpoch, Offset } from '../protocol/types.ts'
import { INTERNAL_TOPICS } from '../replication/controller/topic-names.ts'
import {
  askOf,
  type Effect,
  type FetchAsk,
  type Follower,
  type FollowerStatus,
  follow,
  type Input,
  type LogState,
  step
} from '../replication/follower.ts'
import type { Log } from '../storage/log.ts'
import type { Logger } from './log.ts'

/** What the leader's answer says of one partition. */
export type FetchedPartition = ResponseOf<typeof fetch>['responses'][number]['partitions'][number]

export interface FollowingOptions {
  readonly log: Log
  readonly leaderId: BrokerId
  readonly leaderEpoch: LeaderEpoch
  /** What was known before. */
  readonly highWatermark: Offset
  readonly logger: Logger | null
  readonly onHighWatermark: () => void
  readonly onLogStart: () => void
}

export class Following {
  readonly leaderId: BrokerId
  readonly leaderEpoch: LeaderEpoch
  readonly #o: FollowingOptions
  readonly #follower: Follower
  /** Answers in a row that led nowhere; 0: ask at once. */
  backOff = 0
  /** Called when there may be something else to ask than before. Set by who fetches. */
  onChange: () => void = () => {}
  #hasEnded = false
  #cutting: Promise<void> | null = null
  /** Records that were answered, and wait for their place in the log. */
  #records: Buffer | null = null

  constructor(options: FollowingOptions) {
    this.#o = options
    this.leaderId = options.leaderId
    this.leaderEpoch = options.leaderEpoch
    const { log, highWatermark } = options
    // A reign of this broker's own may have begun here without a record: its epoch is in no log.
    log.epochs.truncateFromEnd(log.logEndOffset)
    const { leaderId, leaderEpoch } = options
    this.#follower = follow({ leaderId, leaderEpoch, log: this.#logState(), highWatermark })
  }

  get highWatermark(): Offset {
    return this.#follower.highWatermark
  }

  get status(): FollowerStatus {
    return this.#follower.status
  }

  /** Resolves when the log takes appends again, after a cut. */
  get settled(): Promise<void> {
    return this.#cutting ?? Promise.resolve()
  }

  /** The disk is below its reserve, which is not for what clients write, here as little as at their leader; what groups
   *  commit goes on (rule 10 of durability). */
  get isShortOfRoom(): boolean {
    const { options, topicPartition } = this.#o.log
    return !INTERNAL_TOPICS.has(topicPartition.topic) && options.diskSpace.isLow
  }

  /** Null while there is nothing to ask for. */
  ask(): FetchAsk | null {
    return this.#hasEnded ? null : askOf(this.#follower)
  }

  /** What the leader said to `ask`; of no account when this log has moved since. */
  answered(ask: FetchAsk, answer: FetchedPartition): void {
    if (this.#hasEnded || this.#cutting !== null) return
    const { log } = this.#o
    const { records, errorCode, highWatermark, logStartOffset, divergingEpoch } = answer
    const diverges = divergingEpoch.epoch >= 0
    this.#records = records
    this.#step({
      ...{ kind: 'answered', ask, errorCode, highWatermark, logStartOffset },
      hasRecords: records !== null && records.length > 0,
      divergingEpoch: diverges ? divergingEpoch : null,
      ownEnd: diverges ? log.epochs.endOffsetFor(divergingEpoch.epoch, log.logEndOffset) : null
    })
    // The answer is good until its memory is let go; the records may wait for a cut to end.
    this.#records = this.#cutting === null || records === null ? null : Buffer.from(records)
  }

  /** Where the leader's log begins and ends; null where it could not be learned. */
  located(found: { startOffset: Offset; endOffset: Offset } | null): void {
    if (this.#hasEnded) return
    this.#step(found === null ? { kind: 'not-located' } : { kind: 'located', ...found })
    this.onChange()
  }

  synced(syncedEndOffset: Offset): void {
    if (this.#hasEnded) return
    this.#step({ kind: 'synced', syncedEndOffset })
    this.onChange()
  }

  storageFailed(): void {
    this.#step({ kind: 'failed' })
    this.onChange()
  }

  end(): void {
    this.#hasEnded = true
    this.#records = null
    this.onChange = () => {}
  }

  #step(input: Input): void {
    for (const effect of step(this.#follower, input)) this.#perform(effect)
    if (this.#follower.failures === 0) this.backOff = 0
  }

  #perform(effect: Effect): void {
    const { log } = this.#o
    switch (effect.kind) {
      case 'append':
        this.#append()
        return
      case 'truncate':
        this.#cut(() => log.truncateTo(effect.to), { to: effect.to })
        return
      case 'restart':
        this.#cut(() => log.truncateFullyAndStartAt(effect.at), { restartAt: effect.at })
        return
      case 'advance-high-watermark':
        this.#o.onHighWatermark()
        return
      case 'advance-log-start':
        log.advanceLogStartOffset(effect.to)
        this.#o.onLogStart()
        return
      case 'back-off':
        this.backOff = effect.failures
        return
      case 'locate':
        // Who fetches sees it by the status.
        return
      default:
        effect satisfies never
    }
  }

  #append(): void {
    const { log, logger } = this.#o
    const records = this.#records as Buffer
    try {
      log.options.diskSpace.note?.(records.length)
      log.appendAsFollower(records, this.leaderEpoch)
      this.#step({ kind: 'appended', log: this.#logState() })
    } catch (error) {
      if (!isFailure(error)) throw error
      if (log.isOffline) {
        this.#step({ kind: 'failed' })
        return
      }
      logger?.warn({ err: error, ...this.#name(), offset: log.logEndOffset }, 'fetched-records-refused')
      const base = records.length >= BATCH_HEADER_BYTES ? baseOffset(records, 0) : -1
      this.#step({ kind: 'refused', log: this.#logState(), baseOffset: base })
    }
  }

  #cut(cut: () => Promise<Offset>, how: object): void {
    const { log, logger } = this.#o
    const { highWatermark } = this.#follower
    const from = log.logEndOffset
    this.#cutting = cut().then(
      end => {
        this.#cutting = null
        const facts = { ...this.#name(), ...how, from, end, highWatermark, leaderId: this.leaderId }
        if (end < highWatermark) logger?.warn(facts, 'log-cut-below-high-watermark')
        else if (end !== from) logger?.info(facts, 'log-cut')
        if (this.#hasEnded) return
        this.#step({ kind: 'cut', log: this.#logState() })
        if (this.#cutting === null) this.#records = null
        this.onChange()
      },
      error => {
        // The log is offline by now, and that was reported; a bug was not.
        if (isBug(error)) logger?.error({ err: error, ...this.#name(), ...how, from }, 'log-cut-failed')
        this.#cutting = null
        this.storageFailed()
      }
    )
  }

  #logState(): LogState {
    const { log } = this.#o
    const { logStartOffset, logEndOffset, syncedEndOffset } = log
    return { logStartOffset, logEndOffset, syncedEndOffset, lastEpoch: log.epochs.latest?.epoch ?? -1 }
  }

  #name(): object {
    const { topic, partition } = this.#o.log.topicPartition
    return { topic, partition, leaderEpoch: this.leaderEpoch }
  }
}
