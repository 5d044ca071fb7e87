// A batch of a log as the checkers keep it: what tells it from every other batch, without its bytes. The same batch is
// the same object wherever it lies, so comparing replicas is comparing references.
import {
  baseOffset,
  baseSequence,
  baseTimestamp,
  crc,
  isControl,
  lastOffset,
  partitionLeaderEpoch,
  producerEpoch,
  producerId,
  recordCount
} from '../../protocol/records/batch.ts'
import type { LeaderEpoch, Offset } from '../../protocol/types.ts'
import { demand } from './checkers/violation.ts'

export interface Row {
  readonly base: Offset
  readonly last: Offset
  readonly epoch: LeaderEpoch
  readonly crc: number
  /** Tells what was sent: checksum and time together, offset and epoch aside. */
  readonly fingerprint: number
  readonly count: number
  readonly producerId: number
  readonly producerEpoch: number
  readonly sequence: number
  readonly isControl: boolean
}

const TWO_32 = 2 ** 32
/** With the checksum below 2^53. */
const TIMES = 2 ** 20

export function fingerprintAt(buffer: Buffer, position: number): number {
  return (Math.max(0, baseTimestamp(buffer, position)) % TIMES) * TWO_32 + crc(buffer, position)
}

export function rowAt(buffer: Buffer, position: number): Row {
  return {
    base: baseOffset(buffer, position),
    last: lastOffset(buffer, position),
    epoch: partitionLeaderEpoch(buffer, position),
    crc: crc(buffer, position),
    fingerprint: fingerprintAt(buffer, position),
    count: recordCount(buffer, position),
    producerId: producerId(buffer, position),
    producerEpoch: producerEpoch(buffer, position),
    sequence: baseSequence(buffer, position),
    isControl: isControl(buffer, position)
  }
}

/** Every batch of one partition that was ever seen in any log, by (epoch, base offset). */
export class Rows {
  readonly #name: string
  readonly #byEpoch = new Map<LeaderEpoch, Map<Offset, Row>>()

  constructor(name: string) {
    this.#name = name
  }

  /** The one object for this batch. Throws where another batch was seen at its place. */
  intern(row: Row): Row {
    let byBase = this.#byEpoch.get(row.epoch)
    if (byBase === undefined) {
      byBase = new Map()
      this.#byEpoch.set(row.epoch, byBase)
    }
    const known = byBase.get(row.base)
    if (known === undefined) {
      byBase.set(row.base, row)
      return row
    }
    demand(
      known.fingerprint === row.fingerprint && known.last === row.last,
      'one-batch',
      () => `${this.#name}: epoch ${row.epoch}, offset ${row.base} held ${shown(known)}, and now ${shown(row)}`
    )
    return known
  }
}

export function shown(row: Row): string {
  const by = row.producerId < 0 ? '' : ` of producer ${row.producerId} at sequence ${row.sequence}`
  return `${row.count} records ${row.base}-${row.last}${by} (epoch ${row.epoch}, crc ${row.crc.toString(16)})`
}

/** Index of the row that holds `offset`, or that of the first row behind it. */
export function rowIndexOf(rows: readonly Row[], offset: Offset): number {
  let low = 0
  let high = rows.length
  while (low < high) {
    const middle = (low + high) >> 1
    if ((rows[middle] as Row).last < offset) low = middle + 1
    else high = middle
  }
  return low
}
