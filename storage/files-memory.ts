// A disk in memory that behaves as a real one may: nothing is durable before it is synced, a crash keeps some of the
// rest and loses some, syncs take effect when they return and cover only what was written when they began, and any
// operation can be made to fail. After `crash` this object is the dead process's view: its operations do nothing any more.
import path from 'node:path'
import { type DiskUsage, type FileStat, type Files, type OpenMode, storageFailure } from './files.ts'
import { type CrashKind, type Dice, MemoryDirectory, MemoryFile } from './memory-disk.ts'

export type FailingOperation = 'open' | 'write' | 'read' | 'truncate' | 'sync' | 'rename' | 'delete' | 'list' | 'stat'

/** An operation on a path that contains `path` fails with an operating system's error code. */
export interface Fault {
  readonly operation: FailingOperation
  readonly path: string
  readonly code: 'EIO' | 'ENOSPC' | 'EACCES' | 'EROFS'
  /** How often; for ever when it is left out. */
  times?: number
  /** How many calls go well before. */
  after?: number
}

export interface MemoryFilesOptions {
  /** Runs what completes later: reads, syncs. At once, but not in the same call, when it is left out. */
  readonly later?: (complete: () => void, operation: FailingOperation) => void
  readonly totalBytes?: number
  readonly nowMs?: () => number
}

interface Descriptor {
  readonly file: MemoryFile
  readonly path: string
}

const TERABYTE = 2 ** 40

export class MemoryFiles implements Files {
  /** As `totalBytes`: never full. */
  static readonly UNLIMITED_BYTES = TERABYTE
  readonly #o: MemoryFilesOptions
  readonly #root: MemoryDirectory
  readonly #descriptors = new Map<number, Descriptor>()
  #nextFd = 3
  #faults: Fault[] = []
  #isDead = false
  totalBytes: number
  /** Every call that changes or syncs something: `sync /dir/file`, in order of completion. */
  onOperation: ((operation: string, path: string, bytes: number) => void) | null = null

  constructor(o: MemoryFilesOptions = {}, root = new MemoryDirectory()) {
    this.#o = o
    this.#root = root
    this.totalBytes = o.totalBytes ?? TERABYTE
  }

  /** Power is lost: gives the disk that the next life finds. What still runs of this life can do no more harm. */
  crash(dice: Dice, kind: CrashKind = 'mixed'): MemoryFiles {
    this.#isDead = true
    const next = new MemoryFiles(this.#o, this.#root.afterCrash(dice, kind))
    next.totalBytes = this.totalBytes
    next.#faults = this.#faults
    return next
  }

  /** The process is killed and the machine goes on: what was written is there for the next life, what was not synced
   *  is still not durable. A sync that was under way may not have happened. */
  abandon(): MemoryFiles {
    this.#isDead = true
    const next = new MemoryFiles(this.#o, this.#root)
    next.totalBytes = this.totalBytes
    next.#faults = this.#faults
    return next
  }

  /** A disk forgets one bit of a file, in its pages and on its surface. False where there is no such byte. */
  flipBit(file: string, bit: number): boolean {
    const node = this.#nodeAt(file)
    return node instanceof MemoryFile && node.flipBit(bit)
  }

  /** Every file under a directory, in order of their names. */
  filesUnder(directory: string): string[] {
    const found: string[] = []
    const visit = (node: MemoryDirectory, at: string): void => {
      for (const name of [...node.entries.keys()].sort()) {
        const entry = node.entries.get(name)
        if (entry instanceof MemoryDirectory) visit(entry, path.join(at, name))
        else found.push(path.join(at, name))
      }
    }
    const start = this.#directoryAt(directory)
    if (start !== null) visit(start, directory)
    return found
  }

  /** Fills the buffer with what a loss of power would leave there for certain; gives how many bytes that are. */
  readDurable(file: string, buffer: Uint8Array, position: number): number {
    let node: MemoryFile | MemoryDirectory | undefined = this.#root
    for (const part of partsOf(file)) node = node instanceof MemoryDirectory ? node.durableEntries.get(part) : undefined
    return node instanceof MemoryFile ? node.readDurable(buffer, position) : 0
  }

  get usedBytes(): number {
    return usedBytes(this.#root)
  }

  inject(fault: Fault): void {
    this.#faults.push(fault)
  }

  /** Takes back one fault, or all. */
  heal(fault?: Fault): void {
    this.#faults = this.#faults.filter(each => fault !== undefined && each !== fault)
  }

  get openCount(): number {
    return this.#descriptors.size
  }

  #check(operation: FailingOperation, file: string): void {
    if (this.#isDead) throw storageFailure(operation, file, { code: 'crashed' })
    for (const fault of this.#faults) {
      if (fault.operation !== operation || !file.includes(fault.path)) continue
      if (fault.after !== undefined && fault.after > 0) {
        fault.after--
        continue
      }
      if (fault.times !== undefined && --fault.times <= 0) this.#faults = this.#faults.filter(other => other !== fault)
      throw storageFailure(operation, file, { code: fault.code })
    }
  }

  /** Runs `effect` later, unless the process has died by then: then the promise never settles. */
  #later<T>(operation: FailingOperation, effect: () => T): Promise<T> {
    return new Promise((resolve, reject) => {
      const complete = () => {
        if (this.#isDead) return
        try {
          resolve(effect())
        } catch (error) {
          reject(error)
        }
      }
      if (this.#o.later) this.#o.later(complete, operation)
      else queueMicrotask(complete)
    })
  }

  #parentOf(file: string): { parent: MemoryDirectory; name: string } {
    const parent = this.#directoryAt(path.dirname(file))
    if (!parent) throw storageFailure('open', file, { code: 'ENOENT' })
    return { parent, name: path.basename(file) }
  }

  #directoryAt(directory: string): MemoryDirectory | null {
    let node: MemoryDirectory = this.#root
    for (const part of partsOf(directory)) {
      const next = node.entries.get(part)
      if (!(next instanceof MemoryDirectory)) return null
      node = next
    }
    return node
  }

  #nodeAt(file: string): MemoryFile | MemoryDirectory | null {
    const parts = partsOf(file)
    if (parts.length === 0) return this.#root
    return this.#directoryAt(path.dirname(file))?.entries.get(parts[parts.length - 1] as string) ?? null
  }

  #descriptor(fd: number): Descriptor {
    const descriptor = this.#descriptors.get(fd)
    if (!descriptor) throw storageFailure('use', `file ${fd}`, { code: this.#isDead ? 'crashed' : 'EBADF' })
    return descriptor
  }

  open(file: string, mode: OpenMode): number {
    this.#check('open', file)
    const { parent, name } = this.#parentOf(file)
    let node = parent.entries.get(name)
    if (node instanceof MemoryDirectory) throw storageFailure('open', file, { code: 'EISDIR' })
    if (!node) {
      if (mode !== 'create') throw storageFailure('open', file, { code: 'ENOENT' })
      node = new MemoryFile()
      node.modifiedMs = this.#o.nowMs?.() ?? 0
      parent.apply([[name, node]])
    }
    const fd = this.#nextFd++
    this.#descriptors.set(fd, { file: node, path: file })
    return fd
  }

  close(fd: number): void {
    if (this.#isDead) return
    this.#descriptor(fd)
    this.#descriptors.delete(fd)
  }

  writev(fd: number, buffers: readonly Uint8Array[], position: number): void {
    const { file, path: name } = this.#descriptor(fd)
    const bytes = Buffer.concat(buffers)
    try {
      this.#check('write', name)
      const growth = Math.max(0, position + bytes.length - file.sizeInBytes)
      if (growth > this.#freeBytes()) throw storageFailure('write', name, { code: 'ENOSPC' })
    } catch (error) {
      // A refused write may have done a part of its work.
      if (!this.#isDead) file.write(bytes.subarray(0, bytes.length >> 1), position)
      throw error
    }
    file.write(bytes, position)
    file.modifiedMs = this.#o.nowMs?.() ?? 0
    this.onOperation?.('write', name, position + bytes.length)
  }

  readSync(fd: number, buffer: Uint8Array, position: number): number {
    const { file, path: name } = this.#descriptor(fd)
    this.#check('read', name)
    return file.read(buffer, position)
  }

  read(fd: number, buffer: Uint8Array, position: number): Promise<number> {
    const { file, path: name } = this.#descriptor(fd)
    return this.#later('read', () => {
      this.#check('read', name)
      return file.read(buffer, position)
    })
  }

  ftruncate(fd: number, sizeInBytes: number): void {
    const { file, path: name } = this.#descriptor(fd)
    this.#check('truncate', name)
    file.truncate(sizeInBytes)
    this.onOperation?.('truncate', name, sizeInBytes)
  }

  fdatasync(fd: number): Promise<void> {
    const { file, path: name } = this.#descriptor(fd)
    const sync = file.beginSync()
    return this.#later('sync', () => {
      try {
        this.#check('sync', name)
      } catch (error) {
        file.loseSync(sync)
        throw error
      }
      file.endSync(sync)
      this.onOperation?.('sync', name, sync.sizeInBytes)
    })
  }

  rename(from: string, to: string): void {
    this.#check('rename', from)
    const source = this.#parentOf(from)
    const target = this.#parentOf(to)
    const node = source.parent.entries.get(source.name)
    if (!node) throw storageFailure('rename', from, { code: 'ENOENT' })
    if (source.parent === target.parent) {
      source.parent.apply([
        [source.name, null],
        [target.name, node]
      ])
    } else {
      target.parent.apply([[target.name, node]])
      source.parent.apply([[source.name, null]])
    }
    this.onOperation?.('rename', to, 0)
  }

  sizeOf(file: string): number | null {
    this.#check('stat', file)
    const node = this.#nodeAt(file)
    return node instanceof MemoryFile ? node.sizeInBytes : null
  }

  readFileSync(file: string): Buffer | null {
    this.#check('read', file)
    const node = this.#nodeAt(file)
    if (!(node instanceof MemoryFile)) return null
    const bytes = Buffer.alloc(node.sizeInBytes)
    node.read(bytes, 0)
    return bytes
  }

  readFile(file: string): Promise<Buffer | null> {
    return this.#later('read', () => this.readFileSync(file))
  }

  stat(file: string): Promise<FileStat | null> {
    return this.#later('stat', () => {
      this.#check('stat', file)
      const node = this.#nodeAt(file)
      if (!node) return null
      const isDirectory = node instanceof MemoryDirectory
      return {
        sizeInBytes: isDirectory ? 0 : node.sizeInBytes,
        modifiedMs: isDirectory ? 0 : node.modifiedMs,
        isDirectory
      }
    })
  }

  readdir(directory: string): Promise<string[]> {
    return this.#later('list', () => {
      this.#check('list', directory)
      const node = this.#directoryAt(directory)
      if (!node) throw storageFailure('list', directory, { code: 'ENOENT' })
      return [...node.entries.keys()]
    })
  }

  mkdir(directory: string): Promise<void> {
    return this.#later('open', () => {
      this.#check('open', directory)
      let node = this.#root
      for (const part of partsOf(directory)) {
        let next = node.entries.get(part)
        if (next instanceof MemoryFile) throw storageFailure('create', directory, { code: 'ENOTDIR' })
        if (!next) {
          next = new MemoryDirectory()
          node.apply([[part, next]])
        }
        node = next
      }
    })
  }

  unlink(file: string): Promise<void> {
    return this.#later('delete', () => this.#remove(file))
  }

  removeDirectory(directory: string): Promise<void> {
    return this.#later('delete', () => this.#remove(directory))
  }

  #remove(file: string): void {
    this.#check('delete', file)
    const parent = this.#directoryAt(path.dirname(file))
    const name = path.basename(file)
    if (!parent?.entries.has(name)) return
    parent.apply([[name, null]])
    this.onOperation?.('delete', file, 0)
  }

  syncDirectory(directory: string): Promise<void> {
    const node = this.#directoryAt(directory)
    const count = node?.beginSync() ?? 0
    return this.#later('sync', () => {
      this.#check('sync', directory)
      if (!node) throw storageFailure('sync', directory, { code: 'ENOENT' })
      node.endSync(count)
      this.onOperation?.('sync', directory, 0)
    })
  }

  diskUsage(_path: string): Promise<DiskUsage> {
    return this.#later('stat', () => ({ freeBytes: this.#freeBytes(), totalBytes: this.totalBytes }))
  }

  #freeBytes(): number {
    return this.totalBytes === TERABYTE ? TERABYTE : Math.max(0, this.totalBytes - usedBytes(this.#root))
  }

  async writeFileAtomically(file: string, bytes: Uint8Array): Promise<void> {
    const temporary = `${file}.tmp`
    const fd = this.open(temporary, 'create')
    try {
      this.ftruncate(fd, 0)
      this.writev(fd, [bytes], 0)
      await this.fdatasync(fd)
    } finally {
      this.close(fd)
    }
    this.rename(temporary, file)
    await this.syncDirectory(path.dirname(file))
  }
}

/** The same few paths come again and again. */
const PARTS = new Map<string, readonly string[]>()
const PARTS_MAX = 4096

function partsOf(file: string): readonly string[] {
  const known = PARTS.get(file)
  if (known !== undefined) return known
  const parts = path
    .normalize(file)
    .split('/')
    .filter(part => part !== '' && part !== '.')
  if (PARTS.size >= PARTS_MAX) PARTS.clear()
  PARTS.set(file, parts)
  return parts
}

function usedBytes(directory: MemoryDirectory): number {
  let used = 0
  for (const node of directory.entries.values()) {
    used += node instanceof MemoryDirectory ? usedBytes(node) : node.sizeInBytes
  }
  return used
}
