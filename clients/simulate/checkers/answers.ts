// What clients are told: an ack names an offset at which exactly what was sent is committed; a fetch gives committed
// batches one after the other, sound and unchanged; and the positions of a group go forward only.
import { ErrorCode } from '../../../protocol/errors.ts'
import { BATCH_HEADER_BYTES, batchesOf, checkBatch } from '../../../protocol/records/batch.ts'
import type { Offset } from '../../../protocol/types.ts'
import type { History, Send } from '../history.ts'
import type { Ledger } from '../ledger.ts'
import { fingerprintAt, rowAt, shown } from '../rows.ts'
import { demand, Violation } from './violation.ts'

/** An attempt was answered without an error. */
export function checkAck(ledger: Ledger, send: Send, offset: Offset): void {
  const row = ledger.at(offset)
  demand(
    row !== undefined && row.base === offset && row.fingerprint === send.fingerprint && row.count === send.count,
    'acked-is-committed',
    () =>
      `${ledger.name}: ${send.writer} was told offset ${offset} for ${send.count} records; ` +
      (row ? `committed there is ${shown(row)}` : `committed is everything below ${ledger.end}`)
  )
}

/** An idempotent producer can never be out of order with a batch where all before it was acked, and nothing behind it may be
 *  there, except for a node that was deposed and does not know it: that one lacks what its successor has acked (as
 *  Kafka's would). */
export function checkRefusal(ledger: Ledger, send: Send, errorCode: number, nodeId: number): void {
  const isLost =
    errorCode === ErrorCode.OUT_OF_ORDER_SEQUENCE_NUMBER ||
    errorCode === ErrorCode.DUPLICATE_SEQUENCE_NUMBER ||
    errorCode === ErrorCode.UNKNOWN_PRODUCER_ID
  demand(
    !isLost || send.producerId < 0 || ledger.leaders.get(ledger.newestEpoch)?.nodeId !== nodeId,
    'sequence-known',
    () => `${ledger.name}: ${send.writer}, sequence ${send.sequence}: error ${errorCode}`
  )
}

/** An answer to InitProducerId: to nobody else was the same given. */
export function checkProducerId(
  history: History,
  writer: string,
  { producerId, producerEpoch }: { readonly producerId: number; readonly producerEpoch: number }
): void {
  const other = history.producerIds.get(producerId)
  demand(
    other === undefined && producerId >= 0 && producerEpoch === 0,
    'producer-ids',
    () => `${writer} was given producer id ${producerId}, epoch ${producerEpoch}${other ? `; so was ${other}` : ''}`
  )
  history.producerIds.set(producerId, writer)
}

/** Gives where the next fetch begins. `highWatermark` is what the answer says. */
export function checkFetched(
  ledger: Ledger,
  reader: string,
  from: Offset,
  records: Buffer,
  highWatermark: Offset
): Offset {
  demand(
    highWatermark <= ledger.end,
    'reads-committed',
    () => `${reader}: ${ledger.name} is said to be committed up to ${highWatermark}, but is up to ${ledger.end}`
  )
  let next = from
  for (const at of batchesOf(records)) {
    if (records.length - at < BATCH_HEADER_BYTES) break
    next = checkBatchRead(ledger, reader, next, records, at)
  }
  return next
}

function checkBatchRead(ledger: Ledger, reader: string, next: Offset, records: Buffer, at: number): Offset {
  try {
    checkBatch(records, at)
  } catch (error) {
    throw new Violation('reads-committed', `${reader}: ${ledger.name} at ${next}: ${(error as Error).message}`)
  }
  const found = rowAt(records, at)
  const committed = ledger.at(next)
  demand(
    committed !== undefined &&
      committed.base === found.base &&
      committed.last === found.last &&
      committed.fingerprint === fingerprintAt(records, at),
    'reads-committed',
    () =>
      `${reader}: ${ledger.name} at ${next} gave ${shown(found)}; committed is ` +
      (committed ? shown(committed) : `everything below ${ledger.end}`)
  )
  return found.last + 1
}

/** The committed positions of one group in one partition, as its members know them. */
export class Position {
  /** What was acked, or told to somebody: never less again. */
  atLeast: Offset = -1
  /** Everything that somebody tried to commit. */
  readonly tried = new Set<Offset>()
}

/** `since`: what was known to be committed when the question was asked. */
export function checkPosition(name: string, position: Position, since: Offset, told: Offset): void {
  demand(told >= since, 'group-offsets', () => `${name}: ${since} was committed, and now ${told} is told`)
  demand(
    told === -1 || position.tried.has(told),
    'group-offsets',
    () => `${name}: ${told} is told, which nobody committed`
  )
  position.atLeast = Math.max(position.atLeast, told)
}
