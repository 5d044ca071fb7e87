// The follower's side of one partition: what to ask the leader for, and what to do with its answer. Pure: inputs in,
// effects out; broker/following.ts performs the effects on the log. What must hold: the offset asked for is the synced
// end, so that the leader may count on it; the log is cut only where epochs prove that it and the leader's part ways,
// never at the high watermark (KIP-101, KIP-279, KIP-595); the high watermark never passes the log's end.
import { ErrorCode } from '../protocol/errors.ts'
import type { BrokerId, LeaderEpoch, Offset } from '../protocol/types.ts'

/** What a fetch says of the partition. Its answer counts only while all of it still holds. */
export interface FetchAsk {
  readonly leaderEpoch: LeaderEpoch
  readonly fetchOffset: Offset
  /** Epoch of the last record, -1 where there is none: what the leader finds a divergence by. */
  readonly lastFetchedEpoch: LeaderEpoch
  readonly logStartOffset: Offset
}

/** fetching: a fetch may go out once everything is synced. appending, cutting, locating: the log, or the leader, has to
 *  answer first. offline: the log failed; nothing more happens in this reign. */
export type FollowerStatus = 'fetching' | 'appending' | 'cutting' | 'locating' | 'offline'

/** How the log is, before and after what is asked of it. */
export interface LogState {
  readonly logStartOffset: Offset
  readonly logEndOffset: Offset
  readonly syncedEndOffset: Offset
  /** Epoch of the last record, -1 where there is none. */
  readonly lastEpoch: LeaderEpoch
}

export interface Follower {
  readonly leaderId: BrokerId
  readonly leaderEpoch: LeaderEpoch
  status: FollowerStatus
  log: LogState
  highWatermark: Offset
  /** As the leader last said. */
  leaderHighWatermark: Offset
  leaderLogStartOffset: Offset
  /** The records that were answered wait for a cut to end. */
  appendsAfterCut: boolean
  /** Answers in a row that led nowhere. */
  failures: number
}

export interface EpochEnd {
  readonly leaderEpoch: LeaderEpoch
  readonly endOffset: Offset
}

export type Input =
  | {
      readonly kind: 'answered'
      readonly ask: FetchAsk
      readonly errorCode: number
      readonly highWatermark: Offset
      readonly logStartOffset: Offset
      readonly hasRecords: boolean
      /** The leader's largest epoch not above the asked one, and where it ends there, when logs part ways before the offset. */
      readonly divergingEpoch: { readonly epoch: LeaderEpoch; readonly endOffset: Offset } | null
      /** The same question put to the own log about the leader's epoch. */
      readonly ownEnd: EpochEnd | null
    }
  /** The records of the last answer are in the log, perhaps not all of them. */
  | { readonly kind: 'appended'; readonly log: LogState }
  /** A batch was corrupt, or did not fit behind the log's end; what came before it is in the log. */
  | { readonly kind: 'refused'; readonly log: LogState; readonly baseOffset: Offset }
  | { readonly kind: 'synced'; readonly syncedEndOffset: Offset }
  | { readonly kind: 'cut'; readonly log: LogState }
  /** Where the leader's log begins and ends. */
  | { readonly kind: 'located'; readonly startOffset: Offset; readonly endOffset: Offset }
  | { readonly kind: 'not-located' }
  /** The log is offline. */
  | { readonly kind: 'failed' }

export type Effect =
  /** Append the records of the last answer; then 'appended' or 'refused'. */
  | { readonly kind: 'append' }
  /** Then 'cut'. */
  | { readonly kind: 'truncate'; readonly to: Offset }
  /** Everything goes, the log begins anew at an offset; then 'cut'. */
  | { readonly kind: 'restart'; readonly at: Offset }
  /** Ask the leader where its log begins and ends. */
  | { readonly kind: 'locate' }
  | { readonly kind: 'advance-high-watermark'; readonly to: Offset }
  | { readonly kind: 'advance-log-start'; readonly to: Offset }
  /** Do not ask at once; so many answers led nowhere. */
  | { readonly kind: 'back-off'; readonly failures: number }

export interface Reign {
  readonly leaderId: BrokerId
  readonly leaderEpoch: LeaderEpoch
  readonly log: LogState
  /** What the broker knew before. */
  readonly highWatermark: Offset
}

export function follow(reign: Reign): Follower {
  return {
    leaderId: reign.leaderId,
    leaderEpoch: reign.leaderEpoch,
    status: 'fetching',
    log: reign.log,
    highWatermark: within(reign.log, reign.highWatermark),
    leaderHighWatermark: -1,
    leaderLogStartOffset: -1,
    appendsAfterCut: false,
    failures: 0
  }
}

/** What to ask for now; null while the log is at work, and until everything in it is synced: what is asked for says to
 *  the leader that everything before is safe here. */
export function askOf({ status, leaderEpoch, log }: Follower): FetchAsk | null {
  if (status !== 'fetching' || log.syncedEndOffset < log.logEndOffset) return null
  const { logEndOffset: fetchOffset, lastEpoch: lastFetchedEpoch, logStartOffset } = log
  return { leaderEpoch, fetchOffset, lastFetchedEpoch, logStartOffset }
}

/** The only way in. */
export function step(follower: Follower, input: Input): Effect[] {
  const effects: Effect[] = []
  if (follower.status === 'offline') return effects
  switch (input.kind) {
    case 'answered':
      answered(follower, input, effects)
      break
    case 'appended':
      appended(follower, input.log, effects)
      break
    case 'refused':
      refused(follower, input, effects)
      break
    case 'synced': {
      const { log } = follower
      const syncedEndOffset = Math.min(log.logEndOffset, Math.max(log.syncedEndOffset, input.syncedEndOffset))
      // What a cut leaves is synced when it returns; syncs from before it say nothing of it.
      if (follower.status !== 'cutting') follower.log = { ...log, syncedEndOffset }
      break
    }
    case 'cut':
      cut(follower, input.log, effects)
      break
    case 'located':
      located(follower, input, effects)
      break
    case 'not-located':
      if (follower.status === 'locating') retry(follower, effects)
      break
    case 'failed':
      follower.status = 'offline'
      break
    default:
      input satisfies never
  }
  return effects
}

function answered(follower: Follower, input: Input & { kind: 'answered' }, effects: Effect[]): void {
  const now = askOf(follower)
  if (now === null || !isSame(now, input.ask)) return
  if (input.errorCode === ErrorCode.OFFSET_OUT_OF_RANGE) {
    follower.status = 'locating'
    effects.push({ kind: 'locate' })
    return
  }
  if (input.errorCode !== ErrorCode.NONE) {
    retry(follower, effects)
    return
  }
  if (input.divergingEpoch !== null) {
    // Neither watermark means anything here before the logs agree.
    truncate(follower, divergence(follower, input.divergingEpoch, input.ownEnd), effects)
    return
  }
  follower.leaderHighWatermark = input.highWatermark
  follower.leaderLogStartOffset = input.logStartOffset
  if (input.hasRecords) {
    follower.status = 'appending'
    effects.push({ kind: 'append' })
    return
  }
  follower.failures = 0
  keepUp(follower, effects)
}

/** Else it was asked in an earlier reign, or before the log was cut; since then it may have grown to the same end. */
function isSame(now: FetchAsk, ask: FetchAsk): boolean {
  const isSamePlace = now.fetchOffset === ask.fetchOffset && now.lastFetchedEpoch === ask.lastFetchedEpoch
  return isSamePlace && now.leaderEpoch === ask.leaderEpoch
}

/** Up to where this log and the leader's may be the same: the smaller of both ends of that epoch. Where this log has no
 *  such epoch, the end of the epoch before it, and the next fetch asks again (KIP-279; AbstractFetcherThread.scala,
 *  getOffsetTruncationState). */
function divergence(
  { log }: Follower,
  leader: { readonly epoch: LeaderEpoch; readonly endOffset: Offset },
  own: EpochEnd | null
): Offset {
  if (own === null || own.leaderEpoch < 0) return Math.min(leader.endOffset, log.logEndOffset)
  if (own.leaderEpoch !== leader.epoch) return Math.min(own.endOffset, log.logEndOffset)
  return Math.min(own.endOffset, leader.endOffset, log.logEndOffset)
}

function truncate(follower: Follower, to: Offset, effects: Effect[]): void {
  if (to < 0) {
    retry(follower, effects)
    return
  }
  follower.status = 'cutting'
  effects.push({ kind: 'truncate', to })
}

function restart(follower: Follower, at: Offset, effects: Effect[]): void {
  follower.status = 'cutting'
  effects.push({ kind: 'restart', at })
}

function appended(follower: Follower, log: LogState, effects: Effect[]): void {
  if (follower.status !== 'appending') return
  const hasGrown = log.logEndOffset > follower.log.logEndOffset
  follower.status = 'fetching'
  follower.log = log
  // Only batches of a later epoch than that of the fetch: the leader has been replaced (KAFKA-18723).
  if (hasGrown) follower.failures = 0
  else retry(follower, effects)
  keepUp(follower, effects)
}

function refused(follower: Follower, input: Input & { kind: 'refused' }, effects: Effect[]): void {
  if (follower.status !== 'appending') return
  const { log, baseOffset } = input
  follower.log = log
  // The leader's log begins inside of a batch, and so does an empty log that was begun there: it begins where the batch
  // does (Partition.scala, appendRecordsToFollowerOrFutureReplica).
  if (log.logStartOffset === log.logEndOffset && baseOffset >= 0 && baseOffset < log.logEndOffset) {
    follower.appendsAfterCut = true
    restart(follower, baseOffset, effects)
    return
  }
  follower.status = 'fetching'
  keepUp(follower, effects)
  retry(follower, effects)
}

function cut(follower: Follower, log: LogState, effects: Effect[]): void {
  if (follower.status !== 'cutting') return
  const before = follower.log
  follower.status = 'fetching'
  follower.log = log
  // Only an unclean election can have taken committed records away.
  follower.highWatermark = within(log, follower.highWatermark)
  if (follower.appendsAfterCut) {
    follower.appendsAfterCut = false
    follower.status = 'appending'
    effects.push({ kind: 'append' })
    return
  }
  const hasMoved =
    log.logEndOffset !== before.logEndOffset ||
    log.lastEpoch !== before.lastEpoch ||
    log.logStartOffset !== before.logStartOffset
  if (hasMoved) follower.failures = 0
  else retry(follower, effects)
}

/** The offset asked for is not in the leader's log. Behind its end: an unclean election took the rest. Before its start:
 *  those records are gone everywhere (AbstractFetcherThread.scala, fetchOffsetAndTruncate). */
function located(follower: Follower, input: Input & { kind: 'located' }, effects: Effect[]): void {
  if (follower.status !== 'locating') return
  const { logEndOffset } = follower.log
  if (input.endOffset < logEndOffset) truncate(follower, input.endOffset, effects)
  else if (input.startOffset > logEndOffset) restart(follower, input.startOffset, effects)
  else retry(follower, effects)
}

/** Follows both watermarks of the leader, as far as the own log goes. */
function keepUp(follower: Follower, effects: Effect[]): void {
  const { log, leaderHighWatermark, leaderLogStartOffset } = follower
  const highWatermark = Math.min(leaderHighWatermark, log.logEndOffset)
  if (highWatermark > follower.highWatermark) {
    follower.highWatermark = highWatermark
    effects.push({ kind: 'advance-high-watermark', to: highWatermark })
  }
  const start = Math.min(leaderLogStartOffset, follower.highWatermark)
  if (start > log.logStartOffset) {
    follower.log = { ...log, logStartOffset: start }
    effects.push({ kind: 'advance-log-start', to: start })
  }
}

function retry(follower: Follower, effects: Effect[]): void {
  follower.status = 'fetching'
  follower.failures++
  effects.push({ kind: 'back-off', failures: follower.failures })
}

function within({ logStartOffset, logEndOffset }: LogState, offset: Offset): Offset {
  return Math.max(logStartOffset, Math.min(offset, logEndOffset))
}
