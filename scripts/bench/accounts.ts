// What processes have cost so far, from the operating system's own accounting (proc(5)): a broker is measured from the
// outside, whatever it is written in. Several processes count as one. Without process ids everything is NaN.
import { readFileSync, writeFileSync } from 'node:fs'

/** The kernel's USER_HZ, the same on every Linux. */
const TICKS_PER_SECOND = 100

export interface Accounts {
  readonly cpuSeconds: number
  readonly residentMegabytes: number
  /** The most since the process began, or since `forgetPeaks`. */
  readonly peakMegabytes: number
  /** What reached, or will reach, the device. */
  readonly writtenBytes: number
  readonly readBytes: number
}

/** User and system time of a process so far, in seconds. */
export function cpuSecondsOf(pid: number): number {
  if (Number.isNaN(pid)) return Number.NaN
  const text = readFileSync(`/proc/${pid}/stat`, 'utf8')
  const fields = text.slice(text.lastIndexOf(')') + 2).split(' ')
  return (Number(fields[11]) + Number(fields[12])) / TICKS_PER_SECOND
}

function numberIn(path: string, name: string): number {
  try {
    return Number(new RegExp(`^${name}:\\s+(\\d+)`, 'm').exec(readFileSync(path, 'utf8'))?.[1] ?? Number.NaN)
  } catch {
    return Number.NaN // Somebody else's process: its input and output are not ours to read.
  }
}

export function accountsOf(pids: readonly number[]): Accounts {
  const sum = (of: (pid: number) => number): number =>
    pids.length === 0 ? Number.NaN : pids.reduce((total, pid) => total + of(pid), 0)
  return {
    cpuSeconds: sum(cpuSecondsOf),
    residentMegabytes: sum(pid => numberIn(`/proc/${pid}/status`, 'VmRSS') / 1024),
    peakMegabytes: sum(pid => numberIn(`/proc/${pid}/status`, 'VmHWM') / 1024),
    writtenBytes: sum(pid => numberIn(`/proc/${pid}/io`, 'write_bytes')),
    readBytes: sum(pid => numberIn(`/proc/${pid}/io`, 'read_bytes'))
  }
}

/** The peak counts from now on (clear_refs, 5), where the system lets us. */
export function forgetPeaks(pids: readonly number[]): void {
  for (const pid of pids) {
    try {
      writeFileSync(`/proc/${pid}/clear_refs`, '5')
    } catch {}
  }
}
