// What one log remembers of idempotent producers (KIP-98): the last five batches of each, so that a batch sent again is
// answered with its first offsets, and a gap in the sequence is refused. `check` decides and changes nothing; `update`
// notes a batch that has its offsets. Rules: Kafka's ProducerAppendInfo.java and ProducerStateEntry.java.
import { decodeControlRecord } from '../protocol/cluster/control.ts'
import {
  decodeProducerSnapshot,
  encodeProducerSnapshot,
  type ProducerEntry
} from '../protocol/cluster/producer-snapshot.ts'
import { ErrorCode } from '../protocol/errors.ts'
import { MoldauError } from '../protocol/failure.ts'
import {
  baseOffset,
  baseSequence,
  isControl,
  isTransactional,
  lastOffsetDelta,
  lastSequence,
  maxTimestamp,
  NO_SEQUENCE,
  producerEpoch,
  producerId,
  sequenceAfter
} from '../protocol/records/batch.ts'
import { decodeRecords } from '../protocol/records/records.ts'
import type { Offset, TimestampMs } from '../protocol/types.ts'

/** client: everything is checked. coordinator: the epoch only, its batches carry no sequence. replication and quorum: the
 *  leader has checked. */
export type AppendOrigin = 'client' | 'coordinator' | 'quorum' | 'replication'

export interface ProducerBatch {
  readonly lastSequence: number
  readonly lastOffset: Offset
  readonly offsetDelta: number
  readonly timestamp: TimestampMs
}

export interface ProducerState {
  readonly producerId: number
  producerEpoch: number
  /** At most five, oldest first, all of the current epoch. */
  readonly batches: ProducerBatch[]
  coordinatorEpoch: number
  lastTimestamp: TimestampMs
  /** Where the open transaction began, -1 without one. */
  currentTxnFirstOffset: Offset
}

export type ProducerVerdict =
  | { readonly kind: 'ok' }
  | {
      readonly kind: 'duplicate'
      readonly baseOffset: Offset
      readonly lastOffset: Offset
      readonly timestamp: TimestampMs
    }
  | { readonly kind: 'refused'; readonly errorCode: number; readonly errorMessage: string }

const BATCHES_TO_RETAIN = 5
const NO_EPOCH = -1
const OK: ProducerVerdict = { kind: 'ok' }

export class ProducerStates {
  readonly #states = new Map<number, ProducerState>()
  /** Producers with an open transaction. */
  readonly #open = new Set<ProducerState>()
  readonly #expirationMs: number

  /** `producerIdExpirationMs`: producer.id.expiration.ms. */
  constructor(o: { producerIdExpirationMs: number }) {
    this.#expirationMs = o.producerIdExpirationMs
  }

  get size(): number {
    return this.#states.size
  }

  get(id: number): ProducerState | undefined {
    return this.#states.get(id)
  }

  /** All producers, for DescribeProducers. */
  all(): Iterable<ProducerState> {
    return this.#states.values()
  }

  /** Start of the earliest open transaction: what read_committed must not go beyond. */
  get firstUndecidedOffset(): Offset | undefined {
    let first: Offset | undefined
    for (const { currentTxnFirstOffset } of this.#open) {
      if (first === undefined || currentTxnFirstOffset < first) first = currentTxnFirstOffset
    }
    return first
  }

  /** Whether the batch may be appended now, or was before. */
  check(buffer: Buffer, at: number, origin: AppendOrigin): ProducerVerdict {
    const id = producerId(buffer, at)
    if (id < 0 || origin === 'replication' || origin === 'quorum') return OK
    const state = this.#states.get(id)
    if (state === undefined) return OK
    const epoch = producerEpoch(buffer, at)
    if (origin === 'client' && epoch === state.producerEpoch) {
      const duplicate = findDuplicate(state, baseSequence(buffer, at), lastSequence(buffer, at))
      if (duplicate !== undefined) return duplicate
    }
    if (epoch < state.producerEpoch) {
      return refused(
        ErrorCode.INVALID_PRODUCER_EPOCH,
        `producer ${id} has epoch ${epoch}, and ${state.producerEpoch} was seen before`
      )
    }
    return origin === 'client' ? checkSequence(state, epoch, buffer, at) : OK
  }

  /** Notes a batch whose offsets are given; batches without a producer are passed over. */
  update(buffer: Buffer, at: number): void {
    const id = producerId(buffer, at)
    if (id < 0) return
    if (isControl(buffer, at)) {
      this.#updateByMarker(id, buffer, at)
      return
    }
    const state = this.#stateOf(id)
    enterEpoch(state, producerEpoch(buffer, at))
    const first = baseOffset(buffer, at)
    const offsetDelta = lastOffsetDelta(buffer, at)
    const timestamp = maxTimestamp(buffer, at)
    if (state.batches.length === BATCHES_TO_RETAIN) state.batches.shift()
    state.batches.push({
      lastSequence: lastSequence(buffer, at),
      lastOffset: first + offsetDelta,
      offsetDelta,
      timestamp
    })
    state.lastTimestamp = timestamp
    if (!isTransactional(buffer, at) || state.currentTxnFirstOffset >= 0) return
    state.currentTxnFirstOffset = first
    this.#open.add(state)
  }

  /** A marker ends the transaction of its producer. */
  #updateByMarker(id: number, buffer: Buffer, at: number): void {
    const [record] = decodeRecords(buffer, at)
    // The cleaner empties the batch of a marker that has nothing left to mark.
    if (record?.key == null || record.value == null) return
    const marker = decodeControlRecord(record.key, record.value)
    if (marker?.type !== 'ABORT' && marker?.type !== 'COMMIT') return
    const state = this.#stateOf(id)
    enterEpoch(state, producerEpoch(buffer, at))
    state.coordinatorEpoch = marker.record.coordinatorEpoch
    state.lastTimestamp = record.timestamp
    state.currentTxnFirstOffset = -1
    this.#open.delete(state)
  }

  #stateOf(id: number): ProducerState {
    let state = this.#states.get(id)
    if (state === undefined) {
      state = {
        producerId: id,
        producerEpoch: NO_EPOCH,
        batches: [],
        coordinatorEpoch: -1,
        lastTimestamp: -1,
        currentTxnFirstOffset: -1
      }
      this.#states.set(id, state)
    }
    return state
  }

  /** Forgets producers that have been silent for producer.id.expiration.ms, as it is now, and have no transaction open. */
  expire(nowMs: TimestampMs, expirationMs = this.#expirationMs): void {
    for (const state of this.#states.values()) {
      if (state.currentTxnFirstOffset >= 0 || nowMs - state.lastTimestamp < expirationMs) continue
      this.#states.delete(state.producerId)
    }
  }

  clear(): void {
    this.#states.clear()
    this.#open.clear()
  }

  /** The bytes of a `.snapshot` file: of each producer the last batch alone, as Kafka keeps it. */
  takeSnapshot(): Buffer {
    const entries: ProducerEntry[] = []
    for (const state of this.#states.values()) {
      const last = state.batches[state.batches.length - 1]
      entries.push({
        producerId: state.producerId,
        epoch: state.producerEpoch,
        lastSequence: last?.lastSequence ?? NO_SEQUENCE,
        lastOffset: last?.lastOffset ?? -1,
        offsetDelta: last?.offsetDelta ?? 0,
        timestamp: state.lastTimestamp,
        coordinatorEpoch: state.coordinatorEpoch,
        currentTxnFirstOffset: state.currentTxnFirstOffset
      })
    }
    return encodeProducerSnapshot(entries)
  }

  /** Replaces everything by a snapshot's content. `bytes` that are no snapshot are ERR_MALFORMED, and nothing changes. A
   *  snapshot of everything below `offset` that speaks of a batch behind it is not of this log: ERR_MALFORMED too. */
  readSnapshot(bytes: Buffer, offset: Offset): void {
    const entries = decodeProducerSnapshot(bytes)
    for (const entry of entries) {
      if (entry.lastOffset >= offset) throw notOfThisLog(entry.lastOffset, offset)
    }
    this.clear()
    for (const entry of entries) {
      const state = this.#stateOf(entry.producerId)
      state.producerEpoch = entry.epoch
      state.coordinatorEpoch = entry.coordinatorEpoch
      state.lastTimestamp = entry.timestamp
      state.currentTxnFirstOffset = entry.currentTxnFirstOffset
      if (entry.currentTxnFirstOffset >= 0) this.#open.add(state)
      const { lastSequence, lastOffset, offsetDelta, timestamp } = entry
      if (lastOffset >= 0) state.batches.push({ lastSequence, lastOffset, offsetDelta, timestamp })
    }
  }
}

function notOfThisLog(lastOffset: Offset, offset: Offset): MoldauError {
  return new MoldauError(
    'ERR_MALFORMED',
    `a producer snapshot of the offsets below ${offset} names offset ${lastOffset}`
  )
}

function refused(errorCode: number, errorMessage: string): ProducerVerdict {
  return { kind: 'refused', errorCode, errorMessage }
}

function enterEpoch(state: ProducerState, epoch: number): void {
  if (state.producerEpoch === epoch) return
  state.producerEpoch = epoch
  state.batches.length = 0
}

/** A retained batch with exactly these sequences. */
function findDuplicate(state: ProducerState, first: number, last: number): ProducerVerdict | undefined {
  const batch = state.batches.find(known => {
    return known.lastSequence === last && sequenceAfter(first, known.offsetDelta) === last
  })
  if (batch === undefined) return undefined
  const { lastOffset, offsetDelta, timestamp } = batch
  return { kind: 'duplicate', baseOffset: lastOffset - offsetDelta, lastOffset, timestamp }
}

function checkSequence(state: ProducerState, epoch: number, buffer: Buffer, at: number): ProducerVerdict {
  const first = baseSequence(buffer, at)
  const id = state.producerId
  if (epoch !== state.producerEpoch) {
    // Only a producer of which nothing is known may begin anywhere: its batches may be gone by retention.
    if (first === 0 || state.producerEpoch === NO_EPOCH) return OK
    const errorMessage = `producer ${id} begins its epoch ${epoch} with sequence ${first}, not 0`
    return refused(ErrorCode.OUT_OF_ORDER_SEQUENCE_NUMBER, errorMessage)
  }
  const last = state.batches[state.batches.length - 1]?.lastSequence ?? NO_SEQUENCE
  if (first === sequenceAfter(last, 1)) return OK
  return refused(ErrorCode.OUT_OF_ORDER_SEQUENCE_NUMBER, `producer ${id} sent sequence ${first} after ${last}`)
}
