// The disk of one life inside this process. What a dead broker still asks for is not done; what was under way when it
// died is finished, as the system does for a killed process, and only then its descriptors and its lock are let go.
import type { Files } from '../../storage/files.ts'
import type { KeyStore, OpenKeyStore } from '../../storage/snapshot-cache.ts'
import type { Life } from './life.ts'

/** After the death of a broker its last promises still run out; they find their files as they were. */
const LAST_TURNS = 2

export class Disk {
  readonly files: Files
  readonly openKeyStore: OpenKeyStore
  readonly #life: Life
  readonly #open = new Set<number>()
  readonly #stores = new Set<KeyStore>()
  readonly #underWay = new Set<Promise<unknown>>()
  readonly #real: Files

  constructor(life: Life, real: Files, openKeyStore: OpenKeyStore) {
    this.#life = life
    this.#real = real
    this.files = this.#facade(real)
    this.openKeyStore = (directory, lockFile) =>
      this.#later(async () => {
        const store = await openKeyStore(directory, lockFile)
        this.#stores.add(store)
        return this.#storeOf(store)
      })
  }

  /** Resolves when nothing of the dead broker touches the disk any more, and another may open its directory. */
  async released(): Promise<void> {
    for (let turn = 0; turn < LAST_TURNS; turn++) await new Promise(resolve => setImmediate(resolve))
    while (this.#underWay.size > 0) await Promise.allSettled(this.#underWay)
    for (const fd of this.#open) this.#real.close(fd)
    this.#open.clear()
    for (const store of this.#stores) await store.close().catch(() => {})
    this.#stores.clear()
  }

  #facade(real: Files): Files {
    const life = this.#life
    const later = <T>(start: () => Promise<T>) => this.#later(start)
    const unlessDead = (fn: () => void): void => {
      if (!life.isDead) fn()
    }
    return {
      open: (path, mode) => {
        const fd = real.open(path, life.isDead ? 'read' : mode)
        this.#open.add(fd)
        return fd
      },
      close: fd => {
        if (this.#open.delete(fd)) real.close(fd)
      },
      writev: (fd, buffers, position) => unlessDead(() => real.writev(fd, buffers, position)),
      readSync: (fd, buffer, position) => real.readSync(fd, buffer, position),
      read: (fd, buffer, position) => later(() => real.read(fd, buffer, position)),
      ftruncate: (fd, size) => unlessDead(() => real.ftruncate(fd, size)),
      fdatasync: (fd, urgent) => later(() => real.fdatasync(fd, urgent)),
      rename: (from, to) => unlessDead(() => real.rename(from, to)),
      sizeOf: path => real.sizeOf(path),
      readFileSync: path => real.readFileSync(path),
      readFile: path => later(() => real.readFile(path)),
      stat: path => later(() => real.stat(path)),
      readdir: path => later(() => real.readdir(path)),
      mkdir: path => later(() => real.mkdir(path)),
      unlink: path => later(() => real.unlink(path)),
      removeDirectory: path => later(() => real.removeDirectory(path)),
      syncDirectory: path => later(() => real.syncDirectory(path)),
      diskUsage: path => later(() => real.diskUsage(path)),
      writeFileAtomically: (path, bytes, urgent) => later(() => real.writeFileAtomically(path, bytes, urgent))
    }
  }

  /** The dead never hear how it ended. */
  #later<T>(start: () => Promise<T>): Promise<T> {
    if (this.#life.isDead) return new Promise(() => {})
    const work = start()
    this.#underWay.add(work)
    return new Promise((resolve, reject) => {
      work.then(
        value => {
          this.#underWay.delete(work)
          this.#life.run(() => resolve(value))
        },
        error => {
          this.#underWay.delete(work)
          this.#life.run(() => reject(error))
        }
      )
    })
  }

  #storeOf(store: KeyStore): KeyStore {
    return {
      get: key => store.get(key),
      write: entries => this.#later(() => store.write(entries)),
      close: () =>
        this.#later(async () => {
          this.#stores.delete(store)
          await store.close()
        })
    }
  }
}
