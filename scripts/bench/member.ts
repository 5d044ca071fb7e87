// Members of classic groups, by hand: join, sync, beat. A client library would cost more than the broker that is measured.
import { heartbeat } from '../../protocol/messages/heartbeat.ts'
import { joinGroup } from '../../protocol/messages/join-group.ts'
import { syncGroup } from '../../protocol/messages/sync-group.ts'
import { ask, untilDone } from './cluster.ts'
import type { Pipe } from './pipe.ts'

const ILLEGAL_GENERATION = 22
const REBALANCE_IN_PROGRESS = 27
const MEMBER_ID_REQUIRED = 79
/** Coordinator loading, not available, or another: it comes. */
const TRANSIENT = new Set([14, 15, 16])
const SESSION_MS = 60_000

export interface Membership {
  readonly group: string
  readonly memberId: string
  readonly generationId: number
}

export interface Joined extends Membership {
  /** Members of the generation, as its leader was told; -1 for the others. */
  readonly members: number
}

const SUBSCRIPTION = Buffer.from('00010000000100056f726465720000000000000000', 'hex')

/** Joins and syncs, again and again until a generation has come to its end. */
export async function join(pipe: Pipe, group: string, known = ''): Promise<Joined> {
  let memberId = known
  const request = () =>
    ask(pipe, joinGroup, 5, {
      ...{ groupId: group, sessionTimeoutMs: SESSION_MS, rebalanceTimeoutMs: SESSION_MS, memberId },
      protocolType: 'consumer',
      protocols: [{ name: 'range', metadata: SUBSCRIPTION }]
    })
  return await untilDone(`a place in ${group}`, async () => {
    let joined = await request()
    if (joined.errorCode === MEMBER_ID_REQUIRED) {
      memberId = joined.memberId
      joined = await request()
    }
    if (TRANSIENT.has(joined.errorCode)) return null
    if (joined.errorCode !== 0) throw new Error(`join failed with error ${joined.errorCode}`)
    memberId = joined.memberId
    const { generationId } = joined
    const isLeader = joined.leader === memberId
    const assignments = isLeader
      ? joined.members.map(each => ({ memberId: each.memberId, assignment: Buffer.alloc(8) }))
      : []
    const synced = await ask(pipe, syncGroup, 3, { groupId: group, generationId, memberId, assignments })
    if (synced.errorCode === REBALANCE_IN_PROGRESS || synced.errorCode === ILLEGAL_GENERATION) return null
    if (TRANSIENT.has(synced.errorCode)) return null
    if (synced.errorCode !== 0) throw new Error(`sync failed with error ${synced.errorCode}`)
    return { group, memberId, generationId, members: isLeader ? joined.members.length : -1 }
  })
}

/** The only member of a group of its own. */
export async function joinAlone(pipe: Pipe, group: string): Promise<Membership> {
  return await join(pipe, group)
}

/** Whether its generation still is the group's. */
export async function isStable(pipe: Pipe, { group, memberId, generationId }: Membership): Promise<boolean> {
  const { errorCode } = await ask(pipe, heartbeat, 3, { groupId: group, generationId, memberId })
  if (errorCode === REBALANCE_IN_PROGRESS || errorCode === ILLEGAL_GENERATION) return false
  if (errorCode !== 0) throw new Error(`heartbeat failed with error ${errorCode}`)
  return true
}
