// What people and tools see of groups: DescribeGroups and ListGroups, as ClassicGroup and GroupMetadataManager show them.
import { ErrorCode } from '../../protocol/errors.ts'
import { type ClassicGroup, metadataOf, NO_ASSIGNMENT } from './classic-group.ts'
import type { GroupsState } from './state.ts'

export interface DescribedGroup {
  errorCode: number
  errorMessage: string | null
  groupId: string
  groupState: string
  protocolType: string
  protocolData: string
  members: {
    memberId: string
    groupInstanceId: string | null
    clientId: string
    clientHost: string
    memberMetadata: Buffer
    memberAssignment: Buffer
  }[]
}

export interface ListedGroup {
  groupId: string
  protocolType: string
  groupState: string
  groupType: string
}

/** From here on a group that does not exist is an error; before, it is "Dead" (KIP-1043). */
const NOT_FOUND_SINCE = 6

export function undescribed(groupId: string, errorCode: number): DescribedGroup {
  return { errorCode, errorMessage: null, groupId, groupState: '', protocolType: '', protocolData: '', members: [] }
}

export function describeGroup(
  state: GroupsState,
  group: ClassicGroup | undefined,
  groupId: string,
  apiVersion: number
): DescribedGroup {
  if (!group) {
    if (state.hasOffsets(groupId) && !state.foreign.has(groupId)) {
      return { ...undescribed(groupId, ErrorCode.NONE), groupState: 'Empty' }
    }
    const dead = { ...undescribed(groupId, ErrorCode.NONE), groupState: 'Dead' }
    if (apiVersion < NOT_FOUND_SINCE) return dead
    const foreign = state.foreign.get(groupId)
    const errorMessage = foreign ? `Group ${groupId} is not a classic group.` : `Group ${groupId} not found.`
    return { ...dead, errorCode: ErrorCode.GROUP_ID_NOT_FOUND, errorMessage }
  }
  const isStable = group.state === 'Stable'
  return {
    errorCode: ErrorCode.NONE,
    errorMessage: null,
    groupId,
    groupState: group.state,
    protocolType: group.protocolType ?? '',
    protocolData: isStable ? (group.protocolName ?? '') : '',
    members: [...group.members.values()].map(member => ({
      memberId: member.memberId,
      groupInstanceId: member.groupInstanceId,
      clientId: member.clientId,
      clientHost: member.clientHost,
      memberMetadata: isStable ? metadataOf(member, group.protocolName) : NO_ASSIGNMENT,
      memberAssignment: member.assignment
    }))
  }
}

/** Filters are Kafka's names in any case; a group type that does not exist matches nothing. */
export function listGroups(
  state: GroupsState,
  live: ReadonlyMap<string, ClassicGroup>,
  filters: { readonly statesFilter: readonly string[]; readonly typesFilter: readonly string[] }
): ListedGroup[] {
  const states = new Set(filters.statesFilter.map(each => each.trim().toLowerCase()))
  const types = new Set(filters.typesFilter.map(each => each.trim().toLowerCase()))
  if (types.size > 0 && !types.has('classic')) return []
  const listed: ListedGroup[] = []
  const add = (groupId: string, protocolType: string, groupState: string): void => {
    if (states.size > 0 && !states.has(groupState.toLowerCase())) return
    listed.push({ groupId, protocolType, groupState, groupType: 'classic' })
  }
  for (const group of live.values()) add(group.groupId, group.protocolType ?? '', group.state)
  for (const groupId of state.offsets.keys()) {
    if (!live.has(groupId) && !state.foreign.has(groupId)) add(groupId, '', 'Empty')
  }
  return listed
}
