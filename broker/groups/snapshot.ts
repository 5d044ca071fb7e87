// A copy of the replayed state beside the log, so that a coordinator starts without reading its whole log. It is written
// in slices while the state moves on: every record since `offset` is replayed over it, and each says the whole truth
// about its key, so a slice may show any moment after `offset`. Its head is written last, once everything that a slice
// may have shown is committed. Only a cache: whatever does not fit exactly is as good as none.
import type { LeaderEpoch, Offset, TimestampMs, Uuid } from '../../protocol/types.ts'
import type { CoordinatorLog, GroupClock, Snapshots } from './ports.ts'
import type { CommittedOffset, ForeignKind, GroupMetadata } from './records.ts'
import type { GroupsState } from './state.ts'

interface Head {
  readonly format: number
  /** Another topic of that name has another history, which may well have the same offsets in the same epochs. */
  readonly topicId: Uuid
  /** Replay begins here. */
  readonly offset: Offset
  /** The log must reach this far, in this epoch. */
  readonly endOffset: Offset
  readonly leaderEpoch: LeaderEpoch
  /** When the writing began: no record that is replayed over it is older. */
  readonly writtenMs: TimestampMs
  readonly stamp: string
  /** Two sets of chunks in turn, so that the last whole snapshot stays until the next one is whole. */
  readonly slot: number
  readonly chunks: number
}

interface Chunk {
  readonly stamp: string
  readonly groups: PackedGroup[]
}

/** Arrays, not objects: a hundred thousand offsets are read at each start. */
type PackedOffset = [
  partition: number,
  offset: Offset,
  leaderEpoch: number,
  metadata: string,
  commitMs: number,
  expireMs: number,
  topicId: string
]
type PackedGroup = [
  group: string,
  metadata: GroupMetadata | null,
  foreign: ForeignKind | null,
  topics: [topic: string, partitions: PackedOffset[]][]
]

export interface Loaded {
  /** Replay begins here. */
  readonly offset: Offset
  /** What was read may show any moment up to here, in this epoch. */
  readonly endOffset: Offset
  readonly leaderEpoch: LeaderEpoch
}

const FORMAT = 2
const OFFSETS_PER_CHUNK = 2_000
/** Half of the time that a tombstone stays by default, which leaves room for clocks. */
const MAX_AGE_MS = 12 * 3_600_000

export interface SnapshotPlace {
  readonly snapshots: Snapshots
  readonly log: CoordinatorLog
  readonly clock: GroupClock
  /** Unique per partition of __consumer_offsets. */
  readonly key: string
}

/** Fills an empty state; null where there is no snapshot that fits the log. The state may be dirty then. */
export async function readSnapshot(place: SnapshotPlace, state: GroupsState): Promise<Loaded | null> {
  const { snapshots, log, clock, key } = place
  const head = (await snapshots.get(key)) as Head | undefined
  if (head?.format !== FORMAT || head.topicId !== log.topicId) return null
  if (head.offset < log.logStartOffset || head.endOffset > log.logEndOffset) return null
  if (!log.holds(head.endOffset, head.leaderEpoch)) return null
  // The cleaner may have dropped tombstones since: an older copy would bring deleted offsets back to life.
  const ageMs = clock.nowMs() - head.writtenMs
  const maxAgeMs = Math.min(MAX_AGE_MS, log.deleteRetentionMs / 2)
  if (log.logEndOffset > head.offset && (ageMs < 0 || ageMs >= maxAgeMs)) return null
  for (let i = 0; i < head.chunks; i++) {
    const chunk = (await snapshots.get(chunkKey(key, head.slot, i))) as Chunk | undefined
    if (chunk?.stamp !== head.stamp) return null
    for (const group of chunk.groups) unpack(state, group)
    if (i % 4 === 3) await new Promise<void>(resolve => clock.endOfTurn(resolve))
  }
  return { offset: head.offset, endOffset: head.endOffset, leaderEpoch: head.leaderEpoch }
}

export interface SnapshotTask {
  /** Log end offset up to which the state is applied, and the epoch of the last record. */
  applied(): { offset: Offset; leaderEpoch: LeaderEpoch }
  isCurrent(): boolean
}

/** False where it was given up: leadership went, or a transaction is open. */
export async function writeSnapshot(place: SnapshotPlace, state: GroupsState, task: SnapshotTask): Promise<boolean> {
  const { snapshots, log, clock, key } = place
  const start = Math.min(task.applied().offset, log.highWatermark)
  const writtenMs = clock.nowMs()
  const stamp = `${start}-${writtenMs}-${log.leaderEpoch}`
  const last = (await snapshots.get(key)) as Head | undefined
  const slot = last?.slot === 0 ? 1 : 0
  let chunks = 0
  for (const groups of packInChunks(state)) {
    if (!task.isCurrent() || state.pending.size > 0) return false
    await snapshots.put(chunkKey(key, slot, chunks++), { stamp, groups } satisfies Chunk)
    await new Promise<void>(resolve => clock.endOfTurn(resolve))
  }
  const { offset: endOffset, leaderEpoch } = task.applied()
  await untilCommitted(log, endOffset)
  if (!task.isCurrent() || state.pending.size > 0) return false
  await snapshots.put(key, {
    format: FORMAT,
    topicId: log.topicId,
    offset: start,
    endOffset,
    leaderEpoch,
    writtenMs,
    stamp,
    slot,
    chunks
  } satisfies Head)
  return true
}

/** Until everything below `offset` is committed. */
export function untilCommitted(log: CoordinatorLog, offset: Offset): Promise<void> {
  if (log.highWatermark >= offset) return Promise.resolve()
  return new Promise(resolve => {
    const stop = log.onHighWatermark(() => {
      if (log.highWatermark < offset) return
      stop()
      resolve()
    })
  })
}

function chunkKey(key: string, slot: number, index: number): string {
  return `${key}/${slot}/${index}`
}

function* packInChunks(state: GroupsState): Generator<PackedGroup[]> {
  let groups: PackedGroup[] = []
  let size = 0
  const ids = new Set([...state.groupIds(), ...state.foreign.keys()])
  for (const id of ids) {
    let topics: PackedGroup[3] = []
    for (const [topic, partitions] of [...(state.offsets.get(id) ?? [])]) {
      topics.push([topic, [...partitions].map(pack)])
      size += partitions.size
      if (size < OFFSETS_PER_CHUNK) continue
      groups.push([id, state.metadata.get(id) ?? null, state.foreign.get(id) ?? null, topics])
      yield groups
      groups = []
      topics = []
      size = 0
    }
    groups.push([id, state.metadata.get(id) ?? null, state.foreign.get(id) ?? null, topics])
    size++
  }
  if (groups.length > 0) yield groups
}

function pack([partition, value]: [number, CommittedOffset]): PackedOffset {
  const { offset, leaderEpoch, metadata, commitTimestamp, expireTimestamp, topicId } = value
  return [partition, offset, leaderEpoch, metadata, commitTimestamp, expireTimestamp, topicId]
}

function unpack(state: GroupsState, [group, metadata, foreign, topics]: PackedGroup): void {
  if (metadata)
    state.replay({
      kind: 'group',
      group,
      value: { ...metadata, members: metadata.members.map(member => ({ ...member })) }
    })
  if (foreign) state.replay({ kind: 'foreign', group, protocol: foreign, exists: true })
  for (const [topic, partitions] of topics) {
    for (const [partition, offset, leaderEpoch, note, commitTimestamp, expireTimestamp, topicId] of partitions) {
      const value = { offset, leaderEpoch, metadata: note, commitTimestamp, expireTimestamp, topicId }
      state.replay({ kind: 'offset', group, topic, partition, value })
    }
  }
}
