// Who is cleaned when: one log at a time, the dirtiest first, then a pause when nothing is due. A log that cannot be
// cleaned stops only itself: it is left alone for a while, tried again, and what went wrong stays visible.
// Settings and choice are Kafka's (LogCleaner.java, LogCleanerManager.java).
import { isFailure } from '../protocol/failure.ts'
import type { Offset, TimestampMs } from '../protocol/types.ts'
import { type CleanResult, cleanLog, viewOf } from './clean-log.ts'
import { type Cleanable, cleanableOf } from './compaction.ts'
import type { Log } from './log.ts'
import { OffsetMap } from './offset-map.ts'
import { METADATA_TOPIC, partitionName } from './partition-names.ts'
import { Periodic } from './periodic.ts'
import type { StorageClock } from './storage-clock.ts'

/** Settings that may change while the broker runs are read at each use: give getters. */
export interface CleanerSettings {
  /** log.cleaner.enable */
  readonly isEnabled: boolean
  /** log.cleaner.backoff.ms */
  readonly backoffMs: number
  /** log.cleaner.dedupe.buffer.size: the most memory that the map of keys may take. */
  readonly dedupeBufferBytes: number
  /** log.cleaner.io.buffer.load.factor */
  readonly dedupeBufferLoadFactor: number
  /** log.cleaner.io.buffer.size */
  readonly ioBufferBytes: number
  /** log.cleaner.io.max.bytes.per.second; Infinity: no limit. */
  readonly ioMaxBytesPerSecond: number
}

export type CleanerEvent = 'log-cleaned' | 'log-clean-failed'

export interface CleanerOptions {
  readonly clock: StorageClock
  readonly settings: CleanerSettings
  readonly logs: () => ReadonlyMap<string, Log>
  readonly highWatermarkOf: (log: Log) => Offset
  /** Where the last cleaning of a log ended (cleaner-offset-checkpoint). */
  readonly recorded: { get(name: string): Offset | undefined; record(log: Log, offset: Offset): Promise<void> }
  /** Writes down how far the logs are durable: recovery believes in the holes that cleaning leaves only below that. */
  readonly recordDurable?: () => Promise<void>
  readonly onEvent: (level: 'info' | 'warn' | 'error', event: CleanerEvent, data: object) => void
}

/** What is known of the cleaning of one log. */
export interface CleanerStatus {
  readonly name: string
  readonly state: 'idle' | 'cleaning' | 'failed'
  readonly firstDirtyOffset: Offset
  readonly dirtyRatio: number
  readonly lastCleanedMs: TimestampMs | null
  readonly lastError: unknown
}

interface Trouble {
  readonly error: unknown
  readonly failures: number
  /** By the monotonic clock. */
  readonly againMs: number
}

/** The longest that a log which could not be cleaned is left alone. */
const LONGEST_REST_MS = 600_000
/** Logs looked at in one turn. */
const SLICE = 256

export class Cleaner {
  readonly #o: CleanerOptions
  readonly #periodic: Periodic
  readonly #troubles = new WeakMap<Log, Trouble>()
  readonly #lastCleaned = new WeakMap<Log, TimestampMs>()
  #current: Log | null = null
  #isStopping = false

  constructor(o: CleanerOptions) {
    this.#o = o
    this.#periodic = new Periodic(
      o.clock,
      () => o.settings.backoffMs,
      () => this.cleanAll()
    )
  }

  start(): void {
    this.#periodic.start(this.#o.settings.backoffMs)
  }

  /** Resolves when nothing is being cleaned any more. */
  async stop(): Promise<void> {
    this.#isStopping = true
    await this.#periodic.stop()
  }

  /** Cleans until nothing is due. Never rejects. */
  async cleanAll(): Promise<void> {
    while (!this.#isStopping && this.#o.settings.isEnabled) {
      const chosen = await this.#dirtiest()
      if (chosen === null) return
      await this.#clean(chosen.log, chosen.range)
    }
  }

  /** Of every compacted log. */
  *status(): Generator<CleanerStatus, void, undefined> {
    for (const [name, log] of this.#o.logs()) {
      if (!mayClean(log)) continue
      const trouble = this.#troubles.get(log)
      const { firstDirtyOffset, dirtyRatio } = this.#cleanableOf(log)
      yield {
        name,
        state: log === this.#current ? 'cleaning' : trouble ? 'failed' : 'idle',
        firstDirtyOffset,
        dirtyRatio,
        lastCleanedMs: this.#lastCleaned.get(log) ?? null,
        lastError: trouble?.error ?? null
      }
    }
  }

  #cleanableOf(log: Log): Cleanable {
    const recorded = this.#o.recorded.get(partitionName(log.topicPartition))
    return cleanableOf(viewOf(log, this.#o.highWatermarkOf(log)), recorded, log.config, this.#o.clock.nowMs())
  }

  async #dirtiest(): Promise<{ log: Log; range: Cleanable } | null> {
    let best: { log: Log; range: Cleanable } | null = null
    let count = 0
    for (const log of [...this.#o.logs().values()]) {
      if (++count % SLICE === 0) await this.#turn()
      if (this.#isStopping) return null
      if (!mayClean(log) || this.#isResting(log)) continue
      try {
        const range = this.#cleanableOf(log)
        if (range.isDue && range.dirtyRatio > (best?.range.dirtyRatio ?? -1)) best = { log, range }
      } catch (error) {
        this.#failed(log, error)
      }
    }
    return best
  }

  #isResting(log: Log): boolean {
    const trouble = this.#troubles.get(log)
    return trouble !== undefined && this.#o.clock.monotonicMs() < trouble.againMs
  }

  async #clean(log: Log, range: Cleanable): Promise<void> {
    const { clock, settings, recorded, onEvent } = this.#o
    const startedMs = clock.monotonicMs()
    this.#current = log
    try {
      await this.#o.recordDurable?.()
      const map = new OffsetMap(settings.dedupeBufferBytes, settings.dedupeBufferLoadFactor)
      const result: CleanResult = await cleanLog(log, range, {
        map,
        ioBufferBytes: settings.ioBufferBytes,
        nowMs: clock.nowMs(),
        pace: bytes => this.#pace(bytes),
        isStopped: () => this.#isStopping
      })
      await recorded.record(log, result.endOffset)
      this.#troubles.delete(log)
      this.#lastCleaned.set(log, clock.nowMs())
      const tookMs = Math.round(clock.monotonicMs() - startedMs)
      onEvent('info', 'log-cleaned', { partition: partitionName(log.topicPartition), ...result, tookMs })
    } catch (error) {
      // Closed, moved or cut meanwhile: nothing is wrong with it.
      if (!isFailure(error, 'ERR_CLOSED')) this.#failed(log, error)
      else if (!this.#isStopping && !log.isOffline) this.#rest(log, error)
    } finally {
      this.#current = null
    }
  }

  #failed(log: Log, error: unknown): void {
    const { failures } = this.#rest(log, error)
    const partition = partitionName(log.topicPartition)
    this.#o.onEvent('error', 'log-clean-failed', { partition, failures, err: error })
  }

  #rest(log: Log, error: unknown): Trouble {
    const failures = (this.#troubles.get(log)?.failures ?? 0) + 1
    const restMs = Math.min(
      LONGEST_REST_MS,
      Math.max(1000, this.#o.settings.backoffMs) * 2 ** Math.min(failures - 1, 10)
    )
    const trouble = { error, failures, againMs: this.#o.clock.monotonicMs() + restMs }
    this.#troubles.set(log, trouble)
    return trouble
  }

  #turn(): Promise<void> {
    return new Promise(resolve => this.#o.clock.endOfTurn(resolve))
  }

  /** A turn for others, and as much waiting as log.cleaner.io.max.bytes.per.second asks for these bytes. */
  #pace(bytes: number): Promise<void> {
    const waitMs = (bytes / this.#o.settings.ioMaxBytesPerSecond) * 1000
    if (waitMs < 1) return this.#turn()
    return new Promise(resolve => void this.#o.clock.after(waitMs, resolve))
  }
}

/** The metadata log is cut by its snapshots (KIP-630), whatever cleanup.policy the topics have. */
function mayClean(log: Log): boolean {
  return log.config.compacts && !log.isOffline && log.topicPartition.topic !== METADATA_TOPIC
}
