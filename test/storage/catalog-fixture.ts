// What the tests of the catalog share: a catalog on real files whose time moves when the test says so, and a disk that
// refuses what the test wants refused.
import type { Test } from 'tap'
import type { Offset } from '../../protocol/types.ts'
import { Catalog, type CatalogOptions, type CatalogSettings } from '../../storage/catalog.ts'
import { type Files, storageFailure } from '../../storage/files.ts'
import { NodeFiles } from '../../storage/files-node.ts'
import type { Log } from '../../storage/log.ts'
import { MemoryKeyStores } from '../../storage/snapshot-cache.ts'
import { batchOf, TestClock } from './log-fixture.ts'

/** Turns end by themselves; timers wait for the test. */
export class CatalogClock extends TestClock {
  override endOfTurn(fn: () => void): void {
    setImmediate(fn)
  }
}

type Operation = keyof Files

/** Real files; an operation can be made to fail as the system would, for paths that the test names. */
export class FaultyFiles extends NodeFiles {
  readonly #paths = new Map<number, string>()
  fault: ((operation: Operation, path: string) => string | null) | null = null
  /** Operations that have not ended. */
  atWork = 0
  readonly log: { operation: Operation; path: string }[] = []

  static create(): FaultyFiles {
    const files = new FaultyFiles(16)
    return new Proxy(files, {
      get(target, key) {
        const member: unknown = Reflect.get(target, key, target)
        if (typeof member !== 'function' || !(key in NodeFiles.prototype)) return member
        return (...args: unknown[]) => target.call(key as Operation, member as (...args: unknown[]) => unknown, args)
      }
    })
  }

  #watch(result: Promise<unknown>): void {
    this.atWork++
    const over = () => {
      this.atWork--
    }
    result.then(over, over)
  }

  call(operation: Operation, member: (...args: unknown[]) => unknown, args: unknown[]): unknown {
    const path = typeof args[0] === 'number' ? (this.#paths.get(args[0]) ?? '?') : String(args[0])
    this.log.push({ operation, path })
    const code = this.fault?.(operation, path) ?? null
    if (code === null) {
      const result = member.apply(this, args)
      if (result instanceof Promise) this.#watch(result)
      if (operation === 'open') this.#paths.set(result as number, path)
      return result
    }
    const failure = storageFailure(operation, path, Object.assign(new Error(code), { code }))
    if (['fdatasync', 'read', 'syncDirectory', 'writeFileAtomically', 'diskUsage', 'readFile'].includes(operation)) {
      return Promise.reject(failure)
    }
    throw failure
  }
}

export const settings: CatalogSettings = {
  producerIdExpirationMs: 86_400_000,
  producerIdExpirationCheckIntervalMs: 600_000,
  retentionCheckIntervalMs: 300_000,
  initialTaskDelayMs: 30_000,
  flushOffsetCheckpointIntervalMs: 60_000,
  flushStartOffsetCheckpointIntervalMs: 60_000,
  highWatermarkCheckpointIntervalMs: 5_000,
  fileDeleteDelayMs: 60_000,
  diskReserveBytes: 0,
  cleaner: {
    isEnabled: true,
    backoffMs: 15_000,
    dedupeBufferBytes: 1 << 20,
    dedupeBufferLoadFactor: 0.9,
    ioBufferBytes: 1 << 16,
    ioMaxBytesPerSecond: Number.POSITIVE_INFINITY
  }
}

/** One log directory through its lives. */
export class Life {
  readonly directory: string
  readonly files = FaultyFiles.create()
  readonly clock = new CatalogClock()
  readonly stores = new MemoryKeyStores()
  readonly events: { level: string; event: string; data: Record<string, unknown> }[] = []
  readonly offline: Error[] = []
  readonly #other: Partial<CatalogOptions>
  #uuids = 0

  constructor(t: Test, other: Partial<CatalogOptions> = {}) {
    this.directory = `${t.testdir()}/data`
    this.#other = other
  }

  begin(other: Partial<CatalogOptions> = {}): Promise<Catalog> {
    return Catalog.open({
      files: this.files,
      directory: this.directory,
      nodeId: 1,
      clusterId: null,
      clock: this.clock,
      random: { uuid: () => topicId(9_000_000 + ++this.#uuids), below: () => 0 },
      policy: 'group-commit',
      settings,
      tailCacheBytes: 1 << 20,
      bootstrapCheckpoint: () => Buffer.alloc(0),
      openKeyStore: this.stores.open,
      onEvent: (level, event, data) => this.events.push({ level, event, data: data as Record<string, unknown> }),
      onOffline: error => this.offline.push(error),
      ...this.#other,
      ...other
    })
  }

  /** The process is gone: nothing more is written, the kernel drops the lock. What was written stays in the files. */
  async kill(catalog: Catalog): Promise<void> {
    for (const log of catalog.all()) await log.discard()
    this.stores.crash(count => count)
  }

  eventNames(): string[] {
    return this.events.map(each => each.event)
  }
}

/** 22 characters for a number. */
export function topicId(n: number): string {
  return Buffer.from(String(n).padStart(16, '0')).toString('base64url')
}

export const orders = (partition: number) => ({ topic: 'orders', partition })

/** Appends one batch of `count` records and waits for its sync. */
export async function append(log: Log, count = 1, valueBytes = 20): Promise<Offset> {
  const result = log.appendAsLeader(batchOf({ count, valueBytes }), {
    leaderEpoch: 0,
    origin: 'client',
    nowMs: 1_700_000_000_000
  })
  if (result.kind !== 'appended') throw new Error(JSON.stringify(result))
  await log.flush()
  return log.logEndOffset
}

/** Lets promises and ends of turns run until `done` holds. */
export async function until(done: () => boolean): Promise<void> {
  const limit = Date.now() + 20_000
  while (!done()) {
    if (Date.now() > limit) throw new Error(`never came: ${done}`)
    await new Promise<void>(resolve => setImmediate(resolve))
  }
}

/** Lets what is due run to its end: until the disk has been left alone for a while. */
export async function settle(life: Life): Promise<void> {
  for (let quiet = 0, seen = -1; quiet < 100; quiet++) {
    if (life.files.log.length !== seen || life.files.atWork > 0) quiet = 0
    seen = life.files.log.length
    await new Promise<void>(resolve => setImmediate(resolve))
  }
}
