// What the stories of crashes (crash-run.ts) compare a log with: the batches that were appended, in order, and what they
// say of offsets, leader epochs, producers and indexes.
import assert from 'node:assert/strict'
import {
  baseOffset,
  checkBatch,
  lastOffset,
  maxTimestamp,
  partitionLeaderEpoch,
  sizeInBytes
} from '../../protocol/records/batch.ts'
import type { Offset } from '../../protocol/types.ts'
import type { Log } from '../../storage/log.ts'
import type { Segment } from '../../storage/segment.ts'

export interface ModelBatch {
  readonly base: Offset
  readonly last: Offset
  readonly epoch: number
  readonly bytes: Buffer
  readonly producerId: number
  readonly lastSequence: number
}

interface Mark {
  readonly last: Offset
  readonly largest: number
  readonly at: Offset
}

export class Model {
  batches: ModelBatch[] = []
  /** The largest log start offset that any life has had. */
  highestStart = 0

  get endOffset(): Offset {
    return (this.batches.at(-1)?.last ?? -1) + 1
  }

  lastOf(producerId: number): ModelBatch | undefined {
    return this.batches.findLast(batch => batch.producerId === producerId)
  }

  cutTo(end: Offset): void {
    this.batches = this.batches.filter(batch => batch.last < end)
  }

  /** `bytes` are the model's batches from the one that holds `from` up to `end`. */
  compare(bytes: Buffer, from: Offset, end: Offset): void {
    const expected = this.batches.filter(batch => batch.last >= from && batch.last < end)
    if (bytes.length === 0) assert(end === from)
    assert.deepEqual(
      [...positions(bytes)].map(at => [baseOffset(bytes, at), lastOffset(bytes, at)]),
      bytes.length === 0 ? [] : expected.map(batch => [batch.base, batch.last]),
      'the batches at their offsets'
    )
    if (bytes.length > 0)
      assert(bytes.equals(Buffer.concat(expected.map(batch => batch.bytes))), 'the bytes of the batches')
  }

  checkEpochs(log: Log): void {
    const model = new Map<number, Offset>()
    for (const batch of this.batches) if (!model.has(batch.epoch)) model.set(batch.epoch, batch.base)
    const inLog = this.batches.filter(batch => batch.last >= this.highestStart)
    const epochs = new Set(inLog.map(batch => batch.epoch))
    // Below the first batch that is there an epoch's start is not remembered exactly.
    const floor = Math.max(this.highestStart, inLog[0]?.base ?? 0)
    const expected = [...model]
      .filter(([epoch]) => epochs.has(epoch))
      .map(([epoch, startOffset]) => ({ epoch, startOffset: Math.max(startOffset, floor) }))
    const found = log.epochs.entries
      .filter(entry => epochs.has(entry.epoch))
      .map(({ epoch, startOffset }) => ({ epoch, startOffset: Math.max(startOffset, floor) }))
    assert.deepEqual(found, expected, 'leader epochs as the batches say')
  }

  checkProducers(log: Log, count: number): void {
    for (let id = 0; id < count; id++) {
      const last = this.lastOf(id)
      const state = log.producers.get(id)
      if (!last) assert.equal(state, undefined, `producer ${id} is unknown`)
      // Records that retention took may take their producer with them.
      else if (last.last >= log.logStartOffset || state) {
        assert.equal(state?.producerEpoch, last.epoch)
        assert.equal(state?.batches.at(-1)?.lastSequence, last.lastSequence, `sequence of producer ${id}`)
        assert.equal(state?.batches.at(-1)?.lastOffset, last.last)
      }
    }
  }

  /** Every index entry says what a full walk of its segment, whose file holds `bytes`, says. */
  checkSegment(segment: Segment, bytes: Buffer, isPreallocated: boolean): void {
    const seen = new Map<number, Mark>()
    let largest = -1
    let largestAt = segment.baseOffset
    let size = 0
    for (const at of positions(bytes.subarray(0, segment.sizeInBytes))) {
      checkBatch(bytes, at)
      if (maxTimestamp(bytes, at) > largest) {
        largest = maxTimestamp(bytes, at)
        largestAt = lastOffset(bytes, at)
      }
      seen.set(at, { last: lastOffset(bytes, at), largest, at: largestAt })
      assert(partitionLeaderEpoch(bytes, at) >= 0)
      size = at + sizeInBytes(bytes, at)
    }
    assert.equal(size, segment.sizeInBytes, 'nothing but whole batches')
    if (!isPreallocated) assert.equal(bytes.length, size)
    checkEntries(segment, seen)
    assert.equal(segment.maxTimestamp, largest, `largest timestamp of segment ${segment.baseOffset}`)
    assert(largest < 0 || segment.maxTimestampOffset === largestAt)
  }
}

function checkEntries(segment: Segment, seen: Map<number, Mark>): void {
  for (let index = 0; index < segment.offsetIndex.count; index++) {
    const entry = segment.offsetIndex.entry(index)
    assert.equal(seen.get(entry.position)?.last, entry.offset, 'an index entry names a batch')
  }
  const marks = new Set([...seen.values()].map(({ largest, at }) => `${largest}@${at}`))
  for (let index = 0; index < segment.timeIndex.count; index++) {
    const { timestamp, offset } = segment.timeIndex.entry(index)
    assert(marks.has(`${timestamp}@${offset}`), 'a time index entry names the largest timestamp so far')
  }
  segment.unloadIndexes()
}

function* positions(bytes: Buffer): Generator<number> {
  for (let at = 0; at + 61 <= bytes.length; at += sizeInBytes(bytes, at)) yield at
}
