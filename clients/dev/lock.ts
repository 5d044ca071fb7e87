// One `moldau dev` at a time in a directory: a second one would give the nodes of a running cluster other ports at their
// next start. The lock is of the kind that a log directory has, so it ends with the process that holds it, however that
// one ends.
import { mkdirSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { isFailure, MoldauError } from '../../protocol/failure.ts'
import { openLevelStore } from '../../storage/snapshot-cache.ts'

const LOCK_FILE = '.lock'
/** LevelDB has the lock, and wants a directory for it. */
const LOCK_DIRECTORY = '.moldau-dev'

export interface HeldDirectory {
  release(): Promise<void>
}

/** Makes the directory where there is none. Throws ERR_LOCKED while another holds it, ERR_STORAGE where it cannot be written. */
export async function holdDirectory(path: string): Promise<HeldDirectory> {
  const directory = resolve(path)
  const home = join(directory, LOCK_DIRECTORY)
  try {
    mkdirSync(home, { recursive: true })
    const store = await openLevelStore(home, join(directory, LOCK_FILE))
    return { release: () => store.close() }
  } catch (error) {
    if (isFailure(error, 'ERR_LOCKED')) {
      const what = `directory ${directory}: a cluster is running in it already; stop that one, or give another --data`
      throw new MoldauError('ERR_LOCKED', what, { cause: error })
    }
    throw new MoldauError('ERR_STORAGE', `directory ${directory}: ${(error as Error).message}`, { cause: error })
  }
}
