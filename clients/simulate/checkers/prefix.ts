// Below its high watermark every replica has what is committed, and while its process lives it never throws it away.
import type { Offset } from '../../../protocol/types.ts'
import type { Ledger } from '../ledger.ts'
import type { Mirror } from '../mirror.ts'
import { type Row, shown } from '../rows.ts'
import { demand } from './violation.ts'

/** Compares what was not compared yet. */
export function checkPrefix(ledger: Ledger, mirror: Mirror, highWatermark: Offset): void {
  const upto = Math.min(highWatermark, ledger.end)
  while (mirror.verified < mirror.rows.length) {
    const row = mirror.rows[mirror.verified] as Row
    if (row.last >= upto) return
    const committed = ledger.at(row.base)
    demand(
      committed === row,
      'equal-prefix',
      () =>
        `${mirror.name}, high watermark ${highWatermark}: ${shown(row)}; committed is ${committed && shown(committed)}`
    )
    mirror.verified++
  }
}

/** `gone` was cut off the log of a live process; only a whole log may go, when the leader's begins behind it. */
export function checkCut(ledger: Ledger, mirror: Mirror, gone: readonly Row[]): void {
  if (mirror.rows.length === 0) return
  for (const row of gone) {
    demand(
      ledger.at(row.base) !== row,
      'kept-prefix',
      () => `${mirror.name} threw away the committed ${shown(row)}; its log now ends at ${mirror.end}`
    )
  }
}
