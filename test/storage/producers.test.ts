// Idempotent producers: sequence rules, duplicates, epochs, expiry, and the snapshot files that Kafka wrote. Leader
// epochs beside them: both are rebuilt from a log's batches.
import { readFileSync } from 'node:fs'
import { test } from 'tap'
import { encodeControlRecord } from '../../protocol/cluster/control.ts'
import { errorName } from '../../protocol/errors.ts'
import { buildBatch } from '../../protocol/records/builder.ts'
import { LeaderEpochs, UNDEFINED_EPOCH_END } from '../../storage/epochs.ts'
import { type AppendOrigin, ProducerStates, type ProducerVerdict } from '../../storage/producers.ts'

const lines = (name: string): Record<string, unknown>[] =>
  readFileSync(`test/golden/${name}.jsonl`, 'utf8')
    .split('\n')
    .filter(Boolean)
    .map(line => JSON.parse(line))
const DAY = 86400000

interface Sent {
  id?: number
  epoch?: number
  sequence: number
  count?: number
  at?: number
  timestamp?: number
  transactional?: boolean
}

function send(of: Sent): Buffer {
  const count = of.count ?? 1
  const records = Array.from({ length: count }, () => ({ timestamp: of.timestamp ?? 1000, key: null, value: null }))
  return buildBatch({
    baseOffset: of.at ?? 0,
    producerId: of.id ?? 1,
    producerEpoch: of.epoch ?? 0,
    baseSequence: of.sequence,
    transactional: of.transactional ?? false,
    records
  })
}

/** A log that appends what passes; answers with offsets or an error's name. */
class Appender {
  readonly states = new ProducerStates({ producerIdExpirationMs: DAY })
  end = 0

  append(of: Sent, origin: AppendOrigin = 'client'): string {
    const bytes = send({ ...of, at: this.end })
    const verdict: ProducerVerdict = this.states.check(bytes, 0, origin)
    if (verdict.kind === 'refused') return errorName(verdict.errorCode)
    if (verdict.kind === 'duplicate') return `again ${verdict.baseOffset}-${verdict.lastOffset}`
    this.states.update(bytes, 0)
    this.end += of.count ?? 1
    return `${this.end - (of.count ?? 1)}-${this.end - 1}`
  }
}

test('sequences follow each other, duplicates get their old offsets', async t => {
  const log = new Appender()
  t.equal(log.append({ sequence: 5 }), '0-0', 'an unknown producer may begin anywhere')
  t.equal(log.append({ sequence: 6, count: 3 }), '1-3')
  t.equal(log.append({ sequence: 6, count: 3 }), 'again 1-3')
  t.equal(log.append({ sequence: 6, count: 2 }), 'OUT_OF_ORDER_SEQUENCE_NUMBER', 'not the same range')
  t.equal(log.append({ sequence: 10 }), 'OUT_OF_ORDER_SEQUENCE_NUMBER', 'a gap')
  t.equal(log.append({ sequence: 9 }), '4-4')
  t.equal(log.append({ sequence: 0, id: 2 }), '5-5', 'another producer')
  t.equal(log.append({ sequence: 5 }), 'again 0-0')
})

test('five batches are remembered', async t => {
  const log = new Appender()
  for (let sequence = 0; sequence < 6; sequence++) log.append({ sequence })
  t.equal(log.append({ sequence: 1 }), 'again 1-1')
  t.equal(log.append({ sequence: 0 }), 'OUT_OF_ORDER_SEQUENCE_NUMBER')
})

test('sequences wrap from 2^31-1 to 0, within a batch and between two', async t => {
  const log = new Appender()
  t.equal(log.append({ sequence: 2 ** 31 - 2, count: 4 }), '0-3')
  t.equal(log.append({ sequence: 2 ** 31 - 2, count: 4 }), 'again 0-3')
  t.equal(log.append({ sequence: 2 }), '4-4')
  const other = new Appender()
  t.equal(other.append({ sequence: 2 ** 31 - 1 }), '0-0')
  t.equal(other.append({ sequence: 1 }), 'OUT_OF_ORDER_SEQUENCE_NUMBER')
  t.equal(other.append({ sequence: 0 }), '1-1')
})

test('epochs', async t => {
  const log = new Appender()
  log.append({ sequence: 0 })
  t.equal(log.append({ sequence: 1, epoch: 1 }), 'OUT_OF_ORDER_SEQUENCE_NUMBER', 'a new epoch begins at 0')
  t.equal(log.append({ sequence: 0, epoch: 1 }), '1-1')
  t.equal(log.append({ sequence: 1, epoch: 0 }), 'INVALID_PRODUCER_EPOCH')
  t.equal(log.append({ sequence: 0, epoch: 0 }), 'INVALID_PRODUCER_EPOCH', 'an old epoch has no duplicates')
  t.equal(log.append({ sequence: -1, epoch: 0 }, 'coordinator'), 'INVALID_PRODUCER_EPOCH')
  t.equal(log.append({ sequence: 77, epoch: 1 }, 'coordinator'), '2-2', 'a coordinator has no sequences to check')
  t.equal(log.append({ sequence: 5, epoch: 0 }, 'replication'), '3-3', 'the leader has checked')
})

test('silent producers are forgotten, those with a transaction are not', async t => {
  const log = new Appender()
  log.append({ sequence: 0, timestamp: 1000 })
  log.append({ sequence: 0, id: 2, timestamp: 2000, transactional: true })
  log.states.expire(999 + DAY)
  t.equal(log.states.size, 2)
  log.states.expire(5000 + DAY)
  t.same(
    [...log.states.all()].map(state => state.producerId),
    [2]
  )
  t.equal(log.append({ sequence: 9 }), '2-2')
})

test('transactions: the first open one, and markers', async t => {
  const log = new Appender()
  t.equal(log.states.firstUndecidedOffset, undefined)
  log.append({ sequence: 0, transactional: true })
  log.append({ sequence: 1, transactional: true })
  log.append({ sequence: 0, id: 2, transactional: true })
  t.equal(log.states.firstUndecidedOffset, 0)
  const marker = encodeControlRecord({ type: 'COMMIT', record: { coordinatorEpoch: 4 } })
  const bytes = buildBatch({
    baseOffset: 3,
    producerId: 1,
    producerEpoch: 0,
    control: true,
    transactional: true,
    records: [{ timestamp: 7, ...marker }]
  })
  log.states.update(bytes, 0)
  t.equal(log.states.firstUndecidedOffset, 2)
  t.equal(log.states.get(1)?.coordinatorEpoch, 4)
  t.equal(log.append({ sequence: 2, transactional: true }), '3-3', 'the sequence goes on behind the marker')
  log.states.update(buildBatch({ producerId: 5, control: true, records: [] }), 0)
  t.equal(log.states.get(5), undefined, 'an emptied marker says nothing')
})

test('snapshots, as Kafka wrote them', async t => {
  for (const { name, hex, error, json } of lines('producer-snapshots')) {
    const bytes = Buffer.from(hex as string, 'hex')
    const states = new ProducerStates({ producerIdExpirationMs: DAY })
    if (error !== undefined) {
      t.throws(() => states.readSnapshot(bytes, 2 ** 40), { code: 'ERR_MALFORMED' }, name as string)
      continue
    }
    states.readSnapshot(bytes, 2 ** 40)
    const entries = (json as { producerEntries: { producerId: number; currentTxnFirstOffset: number }[] })
      .producerEntries
    t.equal(states.size, entries.length)
    t.ok(states.takeSnapshot().equals(bytes), `${name}: the same bytes`)
    const open = entries.map(entry => entry.currentTxnFirstOffset).filter(offset => offset >= 0)
    t.equal(states.firstUndecidedOffset, open.length > 0 ? Math.min(...open) : undefined)
  }
})

test('a snapshot carries the sequence rules over', async t => {
  const log = new Appender()
  for (let sequence = 0; sequence < 4; sequence++) log.append({ sequence })
  const bytes = log.states.takeSnapshot()
  const other = new Appender()
  other.append({ sequence: 8, id: 9 })
  other.states.readSnapshot(bytes, 4)
  other.end = 4
  t.equal(other.states.get(9), undefined)
  t.equal(other.append({ sequence: 3 }), 'again 3-3')
  t.equal(other.append({ sequence: 2 }), 'OUT_OF_ORDER_SEQUENCE_NUMBER', 'Kafka too keeps only the last batch')
  t.equal(other.append({ sequence: 4 }), '4-4')
  t.throws(() => other.states.readSnapshot(bytes, 3), { code: 'ERR_MALFORMED' }, 'it knows of later batches')
  t.equal(other.append({ sequence: 4 }), 'again 4-4', 'what cannot be read changes nothing')
})

test('leader epochs: the file', async t => {
  for (const { file, text, holds } of lines('files').filter(line => line.file === 'leader-epoch-checkpoint')) {
    const epochs = LeaderEpochs.parse(text as string)
    t.same(epochs.entries, holds, file as string)
    t.equal(epochs.format(), text)
  }
  for (const text of ['', '1\n0\n', '0\n', '0\n2\n0 0\n', '0\n1\n0 x\n', '0\n1\n-1 0\n', '0\n0\n0 0\n', '0\nx\n']) {
    t.throws(() => LeaderEpochs.parse(text), { code: 'ERR_MALFORMED' }, JSON.stringify(text))
  }
})

test('leader epochs: which ended where', async t => {
  const epochs = new LeaderEpochs()
  t.same(epochs.endOffsetFor(0, 10), UNDEFINED_EPOCH_END)
  t.ok(epochs.assign(2, 0))
  t.notOk(epochs.assign(2, 5), 'the same epoch goes on')
  t.notOk(epochs.assign(-1, 7))
  t.ok(epochs.assign(4, 11))
  t.same(epochs.latest, { epoch: 4, startOffset: 11 })
  t.same(epochs.endOffsetFor(4, 20), { leaderEpoch: 4, endOffset: 20 })
  t.same(epochs.endOffsetFor(3, 20), { leaderEpoch: 2, endOffset: 11 })
  t.same(epochs.endOffsetFor(2, 20), { leaderEpoch: 2, endOffset: 11 })
  t.same(epochs.endOffsetFor(1, 20), { leaderEpoch: 1, endOffset: 0 }, 'gone: the log begins behind it')
  t.same(epochs.endOffsetFor(5, 20), UNDEFINED_EPOCH_END)
  t.same(epochs.endOffsetFor(-1, 20), UNDEFINED_EPOCH_END)
  t.equal(epochs.epochForOffset(10), 2)
  t.equal(epochs.epochForOffset(11), 4)
})

test('leader epochs: both ends are cut', async t => {
  const epochs = LeaderEpochs.parse('0\n3\n1 0\n3 10\n5 20\n')
  t.ok(epochs.truncateFromEnd(20))
  t.notOk(epochs.truncateFromEnd(11))
  t.same(epochs.latest, { epoch: 3, startOffset: 10 })
  t.ok(epochs.truncateFromStart(4))
  t.same(epochs.entries, [
    { epoch: 1, startOffset: 4 },
    { epoch: 3, startOffset: 10 }
  ])
  t.ok(epochs.truncateFromStart(10), 'the entry at the new start stays')
  t.same(epochs.entries, [{ epoch: 3, startOffset: 10 }])
  t.notOk(epochs.truncateFromStart(10))
  t.equal(epochs.epochForOffset(9), undefined)
  t.ok(epochs.assign(2, 8), 'entries that contradict a new one go')
  t.same(epochs.entries, [{ epoch: 2, startOffset: 8 }])
})
