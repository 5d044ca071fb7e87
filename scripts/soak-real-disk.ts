// The disk of one real broker that can be full: a file system of limited size where root may mount one, and for everybody else
// a quota on the broker's own writes (quota-hook.ts).
import { execFileSync } from 'node:child_process'
import { closeSync, mkdirSync, openSync, rmSync, statfsSync, writeFileSync, writeSync } from 'node:fs'
import { join } from 'node:path'
import type { NodeLayout } from '../clients/dev/layout.ts'

export interface SmallDisk {
  readonly nodeId: number
  /** For the broker's process. */
  readonly environment: Readonly<Record<string, string>>
  readonly isMounted: boolean
  /** Nothing fits any more, or nothing but `leaves` bytes. */
  fill(leaves: number): void
  free(): void
  unmount(): void
}

const SMALL_DISK_BYTES = 1 << 30
const CHUNK = Buffer.alloc(1 << 20)

export function smallDisk({ nodeId, directory }: NodeLayout): SmallDisk {
  const isMounted = mountSmall(directory)
  if (!isMounted) return quota(nodeId, `${directory}.full`)
  const ballast = join(directory, 'ballast')
  return {
    ...{ nodeId, environment: {}, isMounted },
    fill: leaves => writeBallast(ballast, directory, leaves),
    free: () => rmSync(ballast, { force: true }),
    unmount: () => {
      try {
        execFileSync('umount', [directory], { stdio: 'ignore' })
      } catch {
        // Somebody has taken it away.
      }
    }
  }
}

function quota(nodeId: number, flag: string): SmallDisk {
  const free = () => rmSync(flag, { force: true })
  return {
    ...{ nodeId, environment: { QUOTA_FLAG: flag }, isMounted: false },
    fill: leaves => writeFileSync(flag, String(leaves)),
    free,
    unmount: free
  }
}

function mountSmall(directory: string): boolean {
  try {
    mkdirSync(directory, { recursive: true })
    execFileSync('mount', ['-t', 'tmpfs', '-o', `size=${SMALL_DISK_BYTES}`, 'tmpfs', directory], { stdio: 'ignore' })
    return true
  } catch {
    return false
  }
}

function writeBallast(file: string, directory: string, leaves: number): void {
  const fd = openSync(file, 'w')
  try {
    for (;;) {
      const { bavail, bsize } = statfsSync(directory)
      const free = Number(bavail) * Number(bsize) - leaves
      if (free < bsize) return
      writeSync(fd, CHUNK, 0, Math.min(CHUNK.length, free))
    }
  } catch {
    // No space left on the device: that is what was wanted.
  } finally {
    closeSync(fd)
  }
}
