// The live side of one classic consumer group: who is in it, who waits for what, and until when. Only step.ts and its
// parts (join.ts, sync.ts, leave.ts, rebalance.ts, expire.ts) change it; nothing of it is replayed but what a
// GroupMetadataValue holds. Invariants: joinedCount = members with a parked join; supportCounts[name] = members that
// list the protocol; every instance id maps to a member; a pending member is never a member.
import type { GroupMetadata } from './records.ts'
import { subscribedTopicsOf } from './subscription.ts'

/** Kafka's names, as DescribeGroups and ListGroups show them (ClassicGroupState.java). */
export type GroupState = 'Empty' | 'PreparingRebalance' | 'CompletingRebalance' | 'Stable' | 'Dead'

/** Names a parked request; the shard holds the reply's promise under it. */
export type Token = number

/** The instant of an input: wall time goes into records, monotonic time into deadlines. Both in milliseconds. */
export interface Now {
  readonly wallMs: number
  readonly monotonicMs: number
}

export interface Protocol {
  readonly name: string
  readonly metadata: Buffer
}

export interface Member {
  readonly memberId: string
  /** Static membership (KIP-345). */
  readonly groupInstanceId: string | null
  clientId: string
  clientHost: string
  rebalanceTimeoutMs: number
  sessionTimeoutMs: number
  readonly protocolType: string
  protocols: readonly Protocol[]
  assignment: Buffer
  /** True until its first join was answered: such a member may expire although its join is parked. */
  isNew: boolean
  join: Token | null
  sync: Token | null
  /** The session's end on the monotonic clock. */
  deadlineMs: number
}

/** What a record being appended will do once it is committed. */
export type Store =
  | { readonly purpose: 'assignment'; readonly generationId: number; readonly assignments: ReadonlyMap<string, Buffer> }
  | {
      readonly purpose: 'static'
      readonly memberId: string
      readonly join: Token
      readonly skipAssignment: boolean
      readonly leader: string
    }
  | { readonly purpose: 'empty' }

/** Why a group rebalanced, or otherwise changed its state: kept for people who ask "why did my group rebalance?". */
export interface Cause {
  readonly atMs: number
  readonly generationId: number
  readonly from: GroupState
  readonly to: GroupState
  readonly reason: string
}

export interface ClassicGroup {
  readonly groupId: string
  state: GroupState
  previousState: GroupState
  /** Wall time of the last change of state; -1 where an old record did not say. */
  stateTimestampMs: number
  protocolType: string | null
  protocolName: string | null
  generationId: number
  leaderId: string | null
  readonly members: Map<string, Member>
  /** groupInstanceId -> memberId. */
  readonly instances: Map<string, string>
  /** Ids given out with MEMBER_ID_REQUIRED whose join has not come yet -> end of that wait (KIP-394). */
  readonly pendingJoins: Map<string, number>
  /** Members of this generation whose SyncGroup has not come yet. */
  readonly pendingSyncs: Set<string>
  readonly supportCounts: Map<string, number>
  joinedCount: number
  /** A member came while the first rebalance waited: it waits on (group.initial.rebalance.delay.ms). */
  newMemberAdded: boolean
  /** What remains of the longest wait of a first rebalance; null outside of one. */
  initialRemainingMs: number | null
  joinDeadlineMs: number
  syncDeadlineMs: number
  /** Lower bound of every deadline in this group, so that nobody has to look earlier. */
  checkAtMs: number
  /** Topics of the current generation; null where they are unknown (not a consumer group, or unreadable). */
  subscribedTopics: ReadonlySet<string> | null
  readonly stores: Map<number, Store>
  lastTicket: number
  readonly history: Cause[]
}

export const HISTORY_MAX = 32
export const NO_ASSIGNMENT: Buffer = Buffer.alloc(0)

export function createGroup(groupId: string, wallMs: number): ClassicGroup {
  return {
    groupId,
    state: 'Empty',
    previousState: 'Dead',
    stateTimestampMs: wallMs,
    protocolType: null,
    protocolName: null,
    generationId: 0,
    leaderId: null,
    members: new Map(),
    instances: new Map(),
    pendingJoins: new Map(),
    pendingSyncs: new Set(),
    supportCounts: new Map(),
    joinedCount: 0,
    newMemberAdded: false,
    initialRemainingMs: null,
    joinDeadlineMs: Infinity,
    syncDeadlineMs: Infinity,
    checkAtMs: Infinity,
    subscribedTopics: null,
    stores: new Map(),
    lastTicket: 0,
    history: []
  }
}

/** A group as its last stored generation says; its members are given a session by the step's `loaded`. */
export function groupFrom(groupId: string, stored: GroupMetadata): ClassicGroup {
  const group = createGroup(groupId, stored.currentStateTimestamp)
  group.generationId = stored.generation
  group.protocolName = stored.protocol
  group.leaderId = stored.leader
  for (const each of stored.members) {
    addMember(group, {
      memberId: each.memberId,
      groupInstanceId: each.groupInstanceId,
      clientId: each.clientId,
      clientHost: each.clientHost,
      rebalanceTimeoutMs: each.rebalanceTimeout === -1 ? each.sessionTimeout : each.rebalanceTimeout,
      sessionTimeoutMs: each.sessionTimeout,
      protocolType: stored.protocolType,
      protocols: [{ name: stored.protocol ?? '', metadata: each.subscription }],
      assignment: each.assignment,
      isNew: false,
      join: null,
      sync: null,
      deadlineMs: Infinity
    })
  }
  group.protocolType = stored.protocolType === '' ? null : stored.protocolType
  group.state = stored.members.length > 0 ? 'Stable' : 'Empty'
  group.subscribedTopics = computeSubscribedTopics(group)
  return group
}

export function addMember(group: ClassicGroup, member: Member): void {
  if (group.members.size === 0) group.protocolType = member.protocolType
  group.leaderId ??= member.memberId
  if (member.groupInstanceId !== null) group.instances.set(member.groupInstanceId, member.memberId)
  group.members.set(member.memberId, member)
  group.pendingJoins.delete(member.memberId)
  countSupport(group, member, 1)
  if (member.join !== null) group.joinedCount++
}

/** Takes a member or a pending member out; the oldest of the others leads then. Its parked requests are the caller's. */
export function removeMember(group: ClassicGroup, memberId: string): void {
  const member = group.members.get(memberId)
  if (member) {
    group.members.delete(memberId)
    countSupport(group, member, -1)
    if (member.join !== null) group.joinedCount--
    if (member.groupInstanceId !== null) group.instances.delete(member.groupInstanceId)
  }
  if (group.leaderId === memberId) group.leaderId = firstOf(group.members.keys())
  group.pendingJoins.delete(memberId)
  group.pendingSyncs.delete(memberId)
}

export function setProtocols(group: ClassicGroup, member: Member, protocols: readonly Protocol[]): void {
  countSupport(group, member, -1)
  member.protocols = protocols
  countSupport(group, member, 1)
}

export function hasAllJoined(group: ClassicGroup): boolean {
  return group.joinedCount === group.members.size && group.pendingJoins.size === 0
}

export function isLeader(group: ClassicGroup, memberId: string): boolean {
  return group.leaderId === memberId
}

/** The longest of the members' rebalance time-outs. */
export function rebalanceTimeoutMs(group: ClassicGroup): number {
  let longest = 0
  for (const member of group.members.values()) longest = Math.max(longest, member.rebalanceTimeoutMs)
  return longest
}

/** Whether a member with these protocols fits: any into an empty group, else one that every member supports. */
export function supportsProtocols(group: ClassicGroup, protocolType: string, protocols: readonly Protocol[]): boolean {
  if (group.state === 'Empty') return protocolType !== '' && protocols.length > 0
  if (group.protocolType !== protocolType) return false
  return protocols.some(protocol => (group.supportCounts.get(protocol.name) ?? 0) === group.members.size)
}

/** Each member votes for the first of its protocols that all support; most votes win, the leader's order breaks a tie. */
export function selectProtocol(group: ClassicGroup): string {
  const votes = new Map<string, number>()
  const leader = group.members.get(group.leaderId ?? '')
  for (const protocol of leader?.protocols ?? []) if (isCommon(group, protocol.name)) votes.set(protocol.name, 0)
  for (const member of group.members.values()) {
    const choice = member.protocols.find(protocol => isCommon(group, protocol.name))
    if (choice) votes.set(choice.name, (votes.get(choice.name) ?? 0) + 1)
  }
  let best = ''
  let most = -1
  for (const [name, count] of votes) {
    if (count > most) {
      best = name
      most = count
    }
  }
  return best
}

/** The member's metadata for the protocol in use. */
export function metadataOf(member: Member, protocolName: string | null): Buffer {
  return member.protocols.find(protocol => protocol.name === protocolName)?.metadata ?? NO_ASSIGNMENT
}

/** Recomputed with each generation; what OffsetDelete and expiry must not touch. */
export function computeSubscribedTopics(group: ClassicGroup): ReadonlySet<string> | null {
  if (group.protocolType !== 'consumer') return null
  const all = new Set<string>()
  if (group.members.size === 0) return all
  if (group.protocolName === null) return null
  for (const member of group.members.values()) {
    const topics = subscribedTopicsOf(metadataOf(member, group.protocolName))
    if (topics === null) return null
    for (const topic of topics) all.add(topic)
  }
  return all
}

/** As ClassicGroup.isSubscribedToTopic: a consumer group whose topics are unknown counts as subscribed to all. */
export function isSubscribedTo(group: ClassicGroup, topic: string): boolean {
  return group.subscribedTopics?.has(topic) ?? group.protocolType === 'consumer'
}

/** Tells the shard to look at this group not later than `atMs`. */
export function checkBy(group: ClassicGroup, atMs: number): void {
  if (atMs < group.checkAtMs) group.checkAtMs = atMs
}

/** The earliest deadline; O(members), called when the last lower bound was reached. */
export function earliestDeadline(group: ClassicGroup): number {
  let earliest = Math.min(group.joinDeadlineMs, group.syncDeadlineMs)
  for (const member of group.members.values()) earliest = Math.min(earliest, member.deadlineMs)
  for (const deadlineMs of group.pendingJoins.values()) earliest = Math.min(earliest, deadlineMs)
  return earliest
}

function isCommon(group: ClassicGroup, name: string): boolean {
  return group.supportCounts.get(name) === group.members.size
}

function countSupport(group: ClassicGroup, member: Member, by: 1 | -1): void {
  for (const name of new Set(member.protocols.map(protocol => protocol.name))) {
    const count = (group.supportCounts.get(name) ?? 0) + by
    if (count === 0) group.supportCounts.delete(name)
    else group.supportCounts.set(name, count)
  }
}

function firstOf(ids: Iterable<string>): string | null {
  for (const id of ids) return id
  return null
}
