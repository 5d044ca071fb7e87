// Who leads: one process in one epoch, and only one that has everything that was committed. A process that starts again
// is another one: it never leads in an epoch of its earlier life.
import type { LeaderEpoch } from '../../../protocol/types.ts'
import type { Ledger, Life } from '../ledger.ts'
import type { Mirror } from '../mirror.ts'
import { shown } from '../rows.ts'
import { demand } from './violation.ts'

/** True when this reign is seen for the first time. */
export function checkOneLeader(ledger: Ledger, who: Life, epoch: LeaderEpoch): boolean {
  const known = ledger.leaders.get(epoch)
  if (known === undefined) {
    ledger.leaders.set(epoch, who)
    ledger.newestEpoch = Math.max(ledger.newestEpoch, epoch)
    return true
  }
  demand(
    known.nodeId === who.nodeId && known.life === who.life,
    'one-leader',
    () => `${ledger.name}, epoch ${epoch}: led by ${shownLife(known)}, and by ${shownLife(who)}`
  )
  return false
}

/** At an election: the new leader's log begins with everything that was committed in earlier epochs. One that stood still
 *  since it was elected may be seen to lead only when a later one has committed more. Rows below its log start are gone from
 *  every disk, or will be. */
export function checkComplete(ledger: Ledger, mirror: Mirror, epoch: LeaderEpoch): void {
  const first = mirror.rows[0]?.base ?? mirror.end
  let at = 0
  for (let index = 0; index < ledger.rows.length; index++) {
    const row = ledger.rows[index]
    if (row === undefined || row.last < first) continue
    if (row.epoch >= epoch) return
    while (at < mirror.rows.length && (mirror.rows[at]?.last ?? 0) < row.base) at++
    demand(
      mirror.rows[at] === row,
      'complete-leader',
      () =>
        `${mirror.name} leads in epoch ${epoch} without the committed ${shown(row)}` +
        (mirror.rows[at] ? `; it has ${shown(mirror.rows[at] as typeof row)}` : `; its log ends at ${mirror.end}`)
    )
    at++
  }
}

function shownLife({ nodeId, life }: Life): string {
  return `life ${life} of node ${nodeId}`
}
