// Brings the state of one partition of __consumer_offsets back from its log: batch after batch, in slices, so that the
// loop is never held up. Offsets committed inside of a transaction count once its commit marker is met, unless a later
// commit of the same partition stands in between (OffsetMetadataManager.replayEndTransactionMarker).
import {
  batchesOf,
  isControl,
  isTransactional,
  lastOffset,
  partitionLeaderEpoch,
  producerId
} from '../../protocol/records/batch.ts'
import { decodeRecords, type LogRecord } from '../../protocol/records/records.ts'
import type { LeaderEpoch, Offset } from '../../protocol/types.ts'
import type { CoordinatorLog, GroupClock } from './ports.ts'
import { decodeRecord, type GroupRecord } from './records.ts'
import type { GroupsState, OffsetRecord } from './state.ts'

/** What one batch was. */
export interface ReplayedBatch {
  readonly leaderEpoch: LeaderEpoch
  readonly endOffset: Offset
  readonly records: number
  /** Records of kinds that this broker does not know: left alone. */
  readonly unknown: number
}

/** How long one slice may hold the loop. */
const SLICE_MS = 8
const COMMIT_MARKER = 1

export interface ReplayTask {
  /** The state is another's by now: nothing more is applied. */
  isOver(): boolean
  applied(batch: ReplayedBatch): void
}

/** Applies everything from `from` to `upto`, which is committed. */
export async function replay(
  state: GroupsState,
  log: CoordinatorLog,
  clock: GroupClock,
  { from, upto }: { readonly from: Offset; readonly upto: Offset },
  task: ReplayTask
): Promise<void> {
  let sliceEndMs = clock.monotonicMs() + SLICE_MS
  for await (const buffer of log.batches(from, upto)) {
    for (const position of batchesOf(buffer)) {
      if (task.isOver()) return
      task.applied(replayBatch(state, buffer, position, from, upto))
      if (clock.monotonicMs() < sliceEndMs) continue
      await new Promise<void>(resolve => clock.endOfTurn(resolve))
      sliceEndMs = clock.monotonicMs() + SLICE_MS
    }
  }
}

function replayBatch(state: GroupsState, buffer: Buffer, position: number, from: Offset, upto: Offset): ReplayedBatch {
  let records = 0
  let unknown = 0
  const producer = isTransactional(buffer, position) ? producerId(buffer, position) : null
  const control = isControl(buffer, position)
  for (const logRecord of decodeRecords(buffer, position)) {
    if (logRecord.offset < from || logRecord.offset >= upto) continue
    records++
    if (control) {
      if (producer !== null) endTransaction(state, producer, logRecord)
      continue
    }
    const record = logRecord.key && decodeRecord(logRecord.key, logRecord.value)
    if (!record) unknown++
    else replayRecord(state, record, logRecord.offset, producer)
  }
  const endOffset = Math.max(from, Math.min(upto, lastOffset(buffer, position) + 1))
  return { leaderEpoch: partitionLeaderEpoch(buffer, position), endOffset, records, unknown }
}

function replayRecord(state: GroupsState, record: GroupRecord, at: Offset, producer: number | null): void {
  if (record.kind === 'offset' && record.value !== null && producer !== null) {
    const pending = state.pending.get(producer)
    if (pending) pending.push({ at, record })
    else state.pending.set(producer, [{ at, record }])
    return
  }
  if (record.kind === 'offset') supersede(state, record, at)
  state.replay(record)
}

/** A marker: key = int16 version, int16 type (0 abort, 1 commit). */
function endTransaction(state: GroupsState, producer: number, { key }: LogRecord): void {
  const pending = state.pending.get(producer)
  state.pending.delete(producer)
  if (!pending || !key || key.length < 4 || key.readInt16BE(2) !== COMMIT_MARKER) return
  for (const { at, record } of pending) {
    supersede(state, record, at)
    state.replay(record)
  }
}

/** Commits of open transactions that stand before this record can no longer change its partition. */
function supersede(state: GroupsState, by: OffsetRecord, at: Offset): void {
  for (const [producer, pending] of state.pending) {
    const kept = pending.filter(each => each.at > at || !isSame(each.record, by))
    if (kept.length === 0) state.pending.delete(producer)
    else if (kept.length < pending.length) state.pending.set(producer, kept)
  }
}

function isSame(one: OffsetRecord, other: OffsetRecord): boolean {
  return one.group === other.group && one.topic === other.topic && one.partition === other.partition
}
