// One offset checkpoint of a log directory and what it holds on the disk. Written only when something changed, one
// write at a time; what is collected is what holds when the write begins.
import type { Offset } from '../protocol/types.ts'
import { type OffsetEntry, readOffsets, writeOffsets } from './checkpoints.ts'
import type { Files } from './files.ts'
import { partitionName } from './partition-names.ts'

export class OffsetCheckpoint {
  readonly #files: Files
  readonly #file: string
  /** As on the disk; by name of the partition's directory. */
  #entries: ReadonlyMap<string, OffsetEntry>
  /** Of the last write that began: on the disk, or soon, or not at all. */
  #begun: ReadonlyMap<string, OffsetEntry>
  #writing: Promise<void> = Promise.resolve()

  constructor(files: Files, file: string, entries: readonly OffsetEntry[]) {
    this.#files = files
    this.#file = file
    this.#entries = this.#begun = byName(entries)
  }

  /** A damaged file counts as empty, as in Kafka (LogManager.loadLogs): then more is walked, nothing is lost. */
  static async load(files: Files, file: string, onDamaged: (error: unknown) => void): Promise<OffsetCheckpoint> {
    try {
      return new OffsetCheckpoint(files, file, await readOffsets(files, file))
    } catch (error) {
      onDamaged(error)
      return new OffsetCheckpoint(files, file, [])
    }
  }

  get(name: string): Offset | undefined {
    return this.#entries.get(name)?.offset
  }

  /** Whether the disk has, or may have in a moment, more than a zero under that name: what can be taken for another log's. A
   *  write that begins later knows by itself which names are gone. */
  mayName(name: string): boolean {
    return [this.#entries, this.#begun].some(entries => (entries.get(name)?.offset ?? 0) > 0)
  }

  names(): Iterable<string> {
    return this.#entries.keys()
  }

  entry(name: string): OffsetEntry | undefined {
    return this.#entries.get(name)
  }

  update(collect: () => readonly OffsetEntry[]): Promise<void> {
    const written = this.#writing.then(() => this.#write(byName(collect())))
    this.#writing = written.catch(() => {})
    return written
  }

  async #write(entries: ReadonlyMap<string, OffsetEntry>): Promise<void> {
    const isSame = entries.size === this.#entries.size && [...entries.values()].every(entry => this.#has(entry))
    if (isSame) return
    this.#begun = entries
    await writeOffsets(this.#files, this.#file, [...entries.values()])
    this.#entries = entries
  }

  #has(entry: OffsetEntry): boolean {
    const known = this.#entries.get(partitionName(entry))
    if (known?.offset !== entry.offset || known.topicId !== entry.topicId) return false
    const { active } = known
    return active?.baseOffset === entry.active?.baseOffset && active?.sizeInBytes === entry.active?.sizeInBytes
  }
}

function byName(entries: readonly OffsetEntry[]): Map<string, OffsetEntry> {
  return new Map(entries.map(entry => [partitionName(entry), entry]))
}
