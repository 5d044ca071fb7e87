// What happens to the files of a segment as a whole: made durable, copied away from pages that cannot be trusted,
// renamed on their way out, deleted.
import { filePath, SEGMENT_KINDS, TEMPORARY_SUFFIX } from './file-names.ts'
import type { Files } from './files.ts'
import type { OpenFiles } from './open-files.ts'
import type { Segment } from './segment.ts'

interface SegmentFiles {
  readonly files: Files
  readonly openFiles: OpenFiles
  readonly directory: string
}

const COPY_BYTES = 1024 * 1024

/** The file alone: indexes and directory are the caller's part. */
export async function syncSegment(o: SegmentFiles, segment: Segment): Promise<void> {
  const fd = o.openFiles.pin(segment.file)
  try {
    await o.files.fdatasync(fd)
  } finally {
    o.openFiles.unpin(segment.file)
  }
}

/** After a failed sync the pages of a file may be clean and lost, and no later sync would write them: its bytes go to
 *  a new file, which is synced and takes the old one's name. */
export async function rewriteSegment(o: SegmentFiles, segment: Segment): Promise<void> {
  const temporary = segment.file.path + TEMPORARY_SUFFIX
  const source = o.openFiles.pin(segment.file)
  const target = o.files.open(temporary, 'create')
  try {
    o.files.ftruncate(target, 0)
    for (let position = 0; position < segment.sizeInBytes; position += COPY_BYTES) {
      const buffer = Buffer.allocUnsafeSlow(Math.min(COPY_BYTES, segment.sizeInBytes - position))
      const read = await o.files.read(source, buffer, position)
      o.files.writev(target, [buffer.subarray(0, read)], position)
    }
    await o.files.fdatasync(target)
  } finally {
    o.files.close(target)
    o.openFiles.unpin(segment.file)
  }
  o.openFiles.close(segment.file)
  o.files.rename(temporary, segment.file.path)
}

/** At once, without the delay that readers are given: for recovery and truncation. */
export async function deleteSegmentFiles(o: SegmentFiles, segment: Segment): Promise<void> {
  o.openFiles.close(segment.file)
  for (const kind of SEGMENT_KINDS) await o.files.unlink(filePath(o.directory, segment.baseOffset, kind))
}

/** Renames what is there to `.deleted`, which the next start drops. */
export function markSegmentDeleted(o: SegmentFiles, segment: Segment): void {
  o.openFiles.close(segment.file)
  for (const kind of SEGMENT_KINDS) {
    const from = filePath(o.directory, segment.baseOffset, kind)
    if (o.files.sizeOf(from) !== null) o.files.rename(from, filePath(o.directory, segment.baseOffset, kind, 'deleted'))
  }
}

export async function deleteMarkedFiles(o: SegmentFiles, segment: Segment): Promise<void> {
  for (const kind of SEGMENT_KINDS) await o.files.unlink(filePath(o.directory, segment.baseOffset, kind, 'deleted'))
}
