// The high watermark of a leader: it never goes back within an epoch and never passes the log end, and the last stable
// offset never passes it.
import type { LeaderEpoch, Offset } from '../../../protocol/types.ts'
import type { Ledger } from '../ledger.ts'
import { demand } from './violation.ts'

export interface Marks {
  readonly highWatermark: Offset
  readonly lastStableOffset: Offset
  readonly logEndOffset: Offset
}

export function checkHighWatermark(ledger: Ledger, name: string, epoch: LeaderEpoch, marks: Marks): void {
  const { highWatermark, lastStableOffset, logEndOffset } = marks
  const before = ledger.highWatermarks.get(epoch) ?? -1
  demand(
    highWatermark >= before,
    'high-watermark',
    () => `${name}, epoch ${epoch}: it was ${before} and is ${highWatermark}`
  )
  ledger.highWatermarks.set(epoch, highWatermark)
  demand(
    highWatermark <= logEndOffset,
    'high-watermark',
    () => `${name}: high watermark ${highWatermark}, log end ${logEndOffset}`
  )
  demand(
    lastStableOffset <= highWatermark,
    'stable-offset',
    () => `${name}: last stable offset ${lastStableOffset}, high watermark ${highWatermark}`
  )
}
