// The real disk. At most (pool size - 2) data syncs are in flight, so that reads, and the syncs of the metadata log and
// the quorum state, always find a thread of libuv's pool; reads have half of the threads at most, and each for a slice at a
// time, so that syncs do not wait for those who catch up. The pool's size is fixed at its first use (UV_THREADPOOL_SIZE,
// set before by the command line).
import fs from 'node:fs'
import path from 'node:path'
import { promisify } from 'node:util'
import { type DiskUsage, type FileStat, type Files, type OpenMode, storageFailure } from './files.ts'

const fsync = promisify(fs.fsync)

/** writev(2) takes at most this many buffers (IOV_MAX on Linux). */
const BUFFERS_MAX = 1024

/** What one trip to the pool reads. */
const READ_SLICE_BYTES = 1024 * 1024

const FLAGS: Record<OpenMode, number> = {
  read: fs.constants.O_RDONLY,
  write: fs.constants.O_RDWR,
  create: fs.constants.O_RDWR | fs.constants.O_CREAT
}

interface WaitingSync {
  readonly fd: number
  readonly resolve: () => void
  readonly reject: (error: Error) => void
}

export class NodeFiles implements Files {
  readonly #syncsMax: number
  #syncs = 0
  /** Data syncs that wait for a thread, first come first served; `#waitingFrom` is the head. */
  #waiting: WaitingSync[] = []
  #waitingFrom = 0
  readonly #readsMax: number
  #reads = 0
  /** Slices that wait for a thread. */
  readonly #waitingReads: (() => void)[] = []
  /** For what is told about a failure: as it was called when it was opened. */
  readonly #paths = new Map<number, string>()

  constructor(threadPoolSize = Number(process.env.UV_THREADPOOL_SIZE) || 4) {
    this.#syncsMax = Math.max(1, threadPoolSize - 2)
    this.#readsMax = Math.max(1, Math.floor(threadPoolSize / 2))
  }

  open(file: string, mode: OpenMode): number {
    try {
      const fd = fs.openSync(file, FLAGS[mode], 0o644)
      this.#paths.set(fd, file)
      return fd
    } catch (error) {
      throw storageFailure('open', file, error)
    }
  }

  close(fd: number): void {
    // Nothing depends on close: durability comes from fdatasync alone.
    this.#paths.delete(fd)
    fs.close(fd, () => {})
  }

  writev(fd: number, buffers: readonly Uint8Array[], position: number): void {
    try {
      for (let from = 0; from < buffers.length; from += BUFFERS_MAX) {
        const some = buffers.length <= BUFFERS_MAX ? buffers : buffers.slice(from, from + BUFFERS_MAX)
        position = writeAll(fd, some, position)
      }
    } catch (error) {
      throw this.#failure('write', fd, error)
    }
  }

  readSync(fd: number, buffer: Uint8Array, position: number): number {
    try {
      let count = 0
      while (count < buffer.length) {
        const read = fs.readSync(fd, buffer, count, buffer.length - count, position + count)
        if (read === 0) break
        count += read
      }
      return count
    } catch (error) {
      throw this.#failure('read', fd, error)
    }
  }

  read(fd: number, buffer: Uint8Array, position: number): Promise<number> {
    return new Promise((resolve, reject) => {
      let count = 0
      const more = () => {
        const wanted = Math.min(READ_SLICE_BYTES, buffer.length - count)
        fs.read(fd, buffer, count, wanted, position + count, (error, read) => {
          this.#readEnded()
          if (error) return reject(this.#failure('read', fd, error))
          count += read
          if (read === 0 || count === buffer.length) resolve(count)
          else this.#startRead(more)
        })
      }
      if (buffer.length === 0) resolve(0)
      else this.#startRead(more)
    })
  }

  #startRead(start: () => void): void {
    if (this.#reads === this.#readsMax) {
      this.#waitingReads.push(start)
      return
    }
    this.#reads++
    start()
  }

  #readEnded(): void {
    this.#reads--
    const next = this.#waitingReads.shift()
    if (next) this.#startRead(next)
  }

  ftruncate(fd: number, sizeInBytes: number): void {
    try {
      fs.ftruncateSync(fd, sizeInBytes)
    } catch (error) {
      throw this.#failure('truncate', fd, error)
    }
  }

  fdatasync(fd: number, urgent = false): Promise<void> {
    return new Promise((resolve, reject) => {
      if (urgent) {
        fs.fdatasync(fd, error => (error ? reject(this.#failure('sync', fd, error)) : resolve()))
      } else if (this.#syncs < this.#syncsMax) this.#startSync({ fd, resolve, reject })
      else this.#waiting.push({ fd, resolve, reject })
    })
  }

  #startSync(sync: WaitingSync): void {
    this.#syncs++
    fs.fdatasync(sync.fd, error => {
      this.#syncs--
      this.#startWaiting()
      if (error) sync.reject(this.#failure('sync', sync.fd, error))
      else sync.resolve()
    })
  }

  #startWaiting(): void {
    const next = this.#waiting[this.#waitingFrom]
    if (!next) return
    this.#waitingFrom++
    if (this.#waitingFrom === this.#waiting.length) {
      this.#waiting = []
      this.#waitingFrom = 0
    }
    this.#startSync(next)
  }

  #failure(operation: string, fd: number, cause: unknown): Error {
    return storageFailure(operation, this.#paths.get(fd) ?? `file ${fd}`, cause)
  }

  rename(from: string, to: string): void {
    try {
      fs.renameSync(from, to)
    } catch (error) {
      throw storageFailure('rename', from, error)
    }
  }

  sizeOf(file: string): number | null {
    try {
      return fs.statSync(file, { throwIfNoEntry: false })?.size ?? null
    } catch (error) {
      throw storageFailure('stat', file, error)
    }
  }

  readFileSync(file: string): Buffer | null {
    try {
      return fs.readFileSync(file)
    } catch (error) {
      if (isMissing(error)) return null
      throw storageFailure('read', file, error)
    }
  }

  // A start asks these five times for every log. Four trips to the thread pool for a file of 50 bytes cost ten times
  // what the system calls do, so these are done at once; whoever opens many logs gives the loop its turns (catalog.ts).

  async readFile(file: string): Promise<Buffer | null> {
    return this.readFileSync(file)
  }

  async stat(file: string): Promise<FileStat | null> {
    try {
      const stat = fs.statSync(file, { throwIfNoEntry: false })
      return stat ? { sizeInBytes: stat.size, modifiedMs: stat.mtimeMs, isDirectory: stat.isDirectory() } : null
    } catch (error) {
      throw storageFailure('stat', file, error)
    }
  }

  async readdir(directory: string): Promise<string[]> {
    try {
      return fs.readdirSync(directory)
    } catch (error) {
      throw storageFailure('list', directory, error)
    }
  }

  async mkdir(directory: string): Promise<void> {
    await attempt('create', directory, makeDirectory(directory))
  }

  unlink(file: string): Promise<void> {
    return attempt('delete', file, fs.promises.rm(file, { force: true }))
  }

  removeDirectory(directory: string): Promise<void> {
    return attempt('delete', directory, fs.promises.rm(directory, { recursive: true, force: true }))
  }

  async syncDirectory(directory: string): Promise<void> {
    const fd = this.open(directory, 'read')
    try {
      await attempt('sync', directory, fsync(fd))
    } finally {
      // Nothing of a directory goes with its descriptor: no work for another thread.
      this.#paths.delete(fd)
      fs.closeSync(fd)
    }
  }

  async diskUsage(directory: string): Promise<DiskUsage> {
    const stat = await attempt('statfs', directory, fs.promises.statfs(directory))
    return { freeBytes: stat.bavail * stat.bsize, totalBytes: stat.blocks * stat.bsize }
  }

  async writeFileAtomically(file: string, bytes: Uint8Array, urgent = false): Promise<void> {
    const temporary = `${file}.tmp`
    const fd = this.open(temporary, 'create')
    try {
      this.ftruncate(fd, 0)
      this.writev(fd, [bytes], 0)
      await this.fdatasync(fd, urgent)
    } finally {
      this.close(fd)
    }
    this.rename(temporary, file)
    await this.syncDirectory(path.dirname(file))
  }
}

/** The kernel may take less than it was given; then the rest goes again. Returns the position after the last byte. */
function writeAll(fd: number, buffers: readonly Uint8Array[], position: number): number {
  let total = 0
  for (const buffer of buffers) total += buffer.length
  let written =
    buffers.length === 1
      ? fs.writeSync(fd, buffers[0] as Uint8Array, 0, total, position)
      : fs.writevSync(fd, buffers as Uint8Array[], position)
  while (written < total) {
    const rest = Buffer.concat(buffers).subarray(written)
    const more = fs.writeSync(fd, rest, 0, rest.length, position + written)
    if (more === 0) throw Object.assign(new Error('the system wrote nothing'), { code: 'EIO' })
    written += more
  }
  return position + total
}

async function attempt<T>(operation: string, file: string, result: Promise<T>): Promise<T> {
  try {
    return await result
  } catch (error) {
    throw storageFailure(operation, file, error)
  }
}

function isMissing(error: unknown): boolean {
  return (error as { code?: string }).code === 'ENOENT'
}

/** Makes `name` a second name of `existing`, which is made when it is missing. False where the file system has no hard
 *  links (or the two lie on different ones); then `name` is left as it was. */
export function hardLink(existing: string, name: string): boolean {
  try {
    fs.closeSync(fs.openSync(existing, 'a'))
    const inode = fs.statSync(existing).ino
    if (fs.statSync(name, { throwIfNoEntry: false })?.ino === inode) return true
    const temporary = `${name}.tmp`
    fs.rmSync(temporary, { force: true })
    try {
      fs.linkSync(existing, temporary)
    } catch {
      return false
    }
    fs.renameSync(temporary, name)
    return true
  } catch (error) {
    throw storageFailure('open', existing, error)
  }
}

/** Removes the entries of a directory that `doomed` names. */
export function removeEntries(directory: string, doomed: (name: string) => boolean): void {
  try {
    for (const name of fs.readdirSync(directory).filter(doomed)) {
      fs.rmSync(path.join(directory, name), { recursive: true, force: true })
    }
  } catch (error) {
    throw storageFailure('delete', directory, error)
  }
}

/** With its parents. Not by `recursive`: that never returns where a parent exists and yet takes no directory (/proc). */
async function makeDirectory(directory: string): Promise<void> {
  try {
    await fs.promises.mkdir(directory)
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException
    if (code === 'EEXIST' && fs.statSync(directory).isDirectory()) return
    const parent = path.dirname(directory)
    if (code !== 'ENOENT' || fs.existsSync(parent)) throw error
    await makeDirectory(parent)
    await makeDirectory(directory)
  }
}
