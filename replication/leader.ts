// The leader's side of one partition: who is in sync, and up to where records are committed. Pure: inputs in, effects
// out; broker/partition.ts performs the effects. What must hold: the high watermark never goes back and never passes
// the synced end of any broker that the controller may count as in sync. One replica runs exactly this code.
import type { BrokerId, LeaderEpoch, Offset, TimestampMs } from '../protocol/types.ts'

/** What the leader knows of one other replica (server/.../replica/Replica.java, ReplicaState). */
interface Follower {
  /** Its synced end, as its last fetch said; -1 until it has fetched from this leader. */
  logEndOffset: Offset
  logStartOffset: Offset
  /** The broker epoch its fetches carry, -1 when they carry none (before Fetch v15). */
  brokerEpoch: number
  lastFetchMs: TimestampMs
  /** The leader's end when it last fetched: reaching it later means that it was caught up back then. */
  leaderEndAtLastFetch: Offset
  lastCaughtUpMs: TimestampMs
}

/** A proposal whose outcome is not known: the controller may have accepted it already. */
interface Proposal {
  readonly isr: readonly BrokerId[]
}

export interface Leader {
  readonly nodeId: BrokerId
  readonly leaderEpoch: LeaderEpoch
  /** The log end offset when this reign began. */
  readonly epochStartOffset: Offset
  partitionEpoch: number
  isr: ReadonlySet<BrokerId>
  proposal: Proposal | null
  readonly followers: Map<BrokerId, Follower>
  /** Broker epochs of the brokers that may join the in-sync set: registered, not fenced, not shutting down (KIP-903). */
  eligible: ReadonlyMap<BrokerId, number>
  /** The topic's setting; what counts is the effective one, see effectiveMinIsr. */
  minInsyncReplicas: number
  replicaLagTimeMaxMs: number
  logStartOffset: Offset
  logEndOffset: Offset
  syncedEndOffset: Offset
  highWatermark: Offset
  /** Elected without being in sync, and the controller does not know yet that the log is good: it hears so at once. */
  isRecovering: boolean
  /** After a refusal nothing is proposed before this time. */
  proposeFromMs: TimestampMs
  /** The newest time that any input brought. */
  nowMs: TimestampMs
}

/** A follower that the controller refused asks again with each fetch; the proposals do not. */
const REFUSAL_PAUSE_MS = 100

export type Input =
  /** Records were given offsets; nothing is durable yet. */
  | { readonly kind: 'appended'; readonly logEndOffset: Offset }
  /** The own copy is as durable as the flush policy wants it up to here. */
  | { readonly kind: 'synced'; readonly syncedEndOffset: Offset }
  /** A follower asks for records from here on, so it has synced everything before. */
  | {
      readonly kind: 'fetched'
      readonly by: BrokerId
      readonly from: Offset
      readonly logStartOffset: Offset
      readonly brokerEpoch: number
      readonly nowMs: TimestampMs
    }
  | { readonly kind: 'ticked'; readonly nowMs: TimestampMs }
  /** What the committed metadata says now. */
  | {
      readonly kind: 'isr-decided'
      readonly isr: readonly BrokerId[]
      readonly partitionEpoch: number
      readonly replicas?: readonly BrokerId[]
      /** Absent: as before. */
      readonly isRecovering?: boolean
      readonly nowMs: TimestampMs
    }
  /** The controller took the proposal that was made at that partition epoch; or there was nothing to change. */
  | {
      readonly kind: 'isr-answered'
      readonly proposedAt: number
      readonly isr: readonly BrokerId[]
      readonly partitionEpoch: number
      readonly isRecovering: boolean
      readonly nowMs: TimestampMs
    }
  /** The controller surely did not take that proposal (INELIGIBLE_REPLICA, OPERATION_NOT_ATTEMPTED). */
  | { readonly kind: 'isr-refused'; readonly proposedAt: number; readonly nowMs: TimestampMs }
  | { readonly kind: 'brokers-changed'; readonly eligible: ReadonlyMap<BrokerId, number>; readonly nowMs: TimestampMs }
  /** Retention or DeleteRecords moved the own log start. */
  | { readonly kind: 'start-offset'; readonly logStartOffset: Offset }
  | { readonly kind: 'configured'; readonly minInsyncReplicas: number; readonly replicaLagTimeMaxMs: number }

export type Effect =
  | { readonly kind: 'advance-high-watermark'; readonly to: Offset }
  /** AlterPartition to the controller; only one is open at a time (Partition.scala, isInflight). */
  | {
      readonly kind: 'propose-isr'
      readonly isr: readonly { readonly brokerId: BrokerId; readonly brokerEpoch: number }[]
      readonly leaderEpoch: LeaderEpoch
      readonly partitionEpoch: number
    }

export interface Reign {
  readonly nodeId: BrokerId
  readonly leaderEpoch: LeaderEpoch
  readonly partitionEpoch: number
  readonly replicas: readonly BrokerId[]
  readonly isr: readonly BrokerId[]
  readonly eligible: ReadonlyMap<BrokerId, number>
  readonly minInsyncReplicas: number
  readonly replicaLagTimeMaxMs: number
  readonly logStartOffset: Offset
  readonly logEndOffset: Offset
  readonly syncedEndOffset: Offset
  /** The checkpointed one, or what the broker knew as a follower. */
  readonly highWatermark: Offset
  readonly isRecovering?: boolean
  readonly nowMs: TimestampMs
}

/** A new reign. Members of the in-sync set get one lag time to show up (Replica.java, resetReplicaState). */
export function lead(reign: Reign): Leader {
  const isr = new Set(reign.isr)
  const leader: Leader = {
    nodeId: reign.nodeId,
    leaderEpoch: reign.leaderEpoch,
    epochStartOffset: reign.logEndOffset,
    partitionEpoch: reign.partitionEpoch,
    isr,
    proposal: null,
    followers: new Map(),
    eligible: reign.eligible,
    minInsyncReplicas: reign.minInsyncReplicas,
    replicaLagTimeMaxMs: reign.replicaLagTimeMaxMs,
    logStartOffset: reign.logStartOffset,
    logEndOffset: reign.logEndOffset,
    syncedEndOffset: reign.syncedEndOffset,
    highWatermark: Math.max(reign.logStartOffset, Math.min(reign.highWatermark, reign.logEndOffset)),
    isRecovering: reign.isRecovering ?? false,
    proposeFromMs: Number.NEGATIVE_INFINITY,
    nowMs: reign.nowMs
  }
  keepFollowers(leader, reign.replicas)
  return leader
}

/** The only way in. The first input after lead() is usually 'synced' with the synced end at that time. */
export function step(leader: Leader, input: Input): Effect[] {
  const effects: Effect[] = []
  if ('nowMs' in input) leader.nowMs = Math.max(leader.nowMs, input.nowMs)
  switch (input.kind) {
    case 'appended':
      leader.logEndOffset = Math.max(leader.logEndOffset, input.logEndOffset)
      break
    case 'synced':
      leader.syncedEndOffset = Math.max(leader.syncedEndOffset, input.syncedEndOffset)
      leader.logEndOffset = Math.max(leader.logEndOffset, leader.syncedEndOffset)
      recover(leader, effects)
      break
    case 'fetched':
      fetched(leader, input, effects)
      break
    case 'ticked':
      recover(leader, effects)
      shrink(leader, effects)
      break
    case 'isr-decided':
      decided(leader, input)
      break
    case 'isr-answered':
      if (input.partitionEpoch > leader.partitionEpoch && dropsSome(leader, input.isr)) break
      // By then the metadata may have brought the outcome, and another proposal may be open.
      if (input.partitionEpoch >= leader.partitionEpoch && input.proposedAt === leader.partitionEpoch) {
        leader.proposal = null
      }
      decided(leader, input)
      break
    case 'isr-refused':
      if (input.proposedAt !== leader.partitionEpoch) break
      leader.proposal = null
      leader.proposeFromMs = leader.nowMs + REFUSAL_PAUSE_MS
      break
    case 'brokers-changed':
      leader.eligible = input.eligible
      break
    case 'start-offset':
      leader.logStartOffset = Math.max(leader.logStartOffset, input.logStartOffset)
      break
    case 'configured':
      leader.minInsyncReplicas = input.minInsyncReplicas
      leader.replicaLagTimeMaxMs = input.replicaLagTimeMaxMs
      break
    default:
      input satisfies never
  }
  advance(leader, effects)
  return effects
}

/** min.insync.replicas never asks for more copies than the partition has (Partition.scala, effectiveMinIsr). */
export function effectiveMinIsr(leader: Leader): number {
  return Math.min(leader.minInsyncReplicas, leader.followers.size + 1)
}

/** A late request of a life of that broker before the one that is registered, or that fetched here already (KIP-903). */
export function isOfEarlierLife(leader: Leader, id: BrokerId, brokerEpoch: number): boolean {
  if (brokerEpoch === -1) return false
  return brokerEpoch < Math.max(leader.followers.get(id)?.brokerEpoch ?? -1, leader.eligible.get(id) ?? -1)
}

/** True: an acks=all append is refused with NOT_ENOUGH_REPLICAS, and nothing more is committed (KIP-966). */
export function isUnderMinIsr(leader: Leader): boolean {
  return leader.isr.size < effectiveMinIsr(leader)
}

/** What read_committed readers may see: below the first record of an undecided transaction, if there is one. */
export function lastStableOffset(leader: Leader, firstUndecidedOffset: Offset | null): Offset {
  return firstUndecidedOffset === null ? leader.highWatermark : Math.min(leader.highWatermark, firstUndecidedOffset)
}

/** The smallest log start of all live replicas: DeleteRecords answers when it has passed the asked offset. */
export function lowWatermark(leader: Leader): Offset {
  let low = leader.logStartOffset
  for (const [id, follower] of leader.followers) {
    if (leader.eligible.has(id)) low = Math.min(low, follower.logStartOffset)
  }
  return low
}

/**
 * The high watermark is the smallest synced end over the maximal in-sync set: the decided one together with the open
 * proposal, because the controller may already have accepted an expansion, and may not yet have accepted a shrinking.
 * A follower that is caught up and only waits for its place counts too, or it could never catch the moving mark
 * (Partition.scala, maybeIncrementLeaderHW). Nothing is committed below min ISR (KIP-966, strict min ISR).
 */
function advance(leader: Leader, effects: Effect[]): void {
  if (isUnderMinIsr(leader)) return
  let to = leader.syncedEndOffset
  for (const [id, follower] of leader.followers) {
    if (follower.logEndOffset >= to) continue
    if (isInMaximalIsr(leader, id) || (isCaughtUp(leader, follower) && mayJoin(leader, id, follower))) {
      to = follower.logEndOffset
    }
  }
  if (to <= leader.highWatermark) return
  leader.highWatermark = to
  effects.push({ kind: 'advance-high-watermark', to })
}

function fetched(leader: Leader, input: Input & { kind: 'fetched' }, effects: Effect[]): void {
  const follower = leader.followers.get(input.by)
  if (!follower || input.from > leader.logEndOffset) return
  if (isOfEarlierLife(leader, input.by, input.brokerEpoch)) return
  if (!leader.isr.has(input.by) && hasBegunAnew(follower, input)) {
    follower.lastCaughtUpMs = Number.NEGATIVE_INFINITY
    follower.lastFetchMs = -1
  }
  if (input.from >= leader.logEndOffset) {
    follower.lastCaughtUpMs = Math.max(follower.lastCaughtUpMs, input.nowMs)
  } else if (follower.lastFetchMs >= 0 && input.from >= follower.leaderEndAtLastFetch) {
    follower.lastCaughtUpMs = Math.max(follower.lastCaughtUpMs, follower.lastFetchMs)
  }
  follower.logEndOffset = input.from
  follower.logStartOffset = input.logStartOffset
  follower.brokerEpoch = input.brokerEpoch
  follower.lastFetchMs = input.nowMs
  follower.leaderEndAtLastFetch = leader.logEndOffset
  if (leader.proposal || leader.isr.has(input.by) || !mayJoin(leader, input.by, follower)) return
  if (leader.nowMs < leader.proposeFromMs) return
  if (input.from < leader.highWatermark || input.from < leader.epochStartOffset) return
  propose(leader, [...leader.isr, input.by], effects)
}

/** A new life, or less than it had: that it was caught up before says nothing of how far it is now. */
function hasBegunAnew(follower: Follower, input: Input & { kind: 'fetched' }): boolean {
  return follower.lastFetchMs >= 0 && (input.brokerEpoch > follower.brokerEpoch || input.from < follower.logEndOffset)
}

/** What the controller hears of the log is that it is whole, such as it is: there is no other (LeaderRecoveryState). */
function recover(leader: Leader, effects: Effect[]): void {
  if (leader.isRecovering && leader.proposal === null) propose(leader, [...leader.isr], effects)
}

function shrink(leader: Leader, effects: Effect[]): void {
  if (leader.proposal || leader.nowMs < leader.proposeFromMs) return
  const remaining = [...leader.isr].filter(id => {
    const follower = leader.followers.get(id)
    return id === leader.nodeId || (follower !== undefined && isCaughtUp(leader, follower))
  })
  if (remaining.length < leader.isr.size) propose(leader, remaining, effects)
}

function propose(leader: Leader, isr: readonly BrokerId[], effects: Effect[]): void {
  leader.proposal = { isr }
  effects.push({
    kind: 'propose-isr',
    isr: isr.map(brokerId => ({ brokerId, brokerEpoch: leader.followers.get(brokerId)?.brokerEpoch ?? -1 })),
    leaderEpoch: leader.leaderEpoch,
    partitionEpoch: leader.partitionEpoch
  })
}

/** A smaller set counts once the metadata has brought it, and with it the min.insync.replicas by which the controller took
 *  the dropped ones for eligible leaders or not: who had read only the answer might commit without one of those. */
function dropsSome(leader: Leader, isr: readonly BrokerId[]): boolean {
  return [...leader.isr].some(id => !isr.includes(id))
}

function decided(leader: Leader, input: Input & { kind: 'isr-decided' | 'isr-answered' }): void {
  // An answer that was overtaken by newer metadata.
  if (input.partitionEpoch < leader.partitionEpoch) return
  // The same epoch again says nothing about an open proposal, unless there was none.
  if (input.partitionEpoch > leader.partitionEpoch) leader.proposal = null
  leader.partitionEpoch = input.partitionEpoch
  // Who was taken out may be gone and come back far behind: the mark waits for it again once it has caught up.
  for (const id of leader.isr) {
    const follower = input.isr.includes(id) ? undefined : leader.followers.get(id)
    if (follower) follower.lastCaughtUpMs = Number.NEGATIVE_INFINITY
  }
  leader.isr = new Set(input.isr)
  if (input.isRecovering !== undefined) leader.isRecovering = input.isRecovering
  if (input.kind === 'isr-decided' && input.replicas) keepFollowers(leader, input.replicas)
}

function keepFollowers(leader: Leader, replicas: readonly BrokerId[]): void {
  for (const id of leader.followers.keys()) if (!replicas.includes(id)) leader.followers.delete(id)
  for (const id of replicas) {
    if (id === leader.nodeId || leader.followers.has(id)) continue
    leader.followers.set(id, {
      logEndOffset: -1,
      logStartOffset: -1,
      brokerEpoch: -1,
      lastFetchMs: -1,
      leaderEndAtLastFetch: -1,
      lastCaughtUpMs: leader.isr.has(id) ? leader.nowMs : Number.NEGATIVE_INFINITY
    })
  }
}

function isInMaximalIsr(leader: Leader, id: BrokerId): boolean {
  return leader.isr.has(id) || leader.proposal?.isr.includes(id) === true
}

function isCaughtUp(leader: Leader, follower: Follower): boolean {
  return (
    follower.logEndOffset === leader.logEndOffset ||
    leader.nowMs - follower.lastCaughtUpMs <= leader.replicaLagTimeMaxMs
  )
}

/** Its registration and its fetches must come from the same life of that broker (KIP-903). */
function mayJoin(leader: Leader, id: BrokerId, follower: Follower): boolean {
  const registered = leader.eligible.get(id)
  return registered !== undefined && (follower.brokerEpoch === -1 || follower.brokerEpoch === registered)
}
