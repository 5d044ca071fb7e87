// Snapshots of the metadata log on disk (KIP-630): `<offset>-<epoch>.checkpoint` files beside it. The log may only begin
// at an offset that a whole snapshot covers; the newest two are kept, and the log from the older one on. One that is found
// to be damaged gets another name at once: under its own it would count again at the next look into the directory.
import path from 'node:path'
import { isFailure, MoldauError } from '../protocol/failure.ts'
import type { Offset } from '../protocol/types.ts'
import {
  checkSnapshot,
  parseSnapshotName,
  type SnapshotId,
  snapshotBatches,
  snapshotName,
  snapshotRecords
} from '../replication/metadata/batches.ts'
import type { MetadataImage } from '../replication/metadata/image.ts'
import type { MetadataRecord } from '../replication/metadata/records.ts'
import type { Files } from '../storage/files.ts'
import type { Clock } from './clock.ts'
import type { Logger } from './log.ts'

export interface LoadedSnapshot extends SnapshotId {
  readonly records: readonly MetadataRecord[]
  readonly sizeInBytes: number
}

export class MetadataSnapshots {
  readonly #files: Files
  readonly #directory: string
  readonly #log: Logger
  /** Whole as far as is known; the newest first. */
  #ids: readonly SnapshotId[] = []
  #onDamaged: () => void = () => {}
  /** Under way, by name: it costs the memory of a whole one, however many ask. */
  readonly #checks = new Map<string, Promise<boolean>>()

  constructor(files: Files, directory: string, log: Logger) {
    this.#files = files
    this.#directory = directory
    this.#log = log
  }

  /** The newest whole snapshot; null if there is none. A damaged one is passed over where the log still covers it. */
  async newest(logStartOffset: Offset): Promise<LoadedSnapshot | null> {
    this.#ids = await this.#list()
    for (const id of this.#ids) {
      const name = snapshotName(id)
      // What lies between an older one and the log's beginning is nowhere.
      if (id.endOffset < logStartOffset) break
      const bytes = await this.#files.readFile(path.join(this.#directory, name))
      if (bytes === null) continue
      try {
        return { ...id, records: snapshotRecords(bytes, name), sizeInBytes: bytes.length }
      } catch (error) {
        if (!isFailure(error) || isFailure(error, 'ERR_WRONG_DIRECTORY')) throw error
        await this.#setAside(id, error)
      }
    }
    if (logStartOffset === 0) return null
    throw new MoldauError(
      'ERR_LOG_CORRUPT',
      `${this.#directory}: the metadata log begins at offset ${logStartOffset}, and no whole snapshot covers what was before`
    )
  }

  /**
   * Writes the image in slices, so that other work goes on, and then drops older snapshots. Gives the offset from which
   * on the log is still needed.
   */
  async write(image: MetadataImage, id: SnapshotId, lastContainedLogTimestamp: number, clock: Clock): Promise<Offset> {
    const pieces: Buffer[] = []
    const { epoch } = id
    for (const piece of snapshotBatches(image.records(), { epoch, lastContainedLogTimestamp, nowMs: clock.nowMs() })) {
      pieces.push(piece)
      await new Promise<void>(resolve => clock.endOfTurn(resolve))
    }
    await this.keep(id, Buffer.concat(pieces))
    await this.#dropBut(2)
    return this.#ids[1]?.endOffset ?? 0
  }

  /** A whole snapshot, of this node or of the leader: durable when it resolves. */
  async keep(id: SnapshotId, bytes: Uint8Array): Promise<void> {
    await this.#files.writeFileAtomically(this.#file(id), bytes)
    this.#ids = await this.#list()
  }

  /** The log begins at the newest one now: the others say nothing that is needed. */
  dropOlder(): Promise<void> {
    return this.#dropBut(1)
  }

  get latest(): SnapshotId | undefined {
    return this.#ids[0]
  }

  get earliest(): SnapshotId | undefined {
    return this.#ids.at(-1)
  }

  /** One that was there when this node started, or was written since, is damaged: another is needed. */
  onDamaged(listener: () => void): void {
    this.#onDamaged = listener
  }

  /** Null where there is no such snapshot (any more). */
  sizeOf(id: SnapshotId): number | null {
    return this.#known(id) ? this.#files.sizeOf(this.#file(id)) : null
  }

  /** Reads it whole. One that is damaged does not count from then on. */
  isSound(id: SnapshotId): Promise<boolean> {
    const name = snapshotName(id)
    const check = this.#checks.get(name) ?? this.#check(id, name).finally(() => this.#checks.delete(name))
    this.#checks.set(name, check)
    return check
  }

  /** A piece of it, fewer bytes only at its end. */
  async read(id: SnapshotId, position: number, maxBytes: number): Promise<Buffer> {
    const fd = this.#files.open(this.#file(id), 'read')
    try {
      const buffer = Buffer.allocUnsafe(maxBytes)
      return buffer.subarray(0, await this.#files.read(fd, buffer, position))
    } finally {
      this.#files.close(fd)
    }
  }

  async #check(id: SnapshotId, name: string): Promise<boolean> {
    const known = this.#known(id)
    if (!known) return false
    try {
      const bytes = await this.#files.readFile(this.#file(id))
      if (bytes !== null) checkSnapshot(bytes, name)
      return bytes !== null
    } catch (error) {
      if (!isFailure(error)) throw error
      await this.#setAside(known, error)
      this.#onDamaged()
      return false
    }
  }

  #known({ endOffset, epoch }: SnapshotId): SnapshotId | undefined {
    return this.#ids.find(one => one.endOffset === endOffset && one.epoch === epoch)
  }

  async #setAside(id: SnapshotId, error: MoldauError): Promise<void> {
    if (!this.#ids.includes(id)) return
    this.#ids = this.#ids.filter(one => one !== id)
    const file = this.#file(id)
    this.#log.warn({ file, err: error }, 'metadata-snapshot-damaged')
    this.#files.rename(file, `${file}.damaged`)
    await this.#files.syncDirectory(this.#directory)
  }

  async #dropBut(count: number): Promise<void> {
    const dropped = this.#ids.slice(count)
    this.#ids = this.#ids.slice(0, count)
    for (const one of dropped) await this.#files.unlink(this.#file(one))
  }

  #file(id: SnapshotId): string {
    return path.join(this.#directory, snapshotName(id))
  }

  /** Newest first. */
  async #list(): Promise<SnapshotId[]> {
    const ids = (await this.#files.readdir(this.#directory)).map(parseSnapshotName).filter(id => id !== null)
    return ids.sort((left, right) => right.endOffset - left.endOffset || right.epoch - left.epoch)
  }
}
