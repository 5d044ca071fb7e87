// What happens to a batch on its way into a log, in this order: the log takes appends at all, the batch obeys the rules
// of its topic, its producer may send it (or sent it before), a full segment is left, offset and leader epoch are put in
// place (both lie outside of the checksum), and the books are kept. All of it in one turn, nothing of it per record.
import { ErrorCode } from '../protocol/errors.ts'
import { MoldauError } from '../protocol/failure.ts'
import {
  baseOffset,
  checkBatch,
  lastOffset,
  lastOffsetDelta,
  maxTimestamp,
  partitionLeaderEpoch,
  setBaseOffset,
  setPartitionLeaderEpoch,
  sizeInBytes,
  timestampTypeOf
} from '../protocol/records/batch.ts'
import type { LeaderEpoch, Offset, TimestampMs } from '../protocol/types.ts'
import type { Log } from './log.ts'
import { positionsIn, wholeBytes } from './scan.ts'
import { type RecordError, validateClientBatch } from './validate.ts'

export interface AppendOptions {
  readonly leaderEpoch: LeaderEpoch
  /** client: one batch, checked by the rules of its topic. The broker's own batches are trusted. */
  readonly origin: 'client' | 'coordinator' | 'quorum'
  readonly nowMs: TimestampMs
}

export type { RecordError }

export type AppendResult =
  | {
      readonly kind: 'appended'
      readonly baseOffset: Offset
      readonly lastOffset: Offset
      /** -1 where records keep the time of their creation. */
      readonly logAppendTimeMs: TimestampMs
      readonly bytes: number
    }
  | {
      /** Appended before by the same producer: answered like the first time, after the same wait for its commit. */
      readonly kind: 'duplicate'
      readonly baseOffset: Offset
      readonly lastOffset: Offset
      readonly logAppendTimeMs: TimestampMs
    }
  | {
      /** No offset was given, nothing changed. */
      readonly kind: 'refused'
      readonly errorCode: number
      readonly errorMessage: string | null
      readonly recordErrors: readonly RecordError[]
    }

type Refused = Extract<AppendResult, { kind: 'refused' }>

export function appendAsLeader(log: Log, records: Buffer, o: AppendOptions): AppendResult {
  if (log.isOffline) return refused(ErrorCode.KAFKA_STORAGE_ERROR, 'the log is offline after a failed write or sync')
  if (o.origin === 'client') return appendClientBatch(log, records, o)
  const first = log.logEndOffset
  let result: AppendResult = refused(ErrorCode.INVALID_RECORD, 'no batch')
  for (const at of positionsIn(records.subarray(0, wholeBytes(records)))) {
    result = appendBatch(log, records.subarray(at, at + sizeInBytes(records, at)), o)
    if (result.kind !== 'appended') return result
  }
  return result.kind === 'appended' ? { ...result, baseOffset: first, bytes: records.length } : result
}

function appendClientBatch(log: Log, records: Buffer, o: AppendOptions): AppendResult {
  if (log.options.diskSpace.isLow) {
    return refused(ErrorCode.KAFKA_STORAGE_ERROR, 'the disk is below its reserve of free space')
  }
  const valid = validateClientBatch(records, log.config, o.nowMs)
  if (valid.kind !== 'valid') return valid
  log.options.diskSpace.note?.(valid.batch.length)
  return appendBatch(log, valid.batch, o)
}

function appendBatch(log: Log, batch: Buffer, o: AppendOptions): AppendResult {
  const verdict = log.producers.check(batch, 0, o.origin)
  const isLogAppendTime = timestampTypeOf(batch, 0) === 'LogAppendTime'
  if (verdict.kind === 'refused') return refused(verdict.errorCode, verdict.errorMessage)
  if (verdict.kind === 'duplicate') {
    const { baseOffset, lastOffset, timestamp } = verdict
    return { kind: 'duplicate', baseOffset, lastOffset, logAppendTimeMs: isLogAppendTime ? timestamp : -1 }
  }
  const base = log.logEndOffset
  const last = base + lastOffsetDelta(batch, 0)
  const timestamp = maxTimestamp(batch, 0)
  const failed = roll(log, { size: batch.length, last, maxTimestamp: timestamp, nowMs: o.nowMs })
  if (failed) return failed
  setBaseOffset(batch, 0, base)
  setPartitionLeaderEpoch(batch, 0, o.leaderEpoch)
  log.epochs.assign(o.leaderEpoch, base)
  log.producers.update(batch, 0)
  log.take(batch, base, last, timestamp)
  return {
    kind: 'appended',
    baseOffset: base,
    lastOffset: last,
    logAppendTimeMs: isLogAppendTime ? timestamp : -1,
    bytes: batch.length
  }
}

/** The system may refuse a new file: then the log is offline, and the batch has no offset yet. */
function roll(log: Log, batch: Parameters<Log['rollFor']>[0]): Refused | null {
  log.rollFor(batch)
  return log.isOffline ? refused(ErrorCode.KAFKA_STORAGE_ERROR, 'the disk refused a new segment') : null
}

/** Batches with the offsets that their leader gave. Those of a later epoch than the fetch are left out: the leader that
 *  answered may have been replaced while it did (KAFKA-18723). */
export function appendAsFollower(log: Log, records: Buffer, leaderEpoch: LeaderEpoch): void {
  if (log.isOffline) throw new MoldauError('ERR_LOG_OFFLINE', 'the log is offline after a failed write or sync')
  for (const at of positionsIn(records.subarray(0, wholeBytes(records)))) {
    const epoch = partitionLeaderEpoch(records, at)
    if (epoch > leaderEpoch) return
    checkBatch(records, at)
    const base = baseOffset(records, at)
    if (base < log.logEndOffset) {
      throw new MoldauError('ERR_OUT_OF_RANGE', `a batch at offset ${base} for a log that ends at ${log.logEndOffset}`)
    }
    const batch = records.subarray(at, at + sizeInBytes(records, at))
    const last = lastOffset(batch, 0)
    if (last < base) throw new MoldauError('ERR_CORRUPT_BATCH', `a batch at offset ${base} that ends at ${last}`)
    const timestamp = maxTimestamp(batch, 0)
    const refusal = roll(log, { size: batch.length, last, maxTimestamp: timestamp, nowMs: log.options.clock.nowMs() })
    if (refusal) throw new MoldauError('ERR_LOG_OFFLINE', refusal.errorMessage ?? 'the log is offline')
    // It looks into markers, and may refuse one: before anything else knows of the batch.
    log.producers.update(batch, 0)
    log.epochs.assign(epoch, base)
    log.take(batch, base, last, timestamp)
  }
}

function refused(errorCode: number, errorMessage: string | null, recordErrors: readonly RecordError[] = []): Refused {
  return { kind: 'refused', errorCode, errorMessage, recordErrors }
}
