// The one cache of a log directory: what coordinators replayed, kept so that a start need not replay it again. Kafka's
// files are the truth; whatever is lost, torn or old here costs time, never an answer. Values carry a checksum, and
// one that does not fit is as good as none. LevelDB's own lock is at the same time the lock of the log directory.
import { Packr } from 'msgpackr'
import { isFailure, MoldauError } from '../protocol/failure.ts'
import { crc32c } from '../protocol/records/crc32c.ts'
import { storageFailure } from './files.ts'
import { hardLink, removeEntries } from './files-node.ts'

/** A small ordered store of bytes. Writes may be lost in a crash, whole batches from the last one backwards. */
export interface KeyStore {
  get(key: string): Uint8Array | undefined
  /** Null deletes. */
  write(entries: ReadonlyMap<string, Uint8Array | null>): Promise<void>
  close(): Promise<void>
}

/** Opens the store in `directory` and holds the lock on `lockFile` until it is closed; ERR_LOCKED while another does. */
export type OpenKeyStore = (directory: string, lockFile: string) => Promise<KeyStore>

const CHECKSUM_BYTES = 4

export class SnapshotCache {
  readonly #store: KeyStore
  readonly #endOfTurn: (fn: () => void) => void
  readonly #onFailure: (error: unknown) => void
  /** Definitions of record shapes go with each value, so that every value can be read alone. */
  readonly #packr = new Packr()
  #waiting = new Map<string, Uint8Array | null>()
  #writing: Map<string, Uint8Array | null> | null = null
  #written: Promise<void> = Promise.resolve()
  #isScheduled = false

  constructor(store: KeyStore, endOfTurn: (fn: () => void) => void, onFailure: (error: unknown) => void = () => {}) {
    this.#store = store
    this.#endOfTurn = endOfTurn
    this.#onFailure = onFailure
  }

  /** The value as it was put (Buffers included), or undefined when there is none that can be trusted. */
  get(key: string): unknown {
    const bytes = this.#waiting.get(key) ?? this.#writing?.get(key)
    if (bytes) return this.#unpack(bytes)
    if (this.#waiting.has(key) || this.#writing?.has(key)) return undefined
    try {
      const stored = this.#store.get(key)
      return stored && this.#unpack(stored)
    } catch (error) {
      this.#onFailure(error)
      return undefined
    }
  }

  /** Takes the value as it is now; the write happens later, with others. */
  put(key: string, value: unknown): void {
    const packed = this.#packr.pack(value)
    const bytes = Buffer.allocUnsafe(CHECKSUM_BYTES + packed.length)
    bytes.writeUInt32BE(crc32c(packed), 0)
    packed.copy(bytes, CHECKSUM_BYTES)
    this.#enqueue(key, bytes)
  }

  delete(key: string): void {
    this.#enqueue(key, null)
  }

  /** Resolves when what was put before has been written. Never rejects: it is only a cache. */
  async flush(): Promise<void> {
    this.#start()
    await this.#written
  }

  /** Lets go of the directory's lock too. */
  async close(): Promise<void> {
    await this.flush()
    await this.#store.close()
  }

  #enqueue(key: string, bytes: Uint8Array | null): void {
    this.#waiting.set(key, bytes)
    if (this.#isScheduled) return
    this.#isScheduled = true
    this.#endOfTurn(() => this.#start())
  }

  #start(): void {
    this.#isScheduled = false
    this.#written = this.#written.then(() => this.#writeWaiting())
  }

  async #writeWaiting(): Promise<void> {
    if (this.#waiting.size === 0) return
    this.#writing = this.#waiting
    this.#waiting = new Map()
    try {
      await this.#store.write(this.#writing)
    } catch (error) {
      this.#onFailure(error)
    } finally {
      this.#writing = null
    }
  }

  #unpack(bytes: Uint8Array): unknown {
    const buffer = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length)
    if (buffer.length <= CHECKSUM_BYTES) return undefined
    const packed = buffer.subarray(CHECKSUM_BYTES)
    return buffer.readUInt32BE(0) === crc32c(packed) ? this.#packr.unpack(packed) : undefined
  }
}

/** Paths of the stores that this process has open. LevelDB would say so too, but by then it has opened and closed the
 *  lock's file once more, and POSIX drops all of a process's locks on a file with the first close. */
const held = new Set<string>()

/** The real store. Its LOCK is a second name of `lockFile`, on which Kafka takes its lock: each sees the other. */
export const openLevelStore: OpenKeyStore = async (directory, lockFile) => {
  if (held.has(directory)) throw locked(lockFile)
  held.add(directory)
  try {
    return await openLevel(directory, lockFile)
  } catch (error) {
    held.delete(directory)
    throw error
  }
}

async function openLevel(directory: string, lockFile: string): Promise<KeyStore> {
  const { Level } = await import('level')
  const attempt = async () => {
    hardLink(lockFile, `${directory}/LOCK`)
    const level = new Level<string, Uint8Array>(directory, {
      valueEncoding: 'view',
      cacheSize: 1024 * 1024,
      writeBufferSize: 1024 * 1024
    })
    try {
      await level.open()
    } catch (error) {
      const cause = (error as Error).cause as { code?: string } | undefined
      if (cause?.code === 'LEVEL_LOCKED') throw locked(lockFile)
      throw error
    }
    return level
  }
  const level = await attempt().catch(error => {
    if (isFailure(error)) throw error
    // Not readable: it is only a cache. The lock's file stays, another process may be waiting behind it.
    removeEntries(directory, name => name !== 'LOCK')
    return attempt().catch(again => {
      throw isFailure(again) ? again : storageFailure('open', directory, (again as Error).cause ?? again)
    })
  })
  return {
    get: key => level.getSync(key),
    async write(entries) {
      const batch = [...entries].map(([key, value]) =>
        value === null ? { type: 'del' as const, key } : { type: 'put' as const, key, value }
      )
      await level.batch(batch)
    },
    async close() {
      await level.close()
      held.delete(directory)
    }
  }
}

function locked(lockFile: string): MoldauError {
  return new MoldauError(
    'ERR_LOCKED',
    `${lockFile} is held by another process: a broker is already running on this directory`
  )
}

/** The twin in memory: stores outlive their opening, locks are per path, a crash loses the last batches. */
export class MemoryKeyStores {
  readonly #batches = new Map<string, ReadonlyMap<string, Uint8Array | null>[]>()
  readonly #locked = new Set<string>()

  readonly open: OpenKeyStore = async (directory, lockFile) => {
    if (this.#locked.has(directory)) throw locked(lockFile)
    this.#locked.add(directory)
    const batches = this.#batches.get(directory) ?? []
    this.#batches.set(directory, batches)
    const values = new Map<string, Uint8Array | null>()
    for (const batch of batches) for (const [key, value] of batch) values.set(key, value)
    return {
      get: key => values.get(key) ?? undefined,
      write: async entries => {
        if (!this.#locked.has(directory)) return
        batches.push(new Map(entries))
        for (const [key, value] of entries) values.set(key, value)
      },
      close: async () => {
        this.#locked.delete(directory)
      }
    }
  }

  /** The process is gone: locks are dropped, and of each store only the first `keep(count)` batches are left. */
  crash(keep: (count: number) => number = () => 0): void {
    this.#locked.clear()
    for (const [directory, batches] of this.#batches)
      this.#batches.set(directory, batches.slice(0, keep(batches.length)))
  }
}
