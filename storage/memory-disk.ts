// What a crash leaves of one file and of one directory. A file remembers, sector by sector, what is durable and what is
// only in its pages; a directory remembers its durable entries and the changes since. At a crash each unsynced sector is
// kept or lost by itself (so writes tear), a size falls anywhere between the durable and the newest one, and a
// directory keeps the first few of its unsynced changes, in order, as a journal does.

export interface Dice {
  /** A random integer with 0 <= n < limit. */
  below(limit: number): number
}

export const SECTOR_BYTES = 512

/** keep: nothing is lost (a killed process). drop: everything unsynced is. mixed: each sector and entry by itself. */
export type CrashKind = 'keep' | 'drop' | 'mixed'

/** What one fdatasync covers: the pages as they were when it was called. */
export interface PendingSync {
  readonly sectors: { readonly index: number; readonly version: number; readonly bytes: Buffer }[]
  readonly sizeInBytes: number
  readonly sizeVersion: number
}

export class MemoryFile {
  modifiedMs = 0
  sizeInBytes = 0
  #pages: Buffer = Buffer.alloc(0)
  #durable: Buffer = Buffer.alloc(0)
  #durableSize = 0
  /** Sector -> version of its last unsynced write. */
  #dirty = new Map<number, number>()
  #version = 0
  #sizeVersion = 0
  #isSizeDirty = false

  read(buffer: Uint8Array, position: number): number {
    const count = Math.max(0, Math.min(buffer.length, this.sizeInBytes - position))
    // Behind the end there is nothing, which is no error to a disk, but one to newer versions of Node.
    if (count > 0) this.#pages.copy(buffer, 0, position, position + count)
    return count
  }

  /** As `read`, of what a loss of power would leave for certain. */
  readDurable(buffer: Uint8Array, position: number): number {
    const count = Math.max(0, Math.min(buffer.length, this.#durableSize - position))
    if (count > 0) this.#durable.copy(buffer, 0, position, position + count)
    return count
  }

  write(bytes: Uint8Array, position: number): void {
    const end = position + bytes.length
    if (end > this.#pages.length) this.#pages = grown(this.#pages, end)
    this.#pages.set(bytes, position)
    this.#touch(Math.min(position, this.sizeInBytes), end)
    if (end > this.sizeInBytes) this.#setSize(end)
  }

  truncate(sizeInBytes: number): void {
    if (sizeInBytes > this.#pages.length) this.#pages = grown(this.#pages, sizeInBytes)
    this.#pages.fill(0, sizeInBytes)
    for (const sector of this.#dirty.keys()) if (sector * SECTOR_BYTES >= sizeInBytes) this.#dirty.delete(sector)
    if (sizeInBytes % SECTOR_BYTES > 0) this.#touch(sizeInBytes, sizeInBytes)
    if (sizeInBytes !== this.sizeInBytes) this.#setSize(sizeInBytes)
  }

  #setSize(sizeInBytes: number): void {
    this.sizeInBytes = sizeInBytes
    this.#sizeVersion++
    this.#isSizeDirty = true
  }

  #touch(from: number, upto: number): void {
    const version = ++this.#version
    const last = Math.floor(Math.max(from, upto - 1) / SECTOR_BYTES)
    for (let sector = Math.floor(from / SECTOR_BYTES); sector <= last; sector++) this.#dirty.set(sector, version)
  }

  beginSync(): PendingSync {
    const sectors = [...this.#dirty].map(([index, version]) => {
      const bytes = Buffer.from(this.#pages.subarray(index * SECTOR_BYTES, (index + 1) * SECTOR_BYTES))
      return { index, version, bytes }
    })
    return { sectors, sizeInBytes: this.sizeInBytes, sizeVersion: this.#sizeVersion }
  }

  endSync(sync: PendingSync): void {
    for (const { index, version, bytes } of sync.sectors) {
      this.#putDurable(index, bytes)
      if (this.#dirty.get(index) === version) this.#dirty.delete(index)
    }
    this.#durableSize = sync.sizeInBytes
    // Blocks behind a durable end are free: what was in them does not come back.
    this.#durable.fill(0, sync.sizeInBytes)
    if (this.#sizeVersion === sync.sizeVersion) this.#isSizeDirty = false
  }

  /** What a failed fdatasync does: the pages count as clean, and no later sync will write them. */
  loseSync(sync: PendingSync): void {
    for (const { index, version } of sync.sectors) if (this.#dirty.get(index) === version) this.#dirty.delete(index)
  }

  #putDurable(sector: number, bytes: Buffer): void {
    const end = sector * SECTOR_BYTES + bytes.length
    if (end > this.#durable.length) this.#durable = grown(this.#durable, end)
    bytes.copy(this.#durable, sector * SECTOR_BYTES)
  }

  flipBit(bit: number): boolean {
    const at = bit >> 3
    if (at >= this.sizeInBytes) return false
    for (const bytes of [this.#pages, this.#durable])
      if (at < bytes.length) bytes[at] = (bytes[at] as number) ^ (1 << (bit & 7))
    return true
  }

  /** The file that the next life finds. */
  afterCrash(dice: Dice, kind: CrashKind): MemoryFile {
    const file = new MemoryFile()
    file.modifiedMs = this.modifiedMs
    const size = this.#isSizeDirty ? sizeAfterCrash(dice, kind, this.#durableSize, this.sizeInBytes) : this.#durableSize
    const bytes = Buffer.alloc(size)
    this.#durable.copy(bytes, 0, 0, Math.min(size, this.#durable.length))
    for (const sector of this.#dirty.keys()) {
      const from = sector * SECTOR_BYTES
      const isKept = kind === 'keep' || (kind === 'mixed' && dice.below(2) === 0)
      if (isKept && from < size) this.#pages.copy(bytes, from, from, Math.min(from + SECTOR_BYTES, size))
    }
    file.#pages = bytes
    file.#durable = Buffer.from(bytes)
    file.sizeInBytes = file.#durableSize = size
    return file
  }
}

function sizeAfterCrash(dice: Dice, kind: CrashKind, durable: number, newest: number): number {
  if (kind === 'keep') return newest
  if (kind === 'drop') return durable
  const choice = dice.below(3)
  if (choice === 0) return durable
  if (choice === 1 || newest <= durable) return newest
  return durable + dice.below(newest - durable + 1)
}

function grown(bytes: Buffer, size: number): Buffer {
  const result = Buffer.alloc(Math.max(size, bytes.length * 2, 4096))
  bytes.copy(result)
  return result
}

export type Node = MemoryFile | MemoryDirectory

/** One unsynced change of a directory: names that got a node or lost theirs, all at once. */
type Change = readonly (readonly [name: string, node: Node | null])[]

export class MemoryDirectory {
  readonly entries = new Map<string, Node>()
  #durable = new Map<string, Node>()
  #changes: Change[] = []

  apply(change: Change): void {
    applyTo(this.entries, change)
    this.#changes.push(change)
  }

  get durableEntries(): ReadonlyMap<string, Node> {
    return this.#durable
  }

  /** How many changes a sync that begins now covers. */
  beginSync(): number {
    return this.#changes.length
  }

  endSync(count: number): void {
    for (const change of this.#changes.splice(0, count)) applyTo(this.#durable, change)
  }

  afterCrash(dice: Dice, kind: CrashKind): MemoryDirectory {
    const count = this.#changes.length
    const kept = kind === 'keep' ? count : kind === 'drop' ? 0 : dice.below(count + 1)
    const names = new Map(this.#durable)
    for (const change of this.#changes.slice(0, kept)) applyTo(names, change)
    const directory = new MemoryDirectory()
    for (const [name, node] of names) directory.entries.set(name, node.afterCrash(dice, kind))
    directory.#durable = new Map(directory.entries)
    return directory
  }
}

function applyTo(entries: Map<string, Node>, change: Change): void {
  for (const [name, node] of change) {
    if (node) entries.set(name, node)
    else entries.delete(name)
  }
}
