// The periodic work of one log directory: one task for all logs each, in slices, so that no turn of the event loop is
// long and an idle partition costs nothing of its own. Intervals and first delay are Kafka's (LogManager.startup).
import type { CatalogFiles } from './catalog-files.ts'
import type { CatalogSettings } from './catalog-options.ts'
import { Cleaner, type CleanerOptions } from './cleaner.ts'
import type { Log } from './log.ts'
import { METADATA_TOPIC, partitionName } from './partition-names.ts'
import { Periodic } from './periodic.ts'
import type { StorageClock } from './storage-clock.ts'

/** A recovery point that moved by itself is written down so soon. */
const RECORD_MS = 500
/** Logs looked at in one turn. */
const SLICE = 256

export interface HousekeepingOptions {
  readonly clock: StorageClock
  readonly settings: CatalogSettings
  readonly files: CatalogFiles
  readonly logs: () => ReadonlyMap<string, Log>
  /** The directory is lost. */
  readonly fail: (error: unknown) => void
  readonly onEvent: CleanerOptions['onEvent']
}

export class Housekeeping {
  readonly #o: HousekeepingOptions
  readonly #soon: Periodic[]
  readonly #later: Periodic[]
  readonly cleaner: Cleaner
  #isStopping = false
  #recording: { cancel(): void } | null = null
  #recorded: Promise<void> = Promise.resolve()

  constructor(o: HousekeepingOptions) {
    const { clock, settings, files, logs, onEvent } = o
    this.#o = o
    this.cleaner = new Cleaner({
      clock,
      settings: settings.cleaner,
      logs,
      highWatermarkOf: log => files.highWatermarkOf(partitionName(log.topicPartition)),
      recorded: {
        get: name => files.cleanerPointOf(name),
        record: (log, offset) => files.recordCleanerPoint(log, offset, logs())
      },
      recordDurable: async () => {
        await files.writeSyncedEnds(logs())
        await files.writeRecoveryPoints(logs())
      },
      onEvent
    })
    const task = (intervalMs: () => number, work: () => Promise<void>) =>
      new Periodic(clock, intervalMs, () => work().catch(error => o.fail(error)))
    this.#soon = [
      task(
        () => settings.highWatermarkCheckpointIntervalMs,
        () => this.#writeEnds()
      )
    ]
    this.#later = [
      task(
        () => settings.retentionCheckIntervalMs,
        () => this.deleteOldSegments()
      ),
      task(
        () => settings.flushOffsetCheckpointIntervalMs,
        () => this.checkpoint()
      ),
      task(
        () => settings.flushStartOffsetCheckpointIntervalMs,
        () => files.writeLogStartOffsets(logs())
      ),
      task(
        () => settings.producerIdExpirationCheckIntervalMs,
        () => this.expireProducers()
      )
    ]
  }

  start(): void {
    for (const task of this.#soon) task.start(this.#o.settings.highWatermarkCheckpointIntervalMs)
    for (const task of this.#later) task.start(this.#o.settings.initialTaskDelayMs)
    this.cleaner.start()
  }

  async stop(): Promise<void> {
    this.#isStopping = true
    this.#recording?.cancel()
    await this.#recorded
    await Promise.all([this.cleaner, ...this.#soon, ...this.#later].map(task => task.stop()))
  }

  /** High watermarks, and the lower bounds of the synced ends beside them. A broker that takes no appends moves none. */
  async #writeEnds(): Promise<void> {
    const { files, logs } = this.#o
    if (!files.hasNewHighWatermarks) return
    await files.writeSyncedEnds(logs())
    await files.writeHighWatermarks(logs())
  }

  /** A log has rolled, or has taken much: soon a start need not walk that again. Many that come together are one write. */
  recordSoon(): void {
    const { clock, files, logs, fail } = this.#o
    if (this.#recording !== null || this.#isStopping) return
    this.#recording = clock.after(RECORD_MS, () => {
      this.#recording = null
      this.#recorded = files.writeRecoveryPoints(logs()).catch(fail)
    })
  }

  /** Recovery points follow the logs: indexes, epochs and a producer snapshot are synced first, log by log. */
  async checkpoint(): Promise<void> {
    const { files, logs } = this.#o
    await this.#each(async log => {
      if (log.recoveryPoint === log.logEndOffset) return
      await log.checkpoint().catch(error => {
        // Deleted meanwhile, or failed: and that was told by the log itself.
        if (!log.isOffline) throw error
      })
    })
    await files.writeRecoveryPoints(logs())
  }

  async deleteOldSegments(): Promise<void> {
    const { clock, files } = this.#o
    await this.#each((log, name) => {
      // The metadata log is cut by its snapshots (KIP-630), not by age or size.
      if (log.topicPartition.topic === METADATA_TOPIC) return
      log.deleteOldSegments(files.highWatermarkOf(name), clock.nowMs())
    })
  }

  async expireProducers(): Promise<void> {
    const { clock, settings } = this.#o
    await this.#each(log => log.producers.expire(clock.nowMs(), settings.producerIdExpirationMs))
  }

  async #each(work: (log: Log, name: string) => Promise<void> | void): Promise<void> {
    let count = 0
    for (const [name, log] of [...this.#o.logs()]) {
      if (this.#isStopping) return
      if (!log.isOffline) await work(log, name)
      if (++count % SLICE === 0) await new Promise<void>(resolve => this.#o.clock.endOfTurn(resolve))
    }
  }
}
