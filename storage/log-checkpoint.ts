// How the recovery point of a log moves: it passes an offset only when the log, its indexes, its epochs and a producer
// snapshot up to that offset are all durable (durability rule 3). What is written is captured in one turn, so that it
// belongs together; appends go on while it is synced.
import path from 'node:path'
import type { Offset } from '../protocol/types.ts'
import { EPOCHS_FILE } from './file-names.ts'
import type { Log } from './log.ts'
import type { Segment } from './segment.ts'

/** A start after a crash walks about a GB a second: so much of a log costs it less than a tenth of one. */
const CHECKPOINT_BYTES = 64 * 1024 * 1024

export class Checkpointer {
  readonly #log: Log
  #recoveryPoint: Offset
  #running: Promise<Offset> | null = null
  #next: Promise<Offset> | null = null
  /** Appended since the last checkpoint began. */
  #bytes = 0

  constructor(log: Log, recoveryPoint: Offset) {
    this.#log = log
    this.#recoveryPoint = recoveryPoint
  }

  get recoveryPoint(): Offset {
    return this.#recoveryPoint
  }

  /** The log was cut: what was durable beyond is gone. */
  lower(to: Offset): void {
    this.#recoveryPoint = Math.min(this.#recoveryPoint, to)
  }

  /** Enough of it, and a checkpoint comes at the end of the turn: what it does not cover a start after a crash reads. Where
   *  nothing is synced before it counts, only a roll and the clock sync, as in Kafka. */
  appended(bytes: number): void {
    this.#bytes += bytes
    const { checkpointBytes = CHECKPOINT_BYTES, clock, policy } = this.#log.options
    if (this.#bytes < checkpointBytes || policy === 'page-cache') return
    this.#bytes = 0
    clock.endOfTurn(() => this.runInBackground())
  }

  /** When it fails the log is offline, and that was reported. */
  runInBackground(): void {
    this.#log.checkpoint().then(this.#log.options.onRecoveryPoint, () => {})
  }

  /** Resolves when none is running, and fails as it did. */
  async idle(): Promise<void> {
    await this.#running
  }

  run(): Promise<Offset> {
    if (!this.#running) {
      this.#running = this.#run().finally(() => {
        this.#running = null
      })
      return this.#running
    }
    // The one that is running began before the present end.
    this.#next ??= this.#running
      .catch(() => this.#recoveryPoint)
      .then(() => {
        this.#next = null
        return this.#log.checkpoint()
      })
    return this.#next
  }

  async #run(): Promise<Offset> {
    try {
      if (this.#log.isUnmade) {
        if (this.#log.logEndOffset === 0) return this.#recoveryPoint
        await this.#log.writer.made()
      }
      this.#bytes = 0
      // No cut can come in between: it waits for a checkpoint that is running, and none begins while it cuts.
      this.#recoveryPoint = Math.max(this.#recoveryPoint, await checkpoint(this.#log))
    } catch (error) {
      if (!this.#log.isOffline) this.#log.fail(error, 'checkpoint')
      throw error
    }
    return this.#recoveryPoint
  }
}

/** Gives the offset that recovery may begin at from now on. */
async function checkpoint(log: Log): Promise<Offset> {
  const { files, isUrgent = false } = log.options
  const end = log.logEndOffset
  const producers = log.producers.takeSnapshot()
  const epochs = Buffer.from(log.epochs.format(), 'latin1')
  const segments = writeIndexes(log)
  await log.flush()
  await Promise.all(segments.map(segment => segment.syncIndexes(isUrgent)))
  await log.snapshots.write(end, producers, isUrgent)
  // Its rename is followed by a sync of the directory, which covers the index files and the snapshot as well.
  await files.writeFileAtomically(path.join(log.directory, EPOCHS_FILE), epochs, isUrgent)
  await log.snapshots.prune(new Set([...log.segments].map(segment => segment.baseOffset)))
  for (const segment of segments) if (segment.file.fd < 0) segment.unloadIndexes()
  return end
}

/** The active segment's largest timestamp goes into its index too: a recovery that begins behind it would not see it. */
function writeIndexes(log: Log): Segment[] {
  const written: Segment[] = []
  for (const segment of log.segments) {
    if (segment === log.segments.active) segment.seal()
    if (!segment.offsetIndex.isLoaded && !segment.timeIndex.isLoaded) continue
    if (segment.offsetIndex.isDurable && segment.timeIndex.isDurable) continue
    segment.writeIndexes()
    written.push(segment)
  }
  return written
}

/** Nothing came since the last checkpoint, or ever. An epoch that began at the very end is not in the file then; the next
 *  leader's epoch begins there too and takes its place (LeaderEpochFileCache.assign). */
export function isWrittenDown(log: Log): boolean {
  if (log.isOffline || log.recoveryPoint !== log.logEndOffset) return false
  if (log.isUnmade) return true
  // Zeros of a preallocated file: closing takes them off.
  const { active } = log.segments
  if (log.options.files.sizeOf(active.file.path) !== active.sizeInBytes) return false
  return log.snapshots.offsets.includes(log.logEndOffset) || (log.sizeInBytes === 0 && log.logEndOffset === 0)
}
