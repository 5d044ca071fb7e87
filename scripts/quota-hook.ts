// Loaded into a broker process before everything else (node --import): while the file QUOTA_FLAG exists, its writes get the
// bytes that this file names, and then ENOSPC, as on a full disk: first a short write, then none. LevelDB's own writes pass.
import fs from 'node:fs'

const flag = process.env.QUOTA_FLAG
const { writeSync, writevSync } = fs

/** Bytes that are left; null: no limit just now. */
let left: number | null = null

function room(fd: number): number | null {
  // Logs of a broker go to its standard output, which is no disk.
  if (fd <= 2) return null
  if (!fs.existsSync(flag as string)) left = null
  else left ??= readQuota()
  return left
}

function readQuota(): number | null {
  try {
    return Number(fs.readFileSync(flag as string, 'utf8'))
  } catch {
    // Free again since it was looked for.
    return null
  }
}

/** Writes at most what there is room for. */
function write(fd: number, bytes: Uint8Array, position: number | null, space: number): number {
  if (space === 0) throw Object.assign(new Error('ENOSPC: no space left on device, write'), { code: 'ENOSPC' })
  const written = writeSync(fd, bytes, 0, Math.min(bytes.length, space), position)
  left = space - written
  return written
}

if (flag !== undefined) {
  fs.writeSync = ((...args: [number, Uint8Array | string, number?, number?, (number | null)?]) => {
    const [fd, bytes, offset = 0, length = bytes.length - offset, position = null] = args
    const space = typeof bytes === 'string' ? null : room(fd)
    if (space === null || typeof bytes === 'string') return (writeSync as (...all: unknown[]) => number)(...args)
    return write(fd, bytes.subarray(offset, offset + length), position, space)
  }) as typeof fs.writeSync
  fs.writevSync = ((fd: number, buffers: Uint8Array[], position?: number) => {
    const space = room(fd)
    return space === null
      ? writevSync(fd, buffers, position)
      : write(fd, Buffer.concat(buffers), position ?? null, space)
  }) as typeof fs.writevSync
}
