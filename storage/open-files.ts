// The descriptors that the logs of one broker hold: bounded, least recently used closed first, so that 100,000 idle
// partitions hold none. A file that a read or a sync is using is pinned: never closed under it.
import assert from 'node:assert/strict'
import type { Files, OpenMode } from './files.ts'

/** One file that may be open. Only OpenFiles changes `fd` and `pins`. */
export interface OpenFile {
  path: string
  fd: number
  pins: number
  /** Called when the file was idle for so long that it was closed: what is cached for it may go too. */
  readonly onIdle: () => void
}

export const CLOSED = -1

export class OpenFiles {
  readonly #files: Files
  readonly #limit: number
  /** Open and not in use, in the order of their last use. */
  readonly #idle = new Set<OpenFile>()
  /** To be closed when the last pin is gone. */
  readonly #closing = new Set<OpenFile>()
  #count = 0

  constructor(files: Files, limit = 2048) {
    assert(limit > 0)
    this.#files = files
    this.#limit = limit
  }

  get count(): number {
    return this.#count
  }

  /** The descriptor, good until the next call of anything here. The file must be there. */
  use(file: OpenFile): number {
    return this.#use(file, 'write')
  }

  /** The descriptor of a file that is made when it is missing. */
  create(file: OpenFile): number {
    return this.#use(file, 'create')
  }

  #use(file: OpenFile, mode: OpenMode): number {
    if (file.fd === CLOSED) {
      this.#makeRoom(this.#limit - 1)
      file.fd = this.#files.open(file.path, mode)
      this.#count++
    } else this.#idle.delete(file)
    if (file.pins === 0) this.#idle.add(file)
    return file.fd
  }

  /** The descriptor, good until unpin. */
  pin(file: OpenFile): number {
    const fd = this.use(file)
    file.pins++
    this.#idle.delete(file)
    return fd
  }

  unpin(file: OpenFile): void {
    assert(file.pins > 0)
    file.pins--
    if (file.pins > 0) return
    this.#idle.add(file)
    if (this.#closing.delete(file)) this.close(file)
    else this.#makeRoom(this.#limit)
  }

  /** Closes now, or when the last pin is gone. */
  close(file: OpenFile): void {
    if (file.fd === CLOSED) return
    if (file.pins > 0) {
      this.#closing.add(file)
      return
    }
    this.#idle.delete(file)
    this.#files.close(file.fd)
    file.fd = CLOSED
    this.#count--
  }

  /** When every file is in use the limit is passed rather than an append refused. */
  #makeRoom(limit: number): void {
    while (this.#count > limit) {
      const [oldest] = this.#idle
      if (!oldest) return
      this.close(oldest)
      oldest.onIdle()
    }
  }
}
