// Which leader epoch began at which offset of a log: what truncation and fenced consumers are decided by (KIP-101,
// KIP-279, KIP-320). Epochs and start offsets both grow. The text form is Kafka's file leader-epoch-checkpoint.
import { MoldauError } from '../protocol/failure.ts'
import type { LeaderEpoch, Offset } from '../protocol/types.ts'

export interface EpochEntry {
  readonly epoch: LeaderEpoch
  readonly startOffset: Offset
}

export interface EpochEnd {
  readonly leaderEpoch: LeaderEpoch
  readonly endOffset: Offset
}

/** What answers that nothing is known, in replies too (UNDEFINED_EPOCH, UNDEFINED_EPOCH_OFFSET). */
export const UNDEFINED_EPOCH_END: EpochEnd = { leaderEpoch: -1, endOffset: -1 }

const VERSION = '0'

export class LeaderEpochs {
  /** Sorted by epoch, and so by start offset. */
  #entries: EpochEntry[] = []

  /** Throws ERR_MALFORMED for text that is not such a file: the log's batches can give the entries again. */
  static parse(text: string): LeaderEpochs {
    const lines = text.split(/\r?\n/)
    const malformed = (line: number): MoldauError =>
      new MoldauError('ERR_MALFORMED', `leader-epoch-checkpoint: line ${line + 1} cannot be read`)
    if (lines[0] !== VERSION) throw malformed(0)
    const count = Number(lines[1])
    if (!/^\d+$/.test(lines[1] ?? '') || lines.length < count + 2) throw malformed(1)
    if (lines.slice(count + 2).some(line => line !== '')) throw malformed(count + 2)
    const epochs = new LeaderEpochs()
    for (let i = 0; i < count; i++) {
      const [, epoch, startOffset] = /^(\d{1,10}) (\d{1,16})$/.exec(lines[i + 2] as string) ?? []
      if (epoch === undefined) throw malformed(i + 2)
      epochs.assign(Number(epoch), Number(startOffset))
    }
    return epochs
  }

  format(): string {
    const lines = this.#entries.map(({ epoch, startOffset }) => `${epoch} ${startOffset}\n`)
    return `${VERSION}\n${lines.length}\n${lines.join('')}`
  }

  get entries(): readonly EpochEntry[] {
    return this.#entries
  }

  get latest(): EpochEntry | undefined {
    return this.#entries[this.#entries.length - 1]
  }

  /** Batches of `epoch` begin at `startOffset`; true when that was news. Entries that it contradicts go: they are of
   *  batches that were cut off. Without an epoch (-1, very old batches) there is nothing to note. */
  assign(epoch: LeaderEpoch, startOffset: Offset): boolean {
    const latest = this.latest
    if (epoch < 0 || (latest?.epoch === epoch && startOffset >= latest.startOffset)) return false
    while (this.latest !== undefined && (this.latest.epoch >= epoch || this.latest.startOffset >= startOffset)) {
      this.#entries.pop()
    }
    this.#entries.push({ epoch, startOffset })
    return true
  }

  /** The largest epoch not above `epoch`, and where it ended: at the start of the next one, or at the log's end
   *  (LeaderEpochFileCache.endOffsetFor). */
  endOffsetFor(epoch: LeaderEpoch, logEndOffset: Offset): EpochEnd {
    const above = this.#entries.findIndex(entry => entry.epoch > epoch)
    if (epoch < 0) return UNDEFINED_EPOCH_END
    if (above === -1) {
      const isLatest = this.latest?.epoch === epoch
      return isLatest ? { leaderEpoch: epoch, endOffset: logEndOffset } : UNDEFINED_EPOCH_END
    }
    const endOffset = (this.#entries[above] as EpochEntry).startOffset
    return { leaderEpoch: this.#entries[above - 1]?.epoch ?? epoch, endOffset }
  }

  /** The epoch that the batch at `offset` was written in. */
  epochForOffset(offset: Offset): LeaderEpoch | undefined {
    return this.#entries.findLast(entry => entry.startOffset <= offset)?.epoch
  }

  /** The log now ends at `endOffset`. True when entries went. */
  truncateFromEnd(endOffset: Offset): boolean {
    const before = this.#entries.length
    while (this.latest !== undefined && this.latest.startOffset >= endOffset) this.#entries.pop()
    return this.#entries.length < before
  }

  /** The log now begins at `startOffset`: the epoch that reaches over it begins there. True when something changed. */
  truncateFromStart(startOffset: Offset): boolean {
    const last = this.#entries.findLastIndex(entry => entry.startOffset <= startOffset)
    const entry = this.#entries[last]
    if (entry === undefined || (last === 0 && entry.startOffset === startOffset)) return false
    this.#entries.splice(0, last + 1, { epoch: entry.epoch, startOffset })
    return true
  }
}
