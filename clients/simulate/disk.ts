// The disk of one node through the lives of its processes: operations take time, what is not synced is lost with the power,
// and it can be full, slow, stuck, broken, or forget a bit. The lock and the cache beside the files live and die with it.

import type { Files } from '../../storage/files.ts'
import { type FailingOperation, type Fault, MemoryFiles } from '../../storage/files-memory.ts'
import type { CrashKind } from '../../storage/memory-disk.ts'
import { MemoryKeyStores, type OpenKeyStore } from '../../storage/snapshot-cache.ts'
import type { Agenda } from './agenda.ts'
import type { Dice } from './dice.ts'
import type { SimProcess } from './sim-process.ts'
import type { Trace } from './trace.ts'

/** What a healthy disk takes, in microseconds. */
const TIMES_US: Record<FailingOperation, readonly [least: number, most: number]> = {
  open: [5, 30],
  write: [5, 30],
  read: [20, 150],
  truncate: [5, 30],
  sync: [150, 2500],
  rename: [5, 30],
  delete: [5, 60],
  list: [5, 30],
  stat: [2, 15]
}

export interface DiskParts {
  readonly agenda: Agenda
  readonly trace: Trace
  readonly dice: Dice
  /** Directories that are there when a machine is new. */
  readonly directories: readonly string[]
}

export class SimDisk {
  readonly #o: DiskParts
  #files: MemoryFiles
  #stores = new MemoryKeyStores()
  #process: SimProcess | null = null
  /** How much slower it is than a healthy one. */
  slowness = 1
  #stuckUntilUs = 0

  constructor(parts: DiskParts) {
    this.#o = parts
    this.#files = this.#empty()
  }

  #empty(): MemoryFiles {
    const files = new MemoryFiles({
      later: (complete, operation) => this.#later(complete, operation),
      nowMs: () => Math.floor(this.#o.agenda.nowUs / 1000)
    })
    this.#listen(files)
    return files
  }

  #listen(files: MemoryFiles): void {
    const { trace } = this.#o
    files.onOperation = (operation, file, bytes) => {
      trace.addText(operation)
      trace.addText(file)
      trace.add(bytes)
    }
  }

  #later(complete: () => void, operation: FailingOperation): void {
    const { agenda, dice } = this.#o
    const process = this.#process
    const [least, most] = TIMES_US[operation]
    const us = dice.between(least, most) * this.slowness + Math.max(0, this.#stuckUntilUs - agenda.nowUs)
    agenda.after(us, () => process?.run('io', complete))
  }

  /** The disk as a new process finds it. */
  async attach(process: SimProcess): Promise<{ files: Files; openKeyStore: OpenKeyStore }> {
    this.#process = process
    const files = this.#files
    for (const each of this.#o.directories) await files.mkdir(each)
    await files.syncDirectory('/')
    return { files, openKeyStore: this.#stores.open }
  }

  /** The process has died, and the machine goes on: what was written stays, and is as little durable as it was. */
  processDied(): void {
    this.#process = null
    this.#files = this.#files.abandon()
    this.#listen(this.#files)
    this.#stores.crash(count => count)
  }

  /** The power was lost, and with it (some of) what was not synced. */
  powerLost(kind: Exclude<CrashKind, 'keep'>): void {
    this.#process = null
    this.#files = this.#files.crash(this.#o.dice, kind)
    this.#listen(this.#files)
    this.#stores.crash(count => (kind === 'drop' ? 0 : this.#o.dice.below(count + 1)))
    this.#stuckUntilUs = 0
  }

  /** A new disk. */
  wipe(): void {
    this.#files = this.#empty()
    this.#stores = new MemoryKeyStores()
  }

  // Faults.

  /** From now on that operation fails on paths that contain this one. */
  inject(fault: Fault): void {
    this.#files.inject(fault)
  }

  /** The opposite of `inject`: true when it failed something meanwhile. Only of faults that have a number of times. */
  withdraw(fault: Fault): boolean {
    this.#files.heal(fault)
    return fault.times === 0
  }

  /** So much is free. */
  fill(freeBytes: number): void {
    this.#files.totalBytes = this.#files.usedBytes + freeBytes
  }

  /** The opposite of `fill`. */
  makeRoom(): void {
    this.#files.totalBytes = MemoryFiles.UNLIMITED_BYTES
  }

  /** Operations that begin within this time end after it. */
  stall(ms: number): void {
    this.#stuckUntilUs = this.#o.agenda.nowUs + ms * 1000
  }

  /** Room, speed and health as at the beginning; what was lost is lost. */
  heal(): void {
    this.#files.heal()
    this.#files.totalBytes = MemoryFiles.UNLIMITED_BYTES
    this.slowness = 1
    this.#stuckUntilUs = 0
  }

  /** One bit of a file whose path contains this changes. Gives the path, or null where there is none. */
  flipBit(part: string): string | null {
    const candidates = this.#files.filesUnder('/').filter(each => each.includes(part))
    const file = candidates.length > 0 ? this.#o.dice.pick(candidates) : null
    const size = file === null ? 0 : (this.#files.sizeOf(file) ?? 0)
    if (file === null || size === 0) return null
    this.#files.flipBit(file, this.#o.dice.below(size * 8))
    return file
  }

  /** The same, in a byte that is named. False where there is none. */
  flipBitAt(file: string, position: number): boolean {
    return this.#files.flipBit(file, position * 8 + this.#o.dice.below(8))
  }

  get usedBytes(): number {
    return this.#files.usedBytes
  }

  /** As the process sees it, for checkers: null where there is no such file. */
  read(file: string): Buffer | null {
    return this.#files.readFileSync(file)
  }

  /** Fills the buffer from a place in a file, as the process sees it; gives how many bytes there were. */
  readAt(file: string, buffer: Buffer, position: number): number {
    if (this.#files.sizeOf(file) === null) return 0
    const fd = this.#files.open(file, 'read')
    const count = this.#files.readSync(fd, buffer, position)
    this.#files.close(fd)
    return count
  }

  /** The same of what is durable, whatever the process believes. */
  durableAt(file: string, buffer: Buffer, position: number): number {
    return this.#files.readDurable(file, buffer, position)
  }

  filesUnder(directory: string): string[] {
    return this.#files.filesUnder(directory)
  }
}
