// Whether the disk is below its reserve. Then clients' appends are refused before an offset is given, while everything
// that frees space, and everything that is not a client's, goes on (durability rule 10). The system is asked at most once
// a second, and only while somebody appends, so an idle broker asks nothing; sooner only when a good part of what was
// free then has been appended since: a fast client fills more than the reserve in a second.
import type { DiskUsage, Files } from './files.ts'
import type { StorageClock } from './storage-clock.ts'

const CHECK_INTERVAL_MS = 1000
const RESERVE_MAX_BYTES = 256 * 1024 * 1024
const RESERVE_SHARE = 0.01
/** What must be free beyond the reserve before appends are taken again, so that the edge is not crossed all the time. */
const CLEARANCE = 1.1
/** The system is asked again after this part of what may still be filled, but not for less than a few appends. */
const SHARE_BEFORE_CHECK = 0.25
const BYTES_BEFORE_CHECK_MIN = 1024 * 1024

export interface DiskSpaceOptions {
  readonly files: Files
  readonly directory: string
  readonly clock: StorageClock
  /** moldau.disk.reserve.bytes as it is now; null: 1 % of the disk or 256 MiB, the smaller of the two; 0: none. */
  readonly reserveBytes: () => number | null
  readonly onChange: (isLow: boolean, usage: DiskUsage & { reserveBytes: number }) => void
}

export class DiskSpace {
  readonly #o: DiskSpaceOptions
  #isLow = false
  #checkedMs = Number.NEGATIVE_INFINITY
  /** What may be appended before the reserve is reached, as of the last check. */
  #roomBytes = Number.POSITIVE_INFINITY
  #bytesSinceCheck = 0
  /** An append was refused by reckoning: from there on it is the edge for going back that counts. */
  #isFeared = false
  #checking: Promise<void> | null = null

  constructor(o: DiskSpaceOptions) {
    this.#o = o
  }

  /** Whoever is refused by reckoning makes the disk be asked at once, so that it is known and told why. */
  get isLow(): boolean {
    const isBeyond = this.#bytesSinceCheck > this.#roomBytes
    if (isBeyond) this.#isFeared = true
    if (isBeyond || this.#isDue()) void this.check()
    return this.#isLow || isBeyond
  }

  /** Bytes that are about to be written. */
  note(bytes: number): void {
    this.#bytesSinceCheck += bytes
  }

  #isDue(): boolean {
    if (this.#bytesSinceCheck > Math.max(BYTES_BEFORE_CHECK_MIN, this.#roomBytes * SHARE_BEFORE_CHECK)) return true
    return this.#o.clock.monotonicMs() - this.#checkedMs >= CHECK_INTERVAL_MS
  }

  /** Never rejects: a disk that cannot be asked is found out by the next write. */
  check(): Promise<void> {
    this.#checking ??= this.#checkUntilSure().finally(() => {
      this.#checking = null
    })
    return this.#checking
  }

  /** An append that was refused while the disk was asked is answered for by asking once more. */
  async #checkUntilSure(): Promise<void> {
    while ((await this.#check()) && this.#isFeared && !this.#isLow);
  }

  /** False if the disk could not be asked. */
  async #check(): Promise<boolean> {
    const { files, directory, clock, reserveBytes, onChange } = this.#o
    this.#checkedMs = clock.monotonicMs()
    const counted = this.#bytesSinceCheck
    const wasFeared = this.#isFeared
    this.#isFeared = false
    const usage = await files.diskUsage(directory).catch(() => null)
    this.#bytesSinceCheck -= counted
    if (usage === null) return false
    const reserve = reserveBytes() ?? Math.min(RESERVE_MAX_BYTES, Math.floor(usage.totalBytes * RESERVE_SHARE))
    this.#roomBytes = reserve === 0 ? Number.POSITIVE_INFINITY : Math.max(0, usage.freeBytes - reserve)
    const isLow = usage.freeBytes < (this.#isLow || wasFeared ? reserve * CLEARANCE : reserve)
    if (isLow === this.#isLow) return true
    this.#isLow = isLow
    onChange(isLow, { ...usage, reserveBytes: reserve })
    return true
  }
}
