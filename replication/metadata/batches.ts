// Metadata records as bytes: batches of __cluster_metadata, and snapshots, which are whole files of such batches between
// a header and a footer control record (KIP-630; raft/.../RecordsSnapshotWriter.java). Kafka's tools read both.

import { leaderChangeMessage, snapshotFooterRecord, snapshotHeaderRecord } from '../../protocol/cluster/control.ts'
import { decodeMetadataRecord, encodeMetadataRecord } from '../../protocol/cluster/metadata.ts'
import { codecOf } from '../../protocol/compile.ts'
import { MoldauError } from '../../protocol/failure.ts'
import { encodeBody } from '../../protocol/frame.ts'
import {
  baseOffset,
  batchesOf,
  checkBatch,
  endOfBatch,
  isControl,
  lastOffset,
  maxTimestamp,
  partitionLeaderEpoch,
  sizeInBytes
} from '../../protocol/records/batch.ts'
import { buildBatch } from '../../protocol/records/builder.ts'
import { decodeRecords } from '../../protocol/records/records.ts'
import type { Message, RecordDraft } from '../../protocol/schema.ts'
import type { BrokerId, LeaderEpoch, Offset, TimestampMs } from '../../protocol/types.ts'
import type { MetadataRecord } from './records.ts'

/** ControlRecordType.java */
const LEADER_CHANGE = 2
const SNAPSHOT_HEADER = 3
const SNAPSHOT_FOOTER = 4
const KRAFT_VERSION = 5
const VOTERS = 6

/** A batch of records in a snapshot; Kafka reads them one at a time (internal.metadata.max.batch.size.in.bytes). */
const SNAPSHOT_BATCH_RECORDS = 1000

export interface MetadataBatch {
  readonly baseOffset: Offset
  /** The offset after its last record. */
  readonly endOffset: Offset
  readonly leaderEpoch: LeaderEpoch
  readonly maxTimestamp: TimestampMs
  readonly sizeInBytes: number
  /** Empty for a control batch. */
  readonly records: readonly MetadataRecord[]
}

/** One atomic batch; the log gives it its offsets. */
export function metadataBatch(
  records: readonly MetadataRecord[],
  leaderEpoch: LeaderEpoch,
  nowMs: TimestampMs
): Buffer {
  return dataBatch(records, 0, leaderEpoch, nowMs)
}

/** The first batch of a leader's epoch: nothing of an earlier epoch is committed before it is (KIP-595). */
export function leaderChangeBatch(
  o: {
    readonly leaderId: BrokerId
    readonly voters: readonly BrokerId[]
    readonly grantingVoters: readonly BrokerId[]
  },
  leaderEpoch: LeaderEpoch,
  nowMs: TimestampMs
): Buffer {
  const named = (ids: readonly BrokerId[]) => ids.map(voterId => ({ voterId }))
  const { leaderId } = o
  const change = { version: 0, leaderId, voters: named(o.voters), grantingVoters: named(o.grantingVoters) }
  return controlBatch(LEADER_CHANGE, leaderChangeMessage, change, 0, leaderEpoch, nowMs)
}

/** Reads whole batches one after the other; a partial one at the end is not there. Checks each (ERR_CORRUPT_BATCH). */
export function* metadataBatches(bytes: Buffer): Generator<MetadataBatch> {
  for (const position of batchesOf(bytes)) {
    checkBatch(bytes, position)
    const isData = !isControl(bytes, position)
    if (!isData) refuseDynamicVoters(bytes, position)
    yield {
      baseOffset: baseOffset(bytes, position),
      endOffset: lastOffset(bytes, position) + 1,
      leaderEpoch: partitionLeaderEpoch(bytes, position),
      maxTimestamp: maxTimestamp(bytes, position),
      sizeInBytes: sizeInBytes(bytes, position),
      records: isData ? [...decodeRecords(bytes, position)].map(one => decodeMetadataRecord(presentValue(one))) : []
    }
  }
}

export interface SnapshotId {
  /** The first offset that the snapshot does not cover. */
  readonly endOffset: Offset
  /** The leader epoch of the last record that it covers. */
  readonly epoch: LeaderEpoch
}

/** `<offset>-<epoch>.checkpoint`, as Kafka's Snapshots.java. */
export function snapshotName({ endOffset, epoch }: SnapshotId): string {
  return `${String(endOffset).padStart(20, '0')}-${String(epoch).padStart(10, '0')}.checkpoint`
}

/** Null for any other file. */
export function parseSnapshotName(name: string): SnapshotId | null {
  const match = /^(\d{20})-(\d{10})\.checkpoint$/.exec(name)
  return match ? { endOffset: Number(match[1]), epoch: Number(match[2]) } : null
}

/** A snapshot piece by piece, so that a large one can be made over many turns of the event loop. */
export function* snapshotBatches(
  records: Iterable<MetadataRecord>,
  o: { readonly epoch: LeaderEpoch; readonly lastContainedLogTimestamp: TimestampMs; readonly nowMs: TimestampMs }
): Generator<Buffer> {
  const { epoch, lastContainedLogTimestamp, nowMs } = o
  yield controlBatch(SNAPSHOT_HEADER, snapshotHeaderRecord, { version: 0, lastContainedLogTimestamp }, 0, epoch, nowMs)
  let offset = 1
  let slice: MetadataRecord[] = []
  for (const record of records) {
    slice.push(record)
    if (slice.length < SNAPSHOT_BATCH_RECORDS) continue
    yield dataBatch(slice, offset, epoch, nowMs)
    offset += slice.length
    slice = []
  }
  if (slice.length > 0) yield dataBatch(slice, offset, epoch, nowMs)
  yield controlBatch(SNAPSHOT_FOOTER, snapshotFooterRecord, { version: 0 }, offset + slice.length, epoch, nowMs)
}

/** The records of a snapshot. ERR_LOG_CORRUPT for one that is not whole: its footer says that nothing is missing. */
export function snapshotRecords(bytes: Buffer, name: string): MetadataRecord[] {
  const records: MetadataRecord[] = []
  for (const position of dataOfSnapshot(bytes, name)) {
    for (const record of decodeRecords(bytes, position)) records.push(decodeMetadataRecord(presentValue(record)))
  }
  return records
}

/** The same without looking into the records: cheap enough to be done before each time that it is served. */
export function checkSnapshot(bytes: Buffer, name: string): void {
  for (const _ of dataOfSnapshot(bytes, name));
}

/** Where its batches of records begin, each whole; throws at the end where a part is missing. */
function* dataOfSnapshot(bytes: Buffer, name: string): Generator<number> {
  const kinds: number[] = []
  let end = 0
  for (const position of batchesOf(bytes)) {
    checkBatch(bytes, position)
    end = endOfBatch(bytes, position)
    if (!isControl(bytes, position)) {
      yield position
      continue
    }
    refuseDynamicVoters(bytes, position)
    for (const { key } of decodeRecords(bytes, position)) kinds.push(controlType(key))
  }
  if (kinds[0] !== SNAPSHOT_HEADER || kinds.at(-1) !== SNAPSHOT_FOOTER || end !== bytes.length) {
    throw new MoldauError('ERR_LOG_CORRUPT', `metadata snapshot ${name} is not whole`)
  }
}

function dataBatch(records: readonly MetadataRecord[], offset: Offset, epoch: LeaderEpoch, nowMs: TimestampMs): Buffer {
  return buildBatch({
    baseOffset: offset,
    partitionLeaderEpoch: epoch,
    records: records.map(record => ({ timestamp: nowMs, key: null, value: encodeMetadataRecord(record) }))
  })
}

function controlBatch<M extends Message>(
  type: number,
  of: M,
  draft: RecordDraft<M>,
  offset: Offset,
  epoch: LeaderEpoch,
  nowMs: TimestampMs
): Buffer {
  const key = Buffer.alloc(4)
  key.writeInt16BE(type, 2)
  const value = encodeBody(codecOf(of as Message, 0), draft)
  const records = [{ timestamp: nowMs, key, value }]
  return buildBatch({ baseOffset: offset, partitionLeaderEpoch: epoch, control: true, records })
}

/** Voters that change at run time (KIP-853) are not understood yet: acting on older ones could elect two leaders. */
function refuseDynamicVoters(bytes: Buffer, position: number): void {
  for (const { key, value } of decodeRecords(bytes, position)) {
    const type = controlType(key)
    const isBeginning = type === KRAFT_VERSION && (value?.readInt16BE(2) ?? 0) === 0
    if ((type !== KRAFT_VERSION && type !== VOTERS) || isBeginning) continue
    throw new MoldauError(
      'ERR_WRONG_DIRECTORY',
      'the cluster has kraft.version at 1 (KIP-853), outside of the supported range 0-0: this data needs a later moldau'
    )
  }
}

function controlType(key: Buffer | null): number {
  if (key === null || key.length < 4) throw new MoldauError('ERR_LOG_CORRUPT', 'a control record without a type')
  return key.readInt16BE(2)
}

function presentValue({ value, offset }: { readonly value: Buffer | null; readonly offset: Offset }): Buffer {
  if (value === null) throw new MoldauError('ERR_LOG_CORRUPT', `metadata record ${offset} has no value`)
  return value
}
