// Names of the files of a partition's directory, as Kafka names them (LogFileUtils.java): 20-digit base offset and a
// suffix that says what the file is; a second suffix says what a crash may have left half done.
import path from 'node:path'
import type { Offset } from '../protocol/types.ts'

export type FileKind = 'log' | 'index' | 'timeindex' | 'txnindex' | 'snapshot'
/** cleaned: being written by compaction. swap: complete, takes its place at the next start. deleted: on its way out. */
export type FileStage = 'cleaned' | 'swap' | 'deleted'

export const SEGMENT_KINDS: readonly FileKind[] = ['log', 'index', 'timeindex', 'txnindex']
export const EPOCHS_FILE = 'leader-epoch-checkpoint'

export interface FileName {
  readonly baseOffset: Offset
  readonly kind: FileKind
  readonly stage: FileStage | null
}

/** The suffix a file of the tail's rewriting carries until it is whole; dropped at start like every `.tmp`. */
export const TEMPORARY_SUFFIX = '.tmp'

const PATTERN = /^(\d{20})\.(log|index|timeindex|txnindex|snapshot)(?:\.(cleaned|swap|deleted))?$/

export function fileName(baseOffset: Offset, kind: FileKind, stage: FileStage | null = null): string {
  return `${String(baseOffset).padStart(20, '0')}.${kind}${stage ? `.${stage}` : ''}`
}

export function filePath(
  directory: string,
  baseOffset: Offset,
  kind: FileKind,
  stage: FileStage | null = null
): string {
  return path.join(directory, fileName(baseOffset, kind, stage))
}

/** Null for a name that is no segment file (and for an offset that no log can reach). */
export function parseFileName(name: string): FileName | null {
  const match = PATTERN.exec(name)
  if (!match) return null
  const baseOffset = Number(match[1])
  if (!Number.isSafeInteger(baseOffset)) return null
  return { baseOffset, kind: match[2] as FileKind, stage: (match[3] as FileStage | undefined) ?? null }
}
