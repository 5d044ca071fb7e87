// What a broker waits for while it starts, in words for whoever runs it: a node of a cluster goes on only with others, and
// who mistyped one of them must not look at an empty terminal. Said after a while, and again from time to time.
import type { BrokerId } from '../protocol/types.ts'
import type { Clock } from './clock.ts'
import type { VoterAddress } from './config.ts'
import type { Logger } from './log.ts'

/** Where a broker is between its open ports and its end. */
export type Stage = 'storage' | 'quorum' | 'logs' | 'registration' | 'unfencing' | 'entered' | 'stopping'

/** What this node knows of its metadata quorum. */
export interface QuorumFacts {
  readonly voters: readonly VoterAddress[]
  /** Nothing is known of an earlier life: it goes on with all voters, or with a leader's metadata. */
  readonly isFresh: boolean
  /** -1: nobody leads, as far as this node knows. */
  readonly leaderId: BrokerId
  /** Why a voter cannot be talked to; who answered last time is not in it. */
  readonly troubles: ReadonlyMap<BrokerId, string>
}

/** One line, or null where it waits for nothing. `quorum` is null before the metadata is loaded. */
export function waitingFor(stage: Stage, quorum: QuorumFacts | null): string | null {
  if (stage === 'entered' || stage === 'stopping') return null
  if (stage === 'storage' || quorum === null) return 'waiting for the log directory to be opened'
  if (stage === 'logs') return 'waiting for the logs of partitions to be opened'
  const leader = quorum.voters.find(({ nodeId }) => nodeId === quorum.leaderId)
  if (leader === undefined) return waitingForLeader(quorum)
  const trouble = quorum.troubles.get(leader.nodeId)
  const who = shown(leader) + (trouble === undefined ? '' : `: ${trouble}`)
  if (stage === 'quorum') return `waiting for the metadata of the quorum's leader, ${who}`
  if (stage === 'registration') return `waiting to be registered by the controller, ${who}`
  return `registered, waiting to be unfenced by the controller, ${who}`
}

function waitingForLeader({ voters, isFresh, troubles }: QuorumFacts): string {
  const missing = voters.flatMap(each => {
    const trouble = troubles.get(each.nodeId)
    return trouble === undefined ? [] : [`${shown(each)}: ${trouble}`]
  })
  if (missing.length === 0) missing.push('no leader is elected yet')
  // replication/quorum/election.ts: an empty directory cannot know what it promised before.
  const needed = isFresh
    ? `a new cluster needs all ${voters.length} voters at its first start`
    : `it needs ${Math.floor(voters.length / 2) + 1} of ${voters.length} voters`
  return `waiting for the metadata quorum: ${missing.join('; ')}; ${needed}`
}

function shown({ nodeId, host, port }: VoterAddress): string {
  return `voter ${nodeId} at ${host.includes(':') ? `[${host}]` : host}:${port}`
}

/** An ordinary start of three takes one or two seconds; and a request without an answer is given up after two. */
const FIRST_MS = 3000
const AGAIN_MS = 30_000

export interface TellWhileWaitingOptions {
  readonly clock: Clock
  readonly log: Logger
  /** Null: no more, and it is not asked again. */
  readonly waitingFor: () => string | null
}

/** Gives the way to end it. */
export function tellWhileWaiting({ clock, log, waitingFor }: TellWhileWaitingOptions): () => void {
  const beganMs = clock.monotonicMs()
  const look = (): void => {
    const why = waitingFor()
    if (why === null) return
    log.warn({ why, seconds: Math.round((clock.monotonicMs() - beganMs) / 1000) }, 'start-waits')
    timer = clock.after(AGAIN_MS, look)
  }
  let timer = clock.after(FIRST_MS, look)
  return () => timer.cancel()
}
