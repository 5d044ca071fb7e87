// How the recovery point of a log moves: it passes an offset only when the log, its indexes, its epochs and a producer
// snapshot up to that offset are all durable (durability rule 3). What is written is captured in one turn, so that it
// belongs together; appends go on while it is synced.
import path from 'node:path'
import type { Offset } from '../protocol/types.ts'
import { EPOCHS_FILE } from './file-names.ts'
import type { Log } from './log.ts'
import type { Segment } from './segment.ts'

/** Gives the offset that recovery may begin at from now on. */
export async function checkpoint(log: Log): Promise<Offset> {
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
