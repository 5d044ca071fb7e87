// What a crash may have left half done in a partition's directory, settled before the log is loaded (LogLoader.java):
// `.cleaned`, `.deleted` and `.tmp` files are dropped; a `.swap` file was complete and synced before it got that name, so
// it takes the place of the segments whose offsets it covers, which were to be deleted.
import path from 'node:path'
import { lastOffset, sizeInBytes } from '../protocol/records/batch.ts'
import type { Offset } from '../protocol/types.ts'
import { type FileName, fileName, parseFileName, TEMPORARY_SUFFIX } from './file-names.ts'
import type { Files } from './files.ts'
import { positionsIn, slicesOf } from './scan.ts'

/** Gives the names that remain. The directory is not synced yet. */
export async function settleLeftovers(files: Files, directory: string, names: string[]): Promise<string[]> {
  const swaps: FileName[] = []
  const kept = new Set<string>()
  const cleaned: Offset[] = []
  for (const name of names) {
    const parsed = parseFileName(name)
    if (parsed?.stage === 'swap') swaps.push(parsed)
    else if (parsed?.stage || name.endsWith(TEMPORARY_SUFFIX)) {
      if (parsed?.stage === 'cleaned') cleaned.push(parsed.baseOffset)
      await files.unlink(path.join(directory, name))
    } else kept.add(name)
  }
  if (swaps.length > 0) await finishSwaps(files, directory, kept, swaps, cleaned)
  return [...kept]
}

/** A segment that was being split has `.cleaned` files left: its `.swap` files from there on are incomplete, and the
 *  originals are all there. */
async function finishSwaps(
  files: Files,
  directory: string,
  kept: Set<string>,
  swaps: FileName[],
  cleaned: Offset[]
): Promise<void> {
  const firstCleaned = Math.min(Number.POSITIVE_INFINITY, ...cleaned)
  const whole = swaps.filter(swap => swap.baseOffset < firstCleaned)
  for (const swap of swaps) {
    if (swap.baseOffset >= firstCleaned) await files.unlink(nameIn(directory, swap))
  }
  const logs = whole.filter(swap => swap.kind === 'log')
  for (const log of logs) {
    const end = await endOffsetOf(files, nameIn(directory, log), log.baseOffset)
    for (const name of [...kept]) {
      const parsed = parseFileName(name)
      if (!parsed || parsed.kind === 'snapshot') continue
      if (parsed.baseOffset < log.baseOffset || parsed.baseOffset >= Math.max(end, log.baseOffset + 1)) continue
      await files.unlink(path.join(directory, name))
      kept.delete(name)
    }
  }
  for (const swap of whole) {
    const name = fileName(swap.baseOffset, swap.kind)
    files.rename(nameIn(directory, swap), path.join(directory, name))
    kept.add(name)
  }
}

function nameIn(directory: string, name: FileName): string {
  return path.join(directory, fileName(name.baseOffset, name.kind, name.stage))
}

async function endOffsetOf(files: Files, file: string, baseOffset: Offset): Promise<Offset> {
  const fd = files.open(file, 'read')
  try {
    let end = baseOffset
    for await (const { buffer } of slicesOf(files, fd, 0, files.sizeOf(file) ?? 0)) {
      for (const at of positionsIn(buffer)) if (sizeInBytes(buffer, at) > 0) end = lastOffset(buffer, at) + 1
    }
    return end
  } finally {
    files.close(fd)
  }
}
