// The producer snapshot files of one log: `<offset>.snapshot` holds the state of every producer from all batches below
// that offset. Kept: those at the base of a segment (a roll takes one) and the newest two others (checkpoints, close).
// A snapshot beyond the log's end is a lie as soon as the log grows again: recovery and truncation delete it first.
import type { Offset } from '../protocol/types.ts'
import { filePath } from './file-names.ts'
import type { Files } from './files.ts'

export class ProducerSnapshots {
  readonly #files: Files
  #directory: () => string
  /** Sorted. */
  #offsets: Offset[]

  constructor(files: Files, directory: () => string, offsets: Iterable<Offset>) {
    this.#files = files
    this.#directory = directory
    this.#offsets = [...offsets].sort((a, b) => a - b)
  }

  /** The log's directory was renamed: the next log of the old name must not find what is written from here on. */
  moveTo(directory: string): void {
    this.#directory = () => directory
  }

  get offsets(): readonly Offset[] {
    return this.#offsets
  }

  /** Newest first, beginning at the newest that is at or below `offset`. */
  atOrBelow(offset: Offset): Offset[] {
    return this.#offsets.filter(known => known <= offset).reverse()
  }

  read(offset: Offset): Promise<Buffer | null> {
    return this.#files.readFile(this.#path(offset))
  }

  /** Durable once the directory is synced too. */
  async write(offset: Offset, bytes: Uint8Array, urgent: boolean): Promise<void> {
    const fd = this.#files.open(this.#path(offset), 'create')
    try {
      this.#files.ftruncate(fd, 0)
      this.#files.writev(fd, [bytes], 0)
      this.#add(offset)
      await this.#files.fdatasync(fd, urgent)
    } finally {
      this.#files.close(fd)
    }
  }

  #add(offset: Offset): void {
    if (this.#offsets.includes(offset)) return
    this.#offsets.push(offset)
    this.#offsets.sort((a, b) => a - b)
  }

  async deleteAbove(offset: Offset): Promise<void> {
    await this.#delete(known => known > offset)
  }

  async deleteBelow(offset: Offset): Promise<void> {
    await this.#delete(known => known < offset)
  }

  /** Deletes those that no recovery needs: neither at a segment's base nor among the newest two. */
  async prune(segmentBases: ReadonlySet<Offset>): Promise<void> {
    const newest = new Set(this.#offsets.slice(-2))
    await this.#delete(known => !segmentBases.has(known) && !newest.has(known))
  }

  async delete(offset: Offset): Promise<void> {
    await this.#delete(known => known === offset)
  }

  async #delete(isDoomed: (offset: Offset) => boolean): Promise<void> {
    const doomed = this.#offsets.filter(isDoomed)
    if (doomed.length === 0) return
    this.#offsets = this.#offsets.filter(offset => !isDoomed(offset))
    await Promise.all(doomed.map(offset => this.#files.unlink(this.#path(offset))))
  }

  #path(offset: Offset): string {
    return filePath(this.#directory(), offset, 'snapshot')
  }
}
