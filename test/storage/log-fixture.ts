// What the tests of a log share: a clock that stands still until it is told, settings, and batches.
import { buildBatch } from '../../protocol/records/builder.ts'
import { MemoryFiles } from '../../storage/files-memory.ts'
import type { LogFailure, LogOptions } from '../../storage/log-options.ts'
import { OpenFiles } from '../../storage/open-files.ts'
import type { StorageClock } from '../../storage/storage-clock.ts'
import { TailCache } from '../../storage/tail-cache.ts'
import { sampleConfig } from './sample-config.ts'

/** Kafka's defaults, but segments of 1 MiB. */
export const config = sampleConfig({ segmentBytes: 1024 * 1024 })

/** Time moves when the test says so; ends of turns come when the test asks for them. */
export class TestClock implements StorageClock {
  ms: number
  #turn: (() => void)[] = []
  #timers: { at: number; fn: () => void }[] = []

  constructor(ms = 1_700_000_000_000) {
    this.ms = ms
  }

  nowMs(): number {
    return this.ms
  }

  monotonicMs(): number {
    return this.ms
  }

  endOfTurn(fn: () => void): void {
    this.#turn.push(fn)
  }

  after(ms: number, fn: () => void): { cancel(): void } {
    const timer = { at: this.ms + ms, fn }
    this.#timers.push(timer)
    return {
      cancel: () => {
        this.#timers = this.#timers.filter(other => other !== timer)
      }
    }
  }

  get timerCount(): number {
    return this.#timers.length
  }

  endTurn(): void {
    for (const fn of this.#turn.splice(0)) fn()
  }

  /** The process has died: nothing that it planned will happen. */
  forget(): void {
    this.#turn = []
    this.#timers = []
  }

  advance(ms: number): void {
    this.ms += ms
    const due = this.#timers.filter(timer => timer.at <= this.ms)
    this.#timers = this.#timers.filter(timer => timer.at > this.ms)
    for (const timer of due) timer.fn()
  }
}

export interface BatchOptions {
  timestamp?: number
  count?: number
  valueBytes?: number
  value?: string
  producerId?: number
  producerEpoch?: number
  baseSequence?: number
}

/** A client's batch of `count` records. */
export function batchOf(o: BatchOptions = {}): Buffer {
  const { timestamp = 1_700_000_000_000, count = 1, valueBytes = 20 } = o
  const value = o.value === undefined ? Buffer.alloc(valueBytes, 120) : Buffer.from(o.value)
  return buildBatch({
    producerId: o.producerId ?? -1,
    producerEpoch: o.producerEpoch ?? -1,
    baseSequence: o.baseSequence ?? -1,
    records: Array.from({ length: count }, () => ({ timestamp, key: null, value }))
  })
}

export interface LogFixture {
  readonly files: MemoryFiles
  readonly clock: TestClock
  readonly failures: LogFailure[]
  options: LogOptions
}

/** A log's surroundings on the disk in memory. */
export async function surroundings(changes: Partial<LogOptions> = {}): Promise<LogFixture> {
  const files = (changes.files as MemoryFiles | undefined) ?? new MemoryFiles()
  await files.mkdir('/data')
  await files.syncDirectory('/')
  const clock = new TestClock()
  const failures: LogFailure[] = []
  const options: LogOptions = {
    files,
    openFiles: new OpenFiles(files),
    tailCache: new TailCache(1024 * 1024),
    clock,
    random: { below: () => 0 },
    policy: 'group-commit',
    diskSpace: { isLow: false },
    directory: '/data/t-0',
    topicPartition: { topic: 't', partition: 0 },
    topicId: null,
    config,
    producerIdExpirationMs: 86400000,
    recoveryPoint: 0,
    logStartOffset: 0,
    cleanShutdown: false,
    syncedEnd: 0,
    onFailure: failure => failures.push(failure),
    ...changes
  }
  return { files, clock, failures, options }
}
