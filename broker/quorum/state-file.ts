// The file quorum-state: the epoch, the leader and the vote of this node, as Kafka writes them (version 0, voters that do
// not change). It is what makes a vote a promise: on the disk before anybody hears of it.
import path from 'node:path'
import { formatQuorumState, parseQuorumState, type QuorumState } from '../../protocol/cluster/quorum-state.ts'
import { isFailure, MoldauError } from '../../protocol/failure.ts'
import { type BrokerId, ZERO_UUID } from '../../protocol/types.ts'
import type { StoredVote } from '../../replication/quorum/state.ts'
import type { Files } from '../../storage/files.ts'

const QUORUM_STATE = 'quorum-state'

/** Null at the first start of all. Other voters than configured are another quorum: two leaders could be elected. */
export async function readQuorumState(
  files: Files,
  directory: string,
  voters: readonly BrokerId[]
): Promise<StoredVote | null> {
  const file = path.join(directory, QUORUM_STATE)
  const bytes = await files.readFile(file)
  if (bytes === null) return null
  const state = stateIn(file, bytes.toString('utf8'))
  const known = new Set(state.currentVoters)
  if (state.version !== 0 || known.size !== voters.length || !voters.every(id => known.has(id))) {
    const who = state.version === 0 ? `the voters [${state.currentVoters}]` : 'voters that change at run time'
    throw new MoldauError('ERR_WRONG_DIRECTORY', `${file}: it names ${who}, this node is configured with [${voters}]`)
  }
  return state
}

/** Durable when it resolves. */
export async function forgetQuorumState(files: Files, directory: string): Promise<void> {
  await files.unlink(path.join(directory, QUORUM_STATE))
  await files.syncDirectory(directory)
}

/** Durable when it resolves. */
export function writeQuorumState(
  files: Files,
  directory: string,
  voters: readonly BrokerId[],
  { leaderEpoch, leaderId, votedId }: StoredVote
): Promise<void> {
  const state = { version: 0, leaderId, leaderEpoch, votedId, votedDirectoryId: ZERO_UUID } as const
  const text = formatQuorumState({ ...state, currentVoters: voters })
  return files.writeFileAtomically(path.join(directory, QUORUM_STATE), Buffer.from(text), true)
}

function stateIn(file: string, text: string): QuorumState {
  try {
    return parseQuorumState(text)
  } catch (error) {
    if (!isFailure(error)) throw error
    throw new MoldauError(error.code, `${file}: ${error.message}`, { cause: error })
  }
}
