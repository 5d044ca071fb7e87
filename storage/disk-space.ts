// Whether the disk is below its reserve. Then clients' appends are refused before an offset is given, while everything
// that frees space, and everything that is not a client's, goes on (durability rule 10). Asked at each append; the
// system is asked at most once a second, and only while somebody appends, so an idle broker asks nothing.
import type { DiskUsage, Files } from './files.ts'
import type { StorageClock } from './storage-clock.ts'

const CHECK_INTERVAL_MS = 1000
const RESERVE_MAX_BYTES = 256 * 1024 * 1024
const RESERVE_SHARE = 0.01
/** What must be free beyond the reserve before appends are taken again, so that the edge is not crossed all the time. */
const CLEARANCE = 1.1

export interface DiskSpaceOptions {
  readonly files: Files
  readonly directory: string
  readonly clock: StorageClock
  /** moldau.disk.reserve.bytes as it is now; null: 1 % of the disk or 256 MiB, the smaller of the two. */
  readonly reserveBytes: () => number | null
  readonly onChange: (isLow: boolean, usage: DiskUsage & { reserveBytes: number }) => void
}

export class DiskSpace {
  readonly #o: DiskSpaceOptions
  #isLow = false
  #checkedMs = Number.NEGATIVE_INFINITY
  #checking: Promise<void> | null = null

  constructor(o: DiskSpaceOptions) {
    this.#o = o
  }

  /** As of the last check. */
  get isLow(): boolean {
    if (!this.#checking && this.#o.clock.monotonicMs() - this.#checkedMs >= CHECK_INTERVAL_MS) void this.check()
    return this.#isLow
  }

  /** Never rejects: a disk that cannot be asked is found out by the next write. */
  check(): Promise<void> {
    this.#checking ??= this.#check().finally(() => {
      this.#checking = null
    })
    return this.#checking
  }

  async #check(): Promise<void> {
    const { files, directory, clock, reserveBytes, onChange } = this.#o
    this.#checkedMs = clock.monotonicMs()
    const usage = await files.diskUsage(directory).catch(() => null)
    if (usage === null) return
    const reserve = reserveBytes() ?? Math.min(RESERVE_MAX_BYTES, Math.floor(usage.totalBytes * RESERVE_SHARE))
    const isLow = usage.freeBytes < (this.#isLow ? reserve * CLEARANCE : reserve)
    if (isLow === this.#isLow) return
    this.#isLow = isLow
    onChange(isLow, { ...usage, reserveBytes: reserve })
  }
}
