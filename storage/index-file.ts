// What the offset index and the time index of a segment share: sorted entries of a fixed width, in memory while the
// segment is in use, written to the file when it rolls, at checkpoints and at close, and loaded when first asked. The
// file holds entries only (Kafka preallocates 10 MB and trims later; trailing zeros are cut when such a file is read).
// An index has no checksum: after a crash only what lies below the recovery point is believed.
import assert from 'node:assert/strict'
import type { Files } from './files.ts'

const FIRST_CAPACITY_ENTRIES = 16

export abstract class IndexFile {
  path: string
  readonly #files: Files
  readonly #entryBytes: number
  /** Null while not loaded. */
  #bytes: Buffer | null = null
  #count = 0
  /** Entries [0, written) are in the file as they are here. */
  #written = 0
  /** The file may hold more than `#written` entries: it must be cut. */
  #isCut = false
  #isSynced = true
  /** The file was there but made no sense: its entries are to be found again in the log. */
  isBroken = false

  constructor(files: Files, path: string, entryBytes: number) {
    this.#files = files
    this.path = path
    this.#entryBytes = entryBytes
  }

  /** True when entry `index` may follow the one before it. */
  protected abstract isOrdered(bytes: Buffer, index: number): boolean

  get count(): number {
    if (!this.#bytes) this.load()
    return this.#count
  }

  get sizeInBytes(): number {
    return this.count * this.#entryBytes
  }

  get isLoaded(): boolean {
    return this.#bytes !== null
  }

  /** Written and synced as it stands. */
  get isDurable(): boolean {
    return this.#isSynced && !this.#isCut && this.#written === this.#count
  }

  protected get bytes(): Buffer {
    if (!this.#bytes) this.load()
    return this.#bytes as Buffer
  }

  /** A segment that is new, or whose index is to be rebuilt: no entries, whatever the file holds. */
  reset(): void {
    this.#bytes = Buffer.alloc(FIRST_CAPACITY_ENTRIES * this.#entryBytes)
    this.#count = 0
    this.#written = 0
    this.#isCut = true
    this.isBroken = false
  }

  load(): void {
    assert(this.#bytes === null)
    const bytes = this.#files.readFileSync(this.path) ?? Buffer.alloc(0)
    const inFile = Math.floor(bytes.length / this.#entryBytes)
    let count = 0
    while (count < inFile && this.isOrdered(bytes, count)) count++
    const rest = bytes.subarray(count * this.#entryBytes)
    this.#bytes = bytes
    this.#count = count
    this.#written = count
    if (rest.length > 0) {
      this.#isCut = true
      this.isBroken = rest.some(byte => byte !== 0)
    }
  }

  /** Room for one more entry; the caller writes it at the position given. */
  protected push(): number {
    let bytes = this.bytes
    const position = this.#count * this.#entryBytes
    if (position + this.#entryBytes > bytes.length) {
      const capacity = Math.max(FIRST_CAPACITY_ENTRIES * this.#entryBytes, bytes.length * 2)
      const grown = Buffer.alloc(capacity)
      bytes.copy(grown, 0, 0, position)
      this.#bytes = bytes = grown
    }
    this.#count++
    return position
  }

  protected cutTo(count: number): void {
    assert(count <= this.#count)
    this.#count = count
    if (this.#written > count) {
      this.#written = count
      this.#isCut = true
    }
  }

  /** Brings the file up to date, in the page cache only; `sync` makes it durable. */
  write(): void {
    if (!this.#bytes || (this.#written === this.#count && !this.#isCut)) return
    const fd = this.#files.open(this.path, 'create')
    try {
      const from = this.#written * this.#entryBytes
      const upto = this.#count * this.#entryBytes
      if (this.#isCut) this.#files.ftruncate(fd, from)
      if (upto > from) this.#files.writev(fd, [this.#bytes.subarray(from, upto)], from)
    } finally {
      this.#files.close(fd)
    }
    this.#written = this.#count
    this.#isCut = false
    this.#isSynced = false
  }

  /** Makes durable what `write` wrote before. */
  async sync(urgent = false): Promise<void> {
    if (this.#isSynced) return
    this.#isSynced = true
    const fd = this.#files.open(this.path, 'create')
    try {
      await this.#files.fdatasync(fd, urgent)
    } finally {
      this.#files.close(fd)
    }
  }

  /** Gives the memory back, unless it holds what the file does not. */
  unload(): void {
    if (this.#written === this.#count && !this.#isCut) this.#bytes = null
  }
}
