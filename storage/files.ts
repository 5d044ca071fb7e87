// The port to the disk: everything that storage asks of an operating system, and nothing else. files-node.ts is the
// real one, files-memory.ts the one that crashes. What is hot (appends, index loads) is synchronous; what may take a
// disk's time is a promise. Every refusal of the operating system is a MoldauError (ERR_STORAGE or ERR_NO_SPACE) with
// the system's error as its cause; a file that is not there is null where null is in the type.
import { MoldauError } from '../protocol/failure.ts'

/** read: must exist, read only. write: must exist, read and write. create: read and write, made when it is missing. */
export type OpenMode = 'read' | 'write' | 'create'

export interface FileStat {
  readonly sizeInBytes: number
  readonly modifiedMs: number
  readonly isDirectory: boolean
}

export interface DiskUsage {
  readonly freeBytes: number
  readonly totalBytes: number
}

export interface Files {
  open(path: string, mode: OpenMode): number
  /** The descriptor is gone at once; the system may finish later (closing a deleted 4 GB file takes 600 ms). */
  close(fd: number): void
  /** Writes all bytes of all buffers at `position`, or throws; then any part of them may be in the file. */
  writev(fd: number, buffers: readonly Uint8Array[], position: number): void
  /** Fills `buffer` from `position`; fewer bytes only at the end of the file. */
  readSync(fd: number, buffer: Uint8Array, position: number): number
  read(fd: number, buffer: Uint8Array, position: number): Promise<number>
  ftruncate(fd: number, sizeInBytes: number): void
  /** What was written before the call is durable when it resolves. Once it failed it must never be tried again for
   *  the same file: the pages may be clean, and lost. `urgent`: goes before others (metadata log, quorum state). */
  fdatasync(fd: number, urgent?: boolean): Promise<void>

  /** Atomic; durable only after syncDirectory of the parent, as are created and removed entries. */
  rename(from: string, to: string): void
  sizeOf(path: string): number | null
  readFileSync(path: string): Buffer | null
  readFile(path: string): Promise<Buffer | null>
  stat(path: string): Promise<FileStat | null>
  /** Names in no particular order. */
  readdir(path: string): Promise<string[]>
  /** With its parents; no error where it exists. */
  mkdir(path: string): Promise<void>
  /** No error where it is missing. */
  unlink(path: string): Promise<void>
  /** With everything in it; no error where it is missing. */
  removeDirectory(path: string): Promise<void>
  syncDirectory(path: string): Promise<void>
  diskUsage(path: string): Promise<DiskUsage>
  /** Old bytes or new bytes, never a mix: writes `path`.tmp, syncs it, renames it, syncs the directory. */
  writeFileAtomically(path: string, bytes: Uint8Array, urgent?: boolean): Promise<void>
}

/** The one place where an operating system's error becomes one of ours. */
export function storageFailure(operation: string, path: string, cause: unknown): MoldauError {
  const code = (cause as { code?: string } | null)?.code ?? 'unknown error'
  const full = code === 'ENOSPC' || code === 'EDQUOT'
  return new MoldauError(full ? 'ERR_NO_SPACE' : 'ERR_STORAGE', `${operation} ${path}: ${code}`, { cause })
}
