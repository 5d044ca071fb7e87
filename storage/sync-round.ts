// One round of a log's syncs, all at the same time: its files with unsynced bytes, and its directory where a file in it is
// new. Files are pinned until the whole round is over. A failure is told at once, the end of the round when nothing of it
// runs any more: until then the files must not be closed. With one file, the common case, it costs two promises.
import assert from 'node:assert/strict'
import type { Files } from './files.ts'
import type { OpenFile, OpenFiles } from './open-files.ts'

export interface SyncRoundOptions {
  readonly files: Files
  readonly openFiles: OpenFiles
  readonly isUrgent: boolean
  /** Each sync that failed. */
  readonly onFailed: (error: unknown) => void
  /** Nothing of the round runs any more, whatever became of it. */
  readonly onOver: () => void
}

export class SyncRound {
  readonly #o: SyncRoundOptions
  readonly #pinned: OpenFile[] = []
  #running = 0

  constructor(o: SyncRoundOptions) {
    this.#o = o
  }

  get isRunning(): boolean {
    return this.#running > 0
  }

  /** Never ends within the call. */
  start(files: Iterable<{ readonly file: OpenFile }>, directory: string | null): void {
    assert(this.#running === 0, 'one round at a time')
    for (const { file } of files) this.#await(this.#sync(file))
    if (directory !== null) this.#await(this.#o.files.syncDirectory(directory))
    if (this.#running === 0) this.#await(Promise.resolve())
  }

  #sync(file: OpenFile): Promise<void> {
    const { files, openFiles, isUrgent } = this.#o
    try {
      const fd = openFiles.pin(file)
      this.#pinned.push(file)
      return files.fdatasync(fd, isUrgent)
    } catch (error) {
      return Promise.reject(error)
    }
  }

  #await(synced: Promise<void>): void {
    this.#running++
    synced.then(this.#ended, this.#failed)
  }

  readonly #failed = (error: unknown): void => {
    this.#o.onFailed(error)
    this.#ended()
  }

  readonly #ended = (): void => {
    if (--this.#running > 0) return
    for (const file of this.#pinned) this.#o.openFiles.unpin(file)
    this.#pinned.length = 0
    this.#o.onOver()
  }
}
