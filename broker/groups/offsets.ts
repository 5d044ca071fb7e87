// Decisions about committed offsets: commit, fetch, delete, expire. They change nothing; they give records and a reply.
// Rules and codes as in OffsetMetadataManager.java and ClassicGroup.validateOffsetCommit.
import { ErrorCode } from '../../protocol/errors.ts'
import { type Offset, type TimestampMs, type Uuid, ZERO_UUID } from '../../protocol/types.ts'
import { type ClassicGroup, isSubscribedTo } from './classic-group.ts'
import { checkMember } from './join.ts'
import type { CommittedOffset, GroupRecord } from './records.ts'
import type { GroupsState, OffsetsByTopic } from './state.ts'

export interface Decision<T> {
  readonly records: readonly GroupRecord[]
  readonly reply: T
}

/** An OffsetCommit whose topics are known to the cluster; names and ids are both filled in. */
export interface CommitRequest {
  readonly groupId: string
  readonly generationIdOrMemberEpoch: number
  readonly memberId: string
  readonly groupInstanceId: string | null
  /** -1 outside of versions 2-4. */
  readonly retentionTimeMs: number
  readonly topics: readonly {
    readonly name: string
    readonly topicId: Uuid
    readonly partitions: readonly {
      readonly partitionIndex: number
      readonly committedOffset: Offset
      readonly committedLeaderEpoch: number
      readonly committedMetadata: string | null
    }[]
  }[]
}

export interface TopicCodes {
  readonly name: string
  readonly topicId: Uuid
  readonly partitions: { partitionIndex: number; errorCode: number }[]
}

/** The first version whose clients know GROUP_ID_NOT_FOUND as an answer to a commit. */
const GROUP_ID_NOT_FOUND_SINCE = 9

/** Whether this sender may commit for the group now. No group and no generation: a "simple" commit, which makes one;
 *  `isSimple` tells of a group that such commits have made, and that has no members. */
export function checkCommit(
  group: ClassicGroup | undefined,
  request: CommitRequest,
  apiVersion: number,
  isSimple: boolean
): number {
  const { generationIdOrMemberEpoch: generationId, memberId, groupInstanceId } = request
  if (!group) {
    if (generationId < 0) return ErrorCode.NONE
    if (isSimple) return ErrorCode.UNKNOWN_MEMBER_ID
    return apiVersion >= GROUP_ID_NOT_FOUND_SINCE ? ErrorCode.GROUP_ID_NOT_FOUND : ErrorCode.ILLEGAL_GENERATION
  }
  if (generationId < 0 && group.state === 'Empty') return ErrorCode.NONE
  if (generationId >= 0 || memberId !== '' || groupInstanceId !== null) {
    const errorCode = checkMember(group, memberId, groupInstanceId)
    if (errorCode !== ErrorCode.NONE) return errorCode
    if (generationId !== group.generationId) return ErrorCode.ILLEGAL_GENERATION
  } else if (group.state !== 'Empty') return ErrorCode.UNKNOWN_MEMBER_ID
  // While members prepare, commits of the old generation are its last words; afterwards the partitions have new owners.
  return group.state === 'CompletingRebalance' ? ErrorCode.REBALANCE_IN_PROGRESS : ErrorCode.NONE
}

export function decideCommit(request: CommitRequest, nowMs: TimestampMs, metadataMax: number): Decision<TopicCodes[]> {
  const records: GroupRecord[] = []
  const expireTimestamp = request.retentionTimeMs === -1 ? -1 : nowMs + request.retentionTimeMs
  const reply = request.topics.map(({ name, topicId, partitions }) => ({
    name,
    topicId,
    partitions: partitions.map(partition => {
      const { partitionIndex, committedOffset, committedLeaderEpoch, committedMetadata } = partition
      const metadata = committedMetadata ?? ''
      if (metadata.length > metadataMax) return { partitionIndex, errorCode: ErrorCode.OFFSET_METADATA_TOO_LARGE }
      const value: CommittedOffset = {
        offset: committedOffset,
        leaderEpoch: committedLeaderEpoch,
        metadata,
        commitTimestamp: nowMs,
        expireTimestamp,
        topicId
      }
      records.push({ kind: 'offset', group: request.groupId, topic: name, partition: partitionIndex, value })
      return { partitionIndex, errorCode: ErrorCode.NONE }
    })
  }))
  return { records, reply }
}

export interface FetchRequest {
  readonly groupId: string
  /** Null: every topic that the group has offsets of. */
  readonly topics:
    | readonly { readonly name: string; readonly topicId: Uuid; readonly partitionIndexes: readonly number[] }[]
    | null
  readonly requireStable: boolean
}

export interface FetchedTopic {
  readonly name: string
  readonly topicId: Uuid
  readonly partitions: FetchedPartition[]
}

export interface FetchedPartition {
  readonly partitionIndex: number
  readonly committedOffset: Offset
  readonly committedLeaderEpoch: number
  readonly metadata: string
  readonly errorCode: number
}

/** What `offsets`, those of the group, say of what is asked for. */
export function fetchOffsets(
  state: GroupsState,
  offsets: OffsetsByTopic | undefined,
  request: FetchRequest
): FetchedTopic[] {
  const topics = request.topics ?? allTopics(offsets)
  return topics.map(({ name, topicId, partitionIndexes }) => ({
    name,
    topicId,
    partitions: partitionIndexes.map(partition => {
      const isUnstable = request.requireStable && state.isUnstable(request.groupId, name, partition)
      if (isUnstable) return noOffset(partition, ErrorCode.UNSTABLE_OFFSET_COMMIT)
      return fetchOne(offsets?.get(name)?.get(partition), topicId, partition)
    })
  }))
}

export function noOffset(partitionIndex: number, errorCode: number): FetchedPartition {
  return { partitionIndex, committedOffset: -1, committedLeaderEpoch: -1, metadata: '', errorCode }
}

function fetchOne(found: CommittedOffset | undefined, topicId: Uuid, partition: number): FetchedPartition {
  // An offset of an earlier topic of this name says nothing about this one.
  if (!found || (found.topicId !== ZERO_UUID && topicId !== ZERO_UUID && found.topicId !== topicId)) {
    return noOffset(partition, ErrorCode.NONE)
  }
  return {
    partitionIndex: partition,
    committedOffset: found.offset,
    committedLeaderEpoch: found.leaderEpoch,
    metadata: found.metadata,
    errorCode: ErrorCode.NONE
  }
}

function allTopics(offsets: OffsetsByTopic | undefined): NonNullable<FetchRequest['topics']> {
  return [...(offsets ?? [])].map(([name, partitions]) => ({
    name,
    topicId: ZERO_UUID,
    partitionIndexes: [...partitions.keys()]
  }))
}

export interface DeleteRequest {
  readonly groupId: string
  readonly topics: readonly {
    readonly name: string
    readonly partitions: readonly { readonly partitionIndex: number }[]
  }[]
}

export interface DeletedTopic {
  readonly name: string
  readonly partitions: { partitionIndex: number; errorCode: number }[]
}

/** OffsetDelete (KIP-496): the offsets of topics that no member subscribes to may go while the group lives. */
export function decideDelete(
  state: GroupsState,
  group: ClassicGroup | undefined,
  request: DeleteRequest
): Decision<{ errorCode: number; topics: DeletedTopic[] }> {
  const { groupId } = request
  const refused = (errorCode: number) => ({ records: [], reply: { errorCode, topics: [] } })
  if (!group && !state.hasOffsets(groupId)) return refused(ErrorCode.GROUP_ID_NOT_FOUND)
  if (group && group.state !== 'Empty' && group.protocolType !== 'consumer') return refused(ErrorCode.NON_EMPTY_GROUP)
  const records: GroupRecord[] = []
  const topics = request.topics.map(({ name, partitions }) => {
    const isInUse = group !== undefined && isSubscribedTo(group, name)
    for (const { partitionIndex } of isInUse ? [] : partitions) {
      if (state.offset(groupId, name, partitionIndex)) records.push(offsetTombstone(groupId, name, partitionIndex))
    }
    const errorCode = isInUse ? ErrorCode.GROUP_SUBSCRIBED_TO_TOPIC : ErrorCode.NONE
    return { name, partitions: partitions.map(({ partitionIndex }) => ({ partitionIndex, errorCode })) }
  })
  return { records, reply: { errorCode: ErrorCode.NONE, topics } }
}

export function offsetTombstone(group: string, topic: string, partition: number): GroupRecord {
  return { kind: 'offset', group, topic, partition, value: null }
}

/**
 * The offsets of one group that are past their time (KIP-211): a live group's when nobody subscribes to their topic any
 * more and since the commit; an empty group's since it became empty; a group without members ever, since the commit.
 */
export function expiredOffsets(
  state: GroupsState,
  group: ClassicGroup | undefined,
  groupId: string,
  nowMs: TimestampMs,
  retentionMs: number
): { records: GroupRecord[]; allExpired: boolean } {
  const records: GroupRecord[] = []
  let remain = 0
  const since = expiryBasis(group)
  for (const { topic, partition, value } of state.offsetsOf(groupId)) {
    const isKept = since === null || (group !== undefined && isSubscribedTo(group, topic))
    const isExpired =
      value.expireTimestamp !== -1
        ? nowMs >= value.expireTimestamp
        : nowMs - (since === 'state' ? emptySince(group, value) : value.commitTimestamp) >= retentionMs
    if (!isKept && isExpired && !state.isUnstable(groupId, topic, partition)) {
      records.push(offsetTombstone(groupId, topic, partition))
    } else remain++
  }
  return { records, allExpired: remain === 0 }
}

/** Null: nothing expires now (ClassicGroup.offsetExpirationCondition). */
function expiryBasis(group: ClassicGroup | undefined): 'commit' | 'state' | null {
  if (!group || group.protocolType === null) return 'commit'
  if (group.state === 'Empty') return 'state'
  return group.protocolType === 'consumer' && group.subscribedTopics !== null && group.state === 'Stable'
    ? 'commit'
    : null
}

function emptySince(group: ClassicGroup | undefined, value: CommittedOffset): TimestampMs {
  const since = group?.stateTimestampMs ?? -1
  // A commit by an outsider while the group is empty shows that somebody still cares.
  return since === -1 ? value.commitTimestamp : Math.max(since, value.commitTimestamp)
}
