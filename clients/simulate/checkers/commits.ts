// What a leader commits: it lies synced on enough disks, it is what a writer sent, and it continues the sequences of its
// producer. Called for each batch when it is committed, which adds it to the ledger.
import { sequenceAfter } from '../../../protocol/records/batch.ts'
import type { Offset } from '../../../protocol/types.ts'
import type { History, Send } from '../history.ts'
import type { Ledger } from '../ledger.ts'
import type { Mirror } from '../mirror.ts'
import { type Row, rowIndexOf, shown } from '../rows.ts'
import { demand } from './violation.ts'

/** The leader's high watermark is `to`: takes what is newly committed from its log. */
export function commitUpTo(ledger: Ledger, leader: Mirror, to: Offset, history: History): void {
  const from = ledger.end
  for (let index = rowIndexOf(leader.rows, from); index < leader.rows.length; index++) {
    const row = leader.rows[index] as Row
    if (row.last >= to) {
      demand(row.base >= to, 'high-watermark', () => `${leader.name}: ${to} lies within ${shown(row)}`)
      return
    }
    demand(row.base >= from, 'equal-prefix', () => `${leader.name} has ${shown(row)}, but ${from} is committed`)
    checkCopies(ledger, row)
    if (ledger.isOfWriters) {
      checkSent(ledger, row, history)
      checkSequence(ledger, row)
    }
    ledger.rows.push(row)
  }
}

function checkCopies(ledger: Ledger, row: Row): void {
  let copies = 0
  for (const mirror of ledger.mirrors.values()) if (mirror.holds(row)) copies++
  demand(
    copies >= ledger.copies,
    'enough-copies',
    () =>
      `${ledger.name}: ${shown(row)} is committed with ${copies} synced copies of ${ledger.copies} ` +
      `(synced ends, as told: ${[...ledger.mirrors].map(([id, each]) => `${id}: ${each.syncedEnd}`).join(', ')})`
  )
}

function checkSent(ledger: Ledger, row: Row, history: History): void {
  const send = history.sendOf(row.fingerprint)
  demand(
    send !== undefined && send.partition === ledger.name && send.count === row.count,
    'honest-bytes',
    () => `${ledger.name}: nobody sent ${shown(row)}`
  )
  send.found.push(row.base)
  checkAttempts(send)
}

function checkAttempts(send: Send): void {
  const most = send.producerId >= 0 ? 1 : send.possible
  demand(
    send.found.length <= most && send.possible > 0,
    send.possible === 0 ? 'refused-is-absent' : 'once-per-attempt',
    () =>
      `${send.partition}: a batch of ${send.writer} is in the log at ${send.found.join(' and ')}; ` +
      `${send.possible} attempts may have succeeded, ${send.refused} were refused`
  )
}

function checkSequence(ledger: Ledger, row: Row): void {
  if (row.producerId < 0) return
  const key = `${row.producerId}/${row.producerEpoch}`
  const next = ledger.sequences.get(key) ?? 0
  demand(
    row.sequence === next,
    'sequences',
    () => `${ledger.name}: sequence ${next} is missing, or came twice: ${shown(row)}`
  )
  ledger.sequences.set(key, sequenceAfter(next, row.count))
}
