// The mark that a failed sync leaves behind (durability rule 5). After it the page cache may show bytes that are not on
// the disk, and a later sync would call them safe; so the next start must copy what lies behind the recovery point to
// new files. The mark goes to every place that takes it, other disks among them: the one that failed may not.
// It names the directory by id, since places may be shared; it is cleared when the copies are durable. Where no place has
// room for its text, as on a disk that is full as well, an empty file says that every log of the directory is suspect: a
// name takes no room.
import path from 'node:path'
import type { Offset, TopicPartition, Uuid } from '../protocol/types.ts'
import type { Files } from './files.ts'
import { parseDirectoryName, partitionName } from './partition-names.ts'

export interface Suspect extends TopicPartition {
  /** Synced up to here; what lies beyond is not to be believed. */
  readonly durableEndOffset: Offset
  readonly reason: string
}

export class Suspects {
  readonly #files: Files
  readonly #marks: readonly string[]
  /** Each stands for all logs of the directory. */
  readonly #emptyMarks: readonly string[]
  /** By name of the partition's directory. */
  readonly #byName = new Map<string, Suspect>()
  #marking: Promise<boolean> = Promise.resolve(true)

  constructor(files: Files, places: readonly string[], directoryId: Uuid) {
    this.#files = files
    this.#marks = places.map(place => path.join(place, `moldau-suspect-${directoryId}.json`))
    this.#emptyMarks = places.map(place => path.join(place, `moldau-suspect-${directoryId}.all`))
  }

  /** `places`: the directory itself is the first. */
  static async load(files: Files, places: readonly string[], directoryId: Uuid): Promise<Suspects> {
    const suspects = new Suspects(files, places, directoryId)
    for (const mark of suspects.#marks) {
      const bytes = await files.readFile(mark).catch(() => null)
      for (const suspect of bytes ? parse(bytes.toString('utf8')) : [])
        suspects.#byName.set(partitionName(suspect), suspect)
    }
    await suspects.#loadEmptyMarks(places[0] as string)
    return suspects
  }

  /** From now on each log has a mark of its own, where there is room for that. */
  async #loadEmptyMarks(directory: string): Promise<void> {
    const found = await Promise.all(this.#emptyMarks.map(mark => this.#files.stat(mark).catch(() => null)))
    if (found.every(each => each === null)) return
    for (const name of await this.#files.readdir(directory)) {
      const parsed = parseDirectoryName(name)
      if (parsed === null || parsed.fate !== null || this.#byName.has(name)) continue
      const { topic, partition } = parsed
      this.#byName.set(name, { topic, partition, durableEndOffset: 0, reason: 'a sync failed while the disk was full' })
    }
    await this.#write()
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
    this.#marking = this.#write().then(isWritten => isWritten || this.#writeEmptyMarks())
    return await this.#marking
  }

  /** Resolves when no mark is on its way any more: before that no failure may end the process. */
  async marked(): Promise<void> {
    await this.#marking
  }

  /** The partition was copied and its copy synced. Durable: a mark that came back with a power failure would make a whole
   *  log suspect, and its broker's copies count for nothing. */
  async clear(name: string): Promise<void> {
    if (!this.#byName.delete(name)) return
    if (this.#byName.size > 0) await this.#write()
    else await this.#removeAll([...this.#marks, ...this.#emptyMarks])
  }

  async #removeAll(marks: readonly string[]): Promise<void> {
    await Promise.all(marks.map(mark => this.#remove(mark).catch(() => {})))
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
    const isWritten = written.some(each => each.status === 'fulfilled')
    if (isWritten) await this.#removeAll(this.#emptyMarks)
    return isWritten
  }

  async #writeEmptyMarks(): Promise<boolean> {
    const written = await Promise.allSettled(
      this.#emptyMarks.map(async mark => {
        this.#files.close(this.#files.open(mark, 'create'))
        await this.#files.syncDirectory(path.dirname(mark))
      })
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
