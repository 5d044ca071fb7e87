// Goal: power may go at any moment of any work of the catalog, and the next life has every log of every topic that exists
// with everything that was synced, nothing of topics that do not exist, and takes no sound log for a corrupt one.
// Method: seeded lives on the disk that crashes; the metadata, which says what exists, is the model's and never lost.
import { test } from 'tap'
import { baseOffset, batchesOf } from '../../protocol/records/batch.ts'
import { decodeRecords } from '../../protocol/records/records.ts'
import { Catalog } from '../../storage/catalog.ts'
import { MemoryFiles } from '../../storage/files-memory.ts'
import type { Log } from '../../storage/log.ts'
import type { CrashKind } from '../../storage/memory-disk.ts'
import { partitionName } from '../../storage/partition-names.ts'
import { MemoryKeyStores } from '../../storage/snapshot-cache.ts'
import { diceOf } from './agenda.ts'
import { settings, topicId } from './catalog-fixture.ts'
import { batchOf, config, TestClock } from './log-fixture.ts'

const SEEDS = 200
const LIVES = 6
const NAMES = ['a', 'b'] as const
const KINDS: readonly CrashKind[] = ['keep', 'drop', 'mixed']

/** Turns end with the promises that are due. */
class QuickClock extends TestClock {
  override endOfTurn(fn: () => void): void {
    queueMicrotask(fn)
  }
}

/** One partition of one topic, as long as the topic exists. */
interface Expected {
  readonly topic: string
  readonly partition: number
  readonly topicId: string
  /** One record each. */
  readonly values: string[]
  acked: number
}

class Story {
  readonly #dice
  readonly #seed: number
  readonly #clock = new QuickClock()
  readonly #stores = new MemoryKeyStores()
  #files = new MemoryFiles()
  #catalog: Catalog | null = null
  #ids = 0
  /** What the metadata says; by name of the partition. */
  readonly #existing = new Map<string, Expected>()
  crashes = 0
  cleanStops = 0

  constructor(seed: number) {
    this.#seed = seed
    this.#dice = diceOf(seed)
  }

  async tell(): Promise<void> {
    for (let life = 0; life < LIVES; life++) {
      // A life may end while it begins.
      if (this.#dice.below(4) > 0) await this.#begin()
      else await this.#interrupted(() => this.#begin())
      for (let work = this.#dice.below(14); work > 0 && this.#catalog; work--) await this.#work()
      if (this.#dice.below(3) === 0 && this.#catalog) await this.#stop()
      else if (this.#catalog) await this.#interrupted(() => this.#work())
      else this.#crash()
    }
    await this.#begin()
  }

  async #begin(): Promise<void> {
    const files = this.#files
    const catalog = await Catalog.open({
      files,
      directory: '/data',
      nodeId: 1,
      clusterId: null,
      clock: this.#clock,
      random: { uuid: () => topicId(1_000_000 + ++this.#ids), below: limit => this.#dice.below(limit) },
      policy: 'group-commit',
      settings,
      tailCacheBytes: 1 << 14,
      bootstrapCheckpoint: () => Buffer.from('x'),
      openKeyStore: this.#stores.open,
      onEvent: () => {},
      // A dead life may say what it likes.
      onOffline: error => {
        if (files === this.#files) throw error
      }
    })
    if (files !== this.#files) return
    this.#catalog = catalog
    await Promise.all([...this.#existing.values()].map(async each => await this.#check(each, await this.#open(each))))
    await catalog.setAsideStrays()
  }

  #open(each: Expected): Promise<Log> {
    const small = { ...config, segmentBytes: 400 }
    return (this.#catalog as Catalog).getOrCreate(each, each.topicId, small)
  }

  /** The log is a beginning of what was appended, and has at least what was synced. */
  async #check(expected: Expected, log: Log): Promise<void> {
    const where = `seed ${this.#seed}, ${partitionName(expected)}`
    if (log.logEndOffset < expected.acked) throw new Error(`${where}: ends at ${log.logEndOffset} of ${expected.acked}`)
    const { records } = await log.read(0, { maxBytes: 1 << 20, upto: log.logEndOffset, minOneMessage: true })
    for (const buffer of records) {
      for (const at of batchesOf(buffer)) {
        const offset = baseOffset(buffer, at)
        const [record] = decodeRecords(buffer, at)
        const value = String(record?.value)
        if (value !== expected.values[offset]) throw new Error(`${where}: ${value} at ${offset}`)
      }
    }
    // What came back may be acked once it is synced, in this life; what did not is free again.
    expected.values.length = log.logEndOffset
    expected.acked = Math.max(expected.acked, log.syncedEndOffset)
    const files = this.#files
    log.onSynced(end => {
      if (files === this.#files) expected.acked = Math.max(expected.acked, end)
    })
  }

  async #work(): Promise<void> {
    const kind = this.#dice.below(12)
    const chosen = [...this.#existing.values()][this.#dice.below(Math.max(1, this.#existing.size))]
    if (kind < 2 || !chosen) await this.#create()
    else if (kind < 8) await this.#append(chosen)
    else if (kind < 9) await this.#delete(chosen.topic)
    else if (kind < 11) await this.#passTime()
    else (this.#catalog as Catalog).snapshots.put('key', { at: this.#clock.ms })
  }

  async #create(): Promise<void> {
    const topic = NAMES[this.#dice.below(NAMES.length)] as string
    const partition = this.#dice.below(3)
    const name = partitionName({ topic, partition })
    if (this.#existing.has(name)) return
    const sibling = [...this.#existing.values()].find(each => each.topic === topic)
    const id = sibling?.topicId ?? topicId(++this.#ids)
    const expected = { topic, partition, topicId: id, values: [], acked: 0 }
    this.#existing.set(name, expected)
    const log = await this.#open(expected)
    if (log.logEndOffset !== 0) throw new Error(`seed ${this.#seed}: a new ${name} ends at ${log.logEndOffset}`)
  }

  async #append(expected: Expected): Promise<void> {
    const log = this.#catalog?.get(expected)
    if (!log) return
    for (let count = 1 + this.#dice.below(4); count > 0; count--) {
      const value = `${expected.topicId}/${expected.partition}/${expected.values.length}/${this.crashes}`
      expected.values.push(value)
      log.appendAsLeader(batchOf({ value }), { leaderEpoch: 0, origin: 'client', nowMs: this.#clock.ms })
    }
    const end = await log.flush()
    if (this.#existing.get(partitionName(expected)) !== expected) return
    expected.acked = Math.max(expected.acked, end)
    this.#catalog?.recordHighWatermark(expected, end)
  }

  async #delete(topic: string): Promise<void> {
    const doomed = [...this.#existing.values()].filter(each => each.topic === topic)
    for (const each of doomed) this.#existing.delete(partitionName(each))
    for (const each of doomed) await this.#catalog?.remove(each)
  }

  async #passTime(): Promise<void> {
    this.#clock.advance([5_000, 30_000, 60_000][this.#dice.below(3)] as number)
    await microtasks(this.#dice.below(300))
  }

  async #stop(): Promise<void> {
    await this.#catalog?.close({ brokerEpoch: 1 })
    this.#catalog = null
    this.cleanStops++
    if (this.#dice.below(2) === 0) this.#crash()
  }

  /** Begins something and loses power somewhere in it. */
  async #interrupted(work: () => Promise<void>): Promise<void> {
    let failure: unknown = null
    work().catch(error => {
      failure ??= error
    })
    await microtasks(this.#dice.below(600))
    // After the crash everything may fail; before it nothing may.
    if (failure) throw failure
    this.#crash()
  }

  #crash(): void {
    this.crashes++
    this.#catalog = null
    this.#files = this.#files.crash(this.#dice, KINDS[this.#dice.below(KINDS.length)])
    this.#stores.crash(count => this.#dice.below(count + 1))
  }
}

async function microtasks(count: number): Promise<void> {
  for (let i = 0; i < count; i++) await null
}

test(`${SEEDS} stories of one directory`, async t => {
  let crashes = 0
  let cleanStops = 0
  for (let seed = 1; seed <= SEEDS; seed++) {
    const story = new Story(seed)
    try {
      await story.tell()
    } catch (error) {
      t.fail(`seed ${seed}: ${(error as Error).stack}`)
      break
    }
    crashes += story.crashes
    cleanStops += story.cleanStops
  }
  t.ok(crashes > SEEDS && cleanStops > SEEDS / 2, `${crashes} crashes, ${cleanStops} clean stops`)
})
