// The mark that a failed sync leaves behind (durability rule 5). After it the page cache may show bytes that are not on
// the disk, and a later sync would call them safe; so the next start must copy what lies behind the recovery point to
// new files. The mark goes to every place that takes it, other disks among them: the one that failed may not.
// It names the directory by id, since places may be shared; it is cleared when the copies are durable.
import path from 'node:path'
import type { Offset, TopicPartition, Uuid } from '../protocol/types.ts'
import type { Files } from './files.ts'
import { partitionName } from './partition-names.ts'

export interface Suspect extends TopicPartition {
  /** Synced up to here; what lies beyond is not to be believed. */
  readonly durableEndOffset: Offset
  readonly reason: string
}

export class Suspects {
  readonly #files: Files
  readonly #marks: readonly string[]
  /** By name of the partition's directory. */
  readonly #byName = new Map<string, Suspect>()

  constructor(files: Files, places: readonly string[], directoryId: Uuid) {
    this.#files = files
    this.#marks = places.map(place => path.join(place, `moldau-suspect-${directoryId}.json`))
  }

  static async load(files: Files, places: readonly string[], directoryId: Uuid): Promise<Suspects> {
    const suspects = new Suspects(files, places, directoryId)
    for (const mark of suspects.#marks) {
      const bytes = await files.readFile(mark).catch(() => null)
      for (const suspect of bytes ? parse(bytes.toString('utf8')) : [])
        suspects.#byName.set(partitionName(suspect), suspect)
    }
    return suspects
  }

  get all(): readonly Suspect[] {
    return [...this.#byName.values()]
  }

  has(name: string): boolean {
    return this.#byName.has(name)
  }

  /** True when at least one place has taken the mark. */
  async mark(suspect: Suspect): Promise<boolean> {
    this.#byName.set(partitionName(suspect), suspect)
    return await this.#write()
  }

  /** The partition was copied and its copy synced. Durable: a mark that came back with a power failure would make a whole
   *  log suspect, and its broker's copies count for nothing. */
  async clear(name: string): Promise<void> {
    if (!this.#byName.delete(name)) return
    if (this.#byName.size > 0) await this.#write()
    else await Promise.all(this.#marks.map(mark => this.#remove(mark).catch(() => {})))
  }

  async #remove(mark: string): Promise<void> {
    if ((await this.#files.stat(mark)) === null) return
    await this.#files.unlink(mark)
    await this.#files.syncDirectory(path.dirname(mark))
  }

  async #write(): Promise<boolean> {
    const bytes = Buffer.from(`${JSON.stringify(this.all)}\n`)
    const written = await Promise.allSettled(
      this.#marks.map(mark => this.#files.writeFileAtomically(mark, bytes, true))
    )
    return written.some(each => each.status === 'fulfilled')
  }
}

function parse(text: string): Suspect[] {
  try {
    const parsed: unknown = JSON.parse(text)
    return Array.isArray(parsed) ? parsed.filter(each => typeof each?.topic === 'string') : []
  } catch {
    return []
  }
}
