// What a checker throws: which promise was broken, and by what. Nothing else may be thrown for that reason, so that
// shrinking can tell one broken promise from another.

/** The promises that are checked: name -> what must hold. */
export const INVARIANTS = {
  'one-leader': 'one process leads a partition, or the quorum, in one epoch',
  'one-batch': 'no (epoch, offset) ever holds two different batches',
  'contiguous-log': 'a log has no gap and no overlap, and every batch in it is sound',
  'high-watermark': 'the high watermark never goes back within an epoch, nor passes the log end',
  'stable-offset': 'the last stable offset never passes the high watermark',
  'enough-copies': 'what is committed is synced on as many brokers as min.insync.replicas asks for',
  'complete-leader': 'who is elected has everything that was committed',
  'equal-prefix': 'below its high watermark every replica has the same batches',
  'kept-prefix': 'a running replica does not throw away what was committed',
  'honest-bytes': 'what is committed was sent by somebody, unchanged',
  'once-per-attempt': 'what was sent is in the log at most once per attempt that may have succeeded',
  sequences: 'the sequences of an idempotent producer are contiguous in each partition',
  'sequence-known': 'an idempotent producer never runs out of order while all that it sent before was acked',
  'producer-ids': 'no two producers are ever given the same id',
  'acked-is-committed': 'what is acked is committed, at the offset that was told',
  'acked-is-readable': 'at the end every acked record is read once, at its offset',
  'refused-is-absent': 'what was refused is never in the log',
  'reads-committed': 'a reader gets committed batches only, each at its offset, none left out',
  'group-offsets': 'committed positions of a group never go back, and only what was committed is told',
  'isr-alive': 'no fenced broker is in an in-sync set that has others',
  'one-image': 'whoever holds the metadata up to an offset, from records or from a snapshot, holds the same',
  operations: 'what an operator was told to be done is done, and what went wrong has a name',
  'healthy-broker': 'a broker ends only for a reason that was given to it, and its log tells of no bug',
  progress: 'once everything is healed, everything finishes'
} as const

export type Invariant = keyof typeof INVARIANTS

export class Violation extends Error {
  readonly invariant: Invariant
  constructor(invariant: Invariant, message: string) {
    super(`${invariant}: ${message}`)
    this.name = 'Violation'
    this.invariant = invariant
  }
}

export function demand(condition: boolean, invariant: Invariant, message: () => string): asserts condition {
  if (!condition) throw new Violation(invariant, message())
}
