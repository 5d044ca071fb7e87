// How a member gets into a generation: coordinator, JoinGroup, and SyncGroup with the assignment if it is the leader. The
// assignment is by ranges, over the partitions of one topic.
import { decodeAssignment, encodeAssignment, encodeSubscription } from '../../../protocol/cluster/consumer-protocol.ts'
import { ErrorCode } from '../../../protocol/errors.ts'
import { findCoordinator } from '../../../protocol/messages/find-coordinator.ts'
import { joinGroup } from '../../../protocol/messages/join-group.ts'
import { syncGroup } from '../../../protocol/messages/sync-group.ts'
import type { MemberOptions } from './member.ts'

const VERSIONS = { findCoordinator: 3, joinGroup: 7, syncGroup: 5 }
const SESSION_MS = 10_000
const REBALANCE_MS = 12_000
const PATIENCE_MS = 4000
const PROTOCOL = { protocolType: 'consumer', protocolName: 'range' }

export interface Membership {
  readonly nodeId: number
  readonly memberId: string
  /** -1: joining has to begin again, under this member id. */
  readonly generationId: number
  readonly partitions: readonly number[]
}

/** Null: that did not work, try again. */
export async function memberOf(o: MemberOptions, memberId: string): Promise<Membership | null> {
  const { courier, group } = o
  const find = { key: group.groupId, keyType: 0 }
  const found = await courier.ask(courier.anyNode(), findCoordinator, VERSIONS.findCoordinator, find, PATIENCE_MS)
  if (found.kind !== 'answered' || found.response.errorCode !== ErrorCode.NONE) return null
  const { nodeId } = found.response
  const request = {
    ...{ groupId: group.groupId, sessionTimeoutMs: SESSION_MS, rebalanceTimeoutMs: REBALANCE_MS, memberId },
    protocolType: PROTOCOL.protocolType,
    protocols: [
      { name: PROTOCOL.protocolName, metadata: encodeSubscription(1, { topics: [o.topic], ownedPartitions: [] }) }
    ]
  }
  const joined = await courier.ask(nodeId, joinGroup, VERSIONS.joinGroup, request, REBALANCE_MS + PATIENCE_MS)
  if (joined.kind !== 'answered') return null
  const { errorCode, generationId, leader, members, memberId: mine } = joined.response
  const again = { nodeId, generationId: -1, partitions: [] }
  if (errorCode === ErrorCode.MEMBER_ID_REQUIRED) return { ...again, memberId: mine }
  if (errorCode === ErrorCode.UNKNOWN_MEMBER_ID && memberId !== '') return { ...again, memberId: '' }
  if (errorCode !== ErrorCode.NONE) return null
  const assignments =
    leader === mine
      ? assign(
          o,
          members.map(each => each.memberId)
        )
      : []
  const sync = { groupId: group.groupId, generationId, memberId: mine, ...PROTOCOL, assignments }
  const synced = await courier.ask(nodeId, syncGroup, VERSIONS.syncGroup, sync, REBALANCE_MS + PATIENCE_MS)
  if (synced.kind !== 'answered') return { ...again, memberId: mine }
  const { errorCode: syncError, assignment } = synced.response
  if (syncError === ErrorCode.UNKNOWN_MEMBER_ID) return { ...again, memberId: '' }
  if (syncError !== ErrorCode.NONE) return { ...again, memberId: mine }
  const partitions =
    assignment.length === 0 ? [] : (decodeAssignment(assignment).assignment.assignedPartitions[0]?.partitions ?? [])
  return { nodeId, memberId: mine, generationId, partitions }
}

function assign(o: MemberOptions, memberIds: string[]): { memberId: string; assignment: Buffer }[] {
  const sorted = [...memberIds].sort()
  const count = o.ledgers.length
  const each = Math.ceil(count / sorted.length)
  return sorted.map((memberId, index) => {
    const partitions = Array.from({ length: count }, (_, at) => at).slice(index * each, (index + 1) * each)
    const assignedPartitions = partitions.length === 0 ? [] : [{ topic: o.topic, partitions }]
    return { memberId, assignment: encodeAssignment(1, { assignedPartitions }) }
  })
}
