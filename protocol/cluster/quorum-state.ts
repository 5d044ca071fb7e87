// The text of the quorum-state file beside __cluster_metadata: one JSON object. Version 0 goes with KRaft version 0 and
// lists the voters; version 1 (KIP-853) leaves them to the log and adds the directory id of the vote.

import { MoldauError } from '../failure.ts'
import { type BrokerId, type LeaderEpoch, type Uuid, ZERO_UUID } from '../types.ts'

export interface QuorumState {
  readonly version: 0 | 1
  /** -1: none known. */
  readonly leaderId: BrokerId
  readonly leaderEpoch: LeaderEpoch
  /** -1: no vote given in this epoch. */
  readonly votedId: BrokerId
  /** Zero in version 0, which cannot tell it. */
  readonly votedDirectoryId: Uuid
  /** Version 0 only; empty in version 1. */
  readonly currentVoters: readonly BrokerId[]
}

/** Kafka's key order, so that files compare byte by byte. */
export function formatQuorumState(state: QuorumState): string {
  const { version, leaderId, leaderEpoch, votedId, votedDirectoryId, currentVoters } = state
  if (version === 1) return JSON.stringify({ leaderId, leaderEpoch, votedId, votedDirectoryId, data_version: 1 })
  const voters = currentVoters.map(voterId => ({ voterId }))
  return JSON.stringify({
    clusterId: '',
    leaderId,
    leaderEpoch,
    votedId,
    appliedOffset: 0,
    currentVoters: voters,
    data_version: 0
  })
}

/** A text that is not a quorum state is ERR_MALFORMED: a node that guessed its vote could vote twice. */
export function parseQuorumState(text: string): QuorumState {
  let json: unknown
  try {
    json = JSON.parse(text)
  } catch (cause) {
    throw new MoldauError('ERR_MALFORMED', 'quorum-state is not JSON', { cause })
  }
  if (typeof json !== 'object' || json === null) throw new MoldauError('ERR_MALFORMED', 'quorum-state is no object')
  const fields = json as Record<string, unknown>
  const version = fields.data_version
  if (version !== 0 && version !== 1) {
    throw new MoldauError('ERR_UNSUPPORTED_VERSION', `quorum-state of version ${String(version)}`)
  }
  return {
    version,
    leaderId: int32(fields, 'leaderId'),
    leaderEpoch: int32(fields, 'leaderEpoch'),
    votedId: int32(fields, 'votedId'),
    votedDirectoryId: version === 1 ? directoryId(fields.votedDirectoryId) : ZERO_UUID,
    currentVoters: version === 0 ? voterIds(fields.currentVoters) : []
  }
}

function int32(fields: Record<string, unknown>, name: string): number {
  const value = fields[name]
  if (typeof value !== 'number' || (value | 0) !== value) {
    throw new MoldauError('ERR_MALFORMED', `quorum-state: ${name} is no int32`)
  }
  return value
}

function directoryId(value: unknown): Uuid {
  if (typeof value === 'string' && /^[\w-]{22}$/.test(value)) return value
  throw new MoldauError('ERR_MALFORMED', 'quorum-state: votedDirectoryId is no uuid')
}

function voterIds(value: unknown): BrokerId[] {
  if (value === null) return []
  if (!Array.isArray(value)) throw new MoldauError('ERR_MALFORMED', 'quorum-state: currentVoters is no list')
  return value.map(voter => int32(Object(voter) as Record<string, unknown>, 'voterId'))
}
