// When this node writes a snapshot of its committed metadata: after so many bytes of records, or so much time with
// anything new (KIP-630). Every node does, leader or not, and cuts its log behind the older of the two that are kept.
import type { Offset } from '../../protocol/types.ts'
import type { Clock, Timer } from '../clock.ts'
import type { Logger } from '../log.ts'
import type { MetadataCache } from '../metadata-cache.ts'
import type { QuorumLog } from './quorum-log.ts'
import type { Uncommitted } from './uncommitted.ts'

export interface SnapshotScheduleOptions {
  readonly cache: MetadataCache
  readonly log: QuorumLog
  readonly clock: Clock
  readonly logger: Logger
  readonly highWatermark: () => Offset
  readonly snapshotBytesMax: () => number
  readonly snapshotIntervalMs: () => number
  readonly snapshotEndOffset: Offset
  /** Of the records behind the newest snapshot. */
  readonly sizeInBytes: number
}

const TICK_MS = 500

export class SnapshotSchedule {
  readonly #o: SnapshotScheduleOptions
  #bytesSince: number
  #lastMs: number
  #endOffset: Offset
  #lastTimestamp = 0
  #writing: Promise<void> | null = null
  #isHeld = false
  /** One is needed, whatever else is due. */
  #isNeeded = false
  #timer: Timer | null = null

  constructor(o: SnapshotScheduleOptions) {
    this.#o = o
    this.#bytesSince = o.sizeInBytes
    this.#endOffset = o.snapshotEndOffset
    this.#lastMs = o.clock.monotonicMs()
    o.log.snapshots.onDamaged(() => {
      this.#isNeeded = true
      this.#maybe()
    })
  }

  start(): void {
    this.#arm()
  }

  stop(): void {
    this.#timer?.cancel()
    this.#timer = null
  }

  committed(batches: readonly Uncommitted[]): void {
    for (const { sizeInBytes, maxTimestamp } of batches) {
      this.#bytesSince += sizeInBytes
      this.#lastTimestamp = maxTimestamp
    }
  }

  /** A snapshot of the leader comes: resolves when none is being written here, and none will be before `installed`. */
  async hold(): Promise<void> {
    this.#isHeld = true
    await this.#writing?.catch(() => {})
  }

  installed(endOffset: Offset): void {
    this.#isHeld = false
    this.#endOffset = endOffset
    this.#bytesSince = 0
    this.#lastMs = this.#o.clock.monotonicMs()
  }

  async maybe(): Promise<void> {
    const { cache, clock, log, snapshotBytesMax, snapshotIntervalMs } = this.#o
    const covered = this.#isNeeded ? log.log.logStartOffset : this.#endOffset
    if (this.#writing || this.#isHeld || cache.endOffset <= covered) return
    // What waits for the end of a transaction is in no snapshot.
    if (cache.image.isInTransaction) return
    const isDue = this.#isNeeded || clock.monotonicMs() - this.#lastMs >= snapshotIntervalMs()
    if (!isDue && this.#bytesSince < snapshotBytesMax()) return
    this.#writing = this.#write()
    try {
      await this.#writing
    } finally {
      this.#writing = null
    }
  }

  async #write(): Promise<void> {
    const { cache, clock, highWatermark, log, logger } = this.#o
    const began = clock.monotonicMs()
    const { endOffset } = cache
    const id = { endOffset, epoch: log.log.epochs.epochForOffset(endOffset - 1) ?? log.lastEpoch }
    const image = cache.image.copy()
    this.#bytesSince = 0
    this.#lastMs = began
    this.#endOffset = endOffset
    const needed = await log.snapshots.write(image, id, this.#lastTimestamp || clock.nowMs(), clock)
    this.#isNeeded = false
    if (needed > log.log.logStartOffset) {
      log.log.advanceLogStartOffset(needed)
      log.log.deleteOldSegments(highWatermark(), clock.nowMs())
    }
    logger.info({ ...id, ms: Math.round(clock.monotonicMs() - began) }, 'metadata-snapshot-written')
  }

  #arm(): void {
    this.#timer = this.#o.clock.after(TICK_MS, () => {
      this.#maybe()
      this.#arm()
    })
  }

  #maybe(): void {
    this.maybe().catch(error => this.#o.logger.error({ err: error }, 'metadata-snapshot-failed'))
  }
}
