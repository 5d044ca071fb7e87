// Loaded into a broker process before everything else (node --import): a sync takes as long as the bytes written since the
// last one need at MOLDAU_DISK_BYTES_PER_SECOND, one after the other, as on a disk with one head. Writes go to the page
// cache at its own speed, as they do.
import fs from 'node:fs'

function slowDown(bytesPerSecond: number): void {
  const written = new Map<number, number>()
  let isFreeAtMs = 0
  const { writeSync, writevSync } = fs
  const note = (fd: number, count: number): number => {
    written.set(fd, (written.get(fd) ?? 0) + count)
    return count
  }
  fs.writeSync = ((fd: number, ...rest: unknown[]) =>
    note(fd, (writeSync as (...args: unknown[]) => number)(fd, ...rest))) as typeof fs.writeSync
  fs.writevSync = (fd, ...rest) => note(fd, writevSync(fd, ...rest))
  fs.fdatasync = ((fd: number, done: (error: Error | null) => void) => {
    const now = performance.now()
    isFreeAtMs = Math.max(now, isFreeAtMs) + ((written.get(fd) ?? 0) / bytesPerSecond) * 1000
    written.delete(fd)
    setTimeout(done, isFreeAtMs - now, null)
  }) as typeof fs.fdatasync
}

const speed = Number(process.env.MOLDAU_DISK_BYTES_PER_SECOND)
if (speed > 0) slowDown(speed)
