// Every checker is shown what it must see, and nothing more: rows, histories and answers made by hand, one lie in each.
import { test } from 'tap'
import {
  checkAck,
  checkFetched,
  checkPosition,
  checkProducerId,
  checkRefusal,
  Position
} from '../../clients/simulate/checkers/answers.ts'
import { commitUpTo } from '../../clients/simulate/checkers/commits.ts'
import { checkEndings } from '../../clients/simulate/checkers/endings.ts'
import { checkHighWatermark } from '../../clients/simulate/checkers/high-watermark.ts'
import { Images } from '../../clients/simulate/checkers/images.ts'
import { checkComplete, checkOneLeader } from '../../clients/simulate/checkers/leaders.ts'
import { checkMembership } from '../../clients/simulate/checkers/membership.ts'
import { checkOperation, Operations } from '../../clients/simulate/checkers/operations.ts'
import { checkCut, checkPrefix } from '../../clients/simulate/checkers/prefix.ts'
import { History, outcomeOf, type Send } from '../../clients/simulate/history.ts'
import { Ledger } from '../../clients/simulate/ledger.ts'
import type { Mirror } from '../../clients/simulate/mirror.ts'
import type { SimNode } from '../../clients/simulate/node.ts'
import { type Row, Rows, rowAt } from '../../clients/simulate/rows.ts'
import { lackOf } from '../../clients/simulate/whole.ts'
import { batch, type Draft } from './batches.ts'

const BYTES = new Map<string, Buffer>()
const keyOf = ({ base, epoch, fingerprint }: Row): string => `${base} ${epoch} ${fingerprint}`

function row(draft: Draft): Row {
  const bytes = batch(draft)
  const row = rowAt(bytes, 0)
  BYTES.set(keyOf(row), bytes)
  return row
}

function ledgerWith(committed: readonly Row[] = [], copies = 2): Ledger {
  const ledger = new Ledger({ name: 'events-0', topic: 'events', copies, isOfWriters: true, nodeIds: [1, 2, 3] })
  for (const each of committed) ledger.rows.push(ledger.known.intern(each))
  return ledger
}

const DISKS = new WeakMap<Mirror, Buffer>()

/** More batches on the disk of a node, which are seen there. */
function give(ledger: Ledger, nodeId: number, rows: readonly Row[], isSynced = true): Mirror {
  const mirror = ledger.mirrors.get(nodeId) as Mirror
  const bytes = Buffer.concat([
    DISKS.get(mirror) ?? Buffer.alloc(0),
    ...rows.map(each => BYTES.get(keyOf(each)) as Buffer)
  ])
  DISKS.set(mirror, bytes)
  const end = (rows.at(-1)?.last ?? -1) + 1
  const ends = { logStartOffset: 0, logEndOffset: end, writtenEndOffset: end, durableEndOffset: end, isOffline: false }
  const segments = [{ baseOffset: 0, file: { path: 'x' }, writtenBytes: bytes.length }]
  mirror.update(
    { ...ends, segments },
    (_, into, position) => bytes.copy(into, 0, position),
    () => {}
  )
  if (isSynced) sync(mirror)
  return mirror
}

function sync(mirror: Mirror, bytes = DISKS.get(mirror) as Buffer): void {
  mirror.durableAt = (_, into, position) => bytes.copy(into, 0, Math.min(position, bytes.length))
}

function sent(history: History, of: Row, partition = 'events-0'): Send {
  const { fingerprint, count, producerId, producerEpoch, sequence } = of
  const send = history.begin({
    ...{ writer: 'w', partition, fingerprint, count, producerId, producerEpoch, sequence, sentMs: 0 }
  })
  history.attempt(send)
  return send
}

test('who leads', t => {
  const ledger = ledgerWith([row({ base: 0 }), row({ base: 1 })])
  t.equal(checkOneLeader(ledger, { nodeId: 1, life: 1 }, 3), true, 'seen first')
  t.equal(checkOneLeader(ledger, { nodeId: 1, life: 1 }, 3), false)
  t.throws(() => checkOneLeader(ledger, { nodeId: 2, life: 1 }, 3), /^one-leader: /)
  t.throws(() => checkOneLeader(ledger, { nodeId: 1, life: 2 }, 3), /^one-leader: /)
  const whole = give(ledger, 1, [row({ base: 0 }), row({ base: 1 }), row({ base: 2 })])
  t.doesNotThrow(() => checkComplete(ledger, whole, 4))
  const short = give(ledger, 2, [row({ base: 0 })])
  t.throws(() => checkComplete(ledger, short, 4), /^complete-leader: /)
  const other = give(ledger, 3, [row({ base: 0 }), row({ base: 1, epoch: 2 })])
  t.throws(() => checkComplete(ledger, other, 4), /^complete-leader: /)
  t.end()
})

test('high watermarks', t => {
  const ledger = ledgerWith()
  const marks = { highWatermark: 5, lastStableOffset: 5, logEndOffset: 6 }
  t.doesNotThrow(() => checkHighWatermark(ledger, 'x', 1, marks))
  t.throws(
    () => checkHighWatermark(ledger, 'x', 1, { ...marks, highWatermark: 4, lastStableOffset: 4 }),
    /^high-watermark: /
  )
  t.doesNotThrow(() => checkHighWatermark(ledger, 'x', 2, { ...marks, highWatermark: 4, lastStableOffset: 4 }))
  t.throws(() => checkHighWatermark(ledger, 'x', 1, { ...marks, logEndOffset: 4 }), /^high-watermark: /)
  t.throws(() => checkHighWatermark(ledger, 'x', 1, { ...marks, lastStableOffset: 6 }), /^stable-offset: /)
  t.end()
})

test('what is committed', t => {
  const history = new History()
  const first = row({ base: 0, producerId: 5, sequence: 0 })
  sent(history, first)
  const ledger = ledgerWith()
  const leader = give(ledger, 1, [first])
  t.throws(() => commitUpTo(ledger, leader, 1, history), /^enough-copies: /)
  t.doesNotThrow(() => commitUpTo(ledgerOf(first, 2), give(ledgerOf(first), 1, [first]), 0, history))
  const other = give(ledger, 2, [first], false)
  t.throws(() => commitUpTo(ledger, leader, 1, history), /^enough-copies: /, 'written is not synced')
  const torn = Buffer.from(BYTES.get(keyOf(first)) as Buffer)
  torn[torn.length - 1] = 1
  sync(other, torn)
  t.throws(() => commitUpTo(ledger, leader, 1, history), /^enough-copies: /, 'but for its last byte')
  sync(other)
  commitUpTo(ledger, leader, 1, history)
  t.equal(ledger.end, 1)
  const strange = row({ base: 1, value: 'nobody sent this' })
  for (const id of [1, 2]) give(ledger, id, [strange])
  t.throws(() => commitUpTo(ledger, leader, 2, history), /^honest-bytes: /)
  t.end()
})

test('what was synced on a disk that is taken away counts, and nothing else does', t => {
  const history = new History()
  const rows = [0, 1, 2].map(base => row({ base }))
  for (const each of rows) sent(history, each)
  const ledger = ledgerWith()
  const leader = give(ledger, 1, rows)
  const other = give(ledger, 2, rows.slice(0, 2))
  other.damaged(1)
  sync(other, Buffer.alloc(0))
  give(ledger, 2, rows.slice(2), false)
  t.throws(() => commitUpTo(ledger, leader, 2, history), /^enough-copies: .* 0-0 /, 'said to be committed before')
  sync(other, BYTES.get(keyOf(rows[0] as Row)))
  commitUpTo(ledger, leader, 2, history)
  t.equal(ledger.end, 2)
  t.throws(() => commitUpTo(ledger, leader, 3, history), /^enough-copies: .* 2-2 /, 'was not there')
  t.end()
})

function ledgerOf(first: Row, nodes = 1): Ledger {
  const ledger = ledgerWith()
  for (let id = 1; id <= nodes; id++) give(ledger, id, [first])
  return ledger
}

test('what is committed twice, out of order, or after a refusal', t => {
  const run = (rows: readonly Row[], prepare: (history: History, sends: Send[]) => void): (() => void) => {
    const history = new History()
    const ledger = ledgerWith()
    const distinct = rows.filter((each, at) => rows.findIndex(other => other.fingerprint === each.fingerprint) === at)
    const sends = distinct.map(each => sent(history, each))
    prepare(history, sends)
    for (const id of [1, 2]) give(ledger, id, rows)
    return () => commitUpTo(ledger, ledger.mirrors.get(1) as Mirror, 100, history)
  }
  const twice = [row({ base: 0, value: 'x' }), row({ base: 1, value: 'x' })]
  t.throws(
    run(twice, () => {}),
    /^once-per-attempt: /
  )
  t.doesNotThrow(
    run(twice, (history, sends) => history.attempt(sends[0] as Send)),
    'two attempts, two batches'
  )
  const gap = [row({ base: 0, producerId: 9, sequence: 0 }), row({ base: 1, producerId: 9, sequence: 2 })]
  t.throws(
    run(gap, () => {}),
    /^sequences: /
  )
  const refused = (history: History, [send]: Send[]): void => history.end(send as Send, 'refused', -1, 0)
  t.throws(run([row({ base: 0 })], refused), /^refused-is-absent: /)
  t.end()
})

test('replicas and what they throw away', t => {
  const committed = [row({ base: 0 }), row({ base: 1 })]
  const ledger = ledgerWith(committed)
  const mirror = give(ledger, 1, [row({ base: 0 }), row({ base: 1, epoch: 1 })])
  t.doesNotThrow(() => checkPrefix(ledger, mirror, 1))
  t.throws(() => checkPrefix(ledger, mirror, 2), /^equal-prefix: /)
  const gone = [ledger.rows[1] as Row]
  const cut = give(ledger, 2, [row({ base: 0 })])
  t.throws(() => checkCut(ledger, cut, gone), /^kept-prefix: /)
  t.doesNotThrow(() => checkCut(ledger, cut, [ledger.known.intern(row({ base: 7 }))]))
  const rows = new Rows('events-0')
  rows.intern(row({ base: 3, value: 'one' }))
  t.throws(() => rows.intern(row({ base: 3, value: 'other' })), /^one-batch: /)
  t.end()
})

test('what clients are told', t => {
  const committed = row({ base: 4, count: 2 })
  const ledger = ledgerWith([row({ base: 0, count: 4 }), committed])
  const send = sent(new History(), committed)
  t.doesNotThrow(() => checkAck(ledger, send, 4))
  for (const offset of [0, 5, 6, -1]) {
    t.throws(() => checkAck(ledger, send, offset), /^acked-is-committed: /, `offset ${offset}`)
  }
  const idempotent = sent(new History(), row({ base: 0, producerId: 3, sequence: 0 }))
  checkOneLeader(ledger, { nodeId: 1, life: 1 }, 4)
  checkOneLeader(ledger, { nodeId: 2, life: 1 }, 5)
  t.throws(() => checkRefusal(ledger, idempotent, 45, 2), /^sequence-known: /)
  t.doesNotThrow(() => checkRefusal(ledger, idempotent, 45, 1), 'the one that was deposed does not know')
  t.doesNotThrow(() => checkRefusal(ledger, idempotent, 19, 2))
  const all = Buffer.concat([batch({ base: 0, count: 4 }), batch({ base: 4, count: 2 })])
  t.equal(checkFetched(ledger, 'r', 0, all, 6), 6)
  t.throws(() => checkFetched(ledger, 'r', 0, all, 7), /^reads-committed: /, 'a mark beyond')
  t.throws(() => checkFetched(ledger, 'r', 0, batch({ base: 4, count: 2 }), 6), /^reads-committed: /, 'a gap')
  const beyond = Buffer.concat([all, batch({ base: 6 })])
  t.throws(() => checkFetched(ledger, 'r', 0, beyond, 6), /^reads-committed: /, 'uncommitted')
  const bent = Buffer.from(all)
  bent[70] = (bent[70] as number) ^ 1
  t.throws(() => checkFetched(ledger, 'r', 0, bent, 6), /^reads-committed: /, 'a flipped bit')
  t.equal(outcomeOf(0), 'acked')
  t.equal(outcomeOf(19), 'refused')
  for (const code of [6, 7, 20, 56]) t.equal(outcomeOf(code), 'unknown')
  t.end()
})

test('positions of groups', t => {
  const position = new Position()
  position.tried.add(10)
  t.doesNotThrow(() => checkPosition('g', position, -1, -1))
  t.doesNotThrow(() => checkPosition('g', position, -1, 10))
  t.throws(() => checkPosition('g', position, 10, -1), /^group-offsets: /)
  t.throws(() => checkPosition('g', position, 5, 7), /^group-offsets: /, 'nobody committed 7')
  t.end()
})

test('endings', t => {
  const told = (ackedAt: number, found: number[], readTo: number, possible = 1): (() => void) => {
    const history = new History()
    const send = sent(history, row({ base: 3 }))
    Object.assign(send, { ackedAt, possible })
    send.found.push(...found)
    return () => checkEndings(history, new Map([['events-0', readTo]]))
  }
  t.doesNotThrow(told(3, [3], 4))
  t.doesNotThrow(told(-1, [3], 4))
  t.throws(told(3, [], 4), /^acked-is-readable: /, 'lost')
  t.throws(told(3, [5], 9), /^acked-is-readable: /, 'elsewhere')
  t.throws(told(3, [3], 3), /^acked-is-readable: /, 'not read')
  t.throws(told(-1, [3], 4, 0), /^refused-is-absent: /)
  t.end()
})

test('memberships', t => {
  const image = (isr: number[], leader: number) => ({
    brokers: new Map([
      [1, { fenced: false }],
      [2, { fenced: true }]
    ]),
    topicsById: new Map([['id', { name: 'events', partitions: [{ isr, leader }] }]])
  })
  t.doesNotThrow(() => checkMembership(image([1], 1)))
  t.doesNotThrow(() => checkMembership(image([2], -1)), 'the last one stays')
  t.throws(() => checkMembership(image([1, 2], 1)), /^isr-alive: /)
  t.throws(() => checkMembership(image([2], 2)), /^isr-alive: /)
  t.end()
})

test('a broker that gives up is not in service, though nobody else may know it yet', t => {
  const image = { brokers: new Map([[1, { brokerId: 1, fenced: false }]]), topicsById: new Map() }
  const node = { id: 1, status: 'up', broker: { services: { metadata: { image } } }, failure: null }
  const lack = (failure: Error | null) => lackOf([{ ...node, failure } as unknown as SimNode], [])
  t.equal(lack(null), null)
  t.equal(lack(new Error('sync: EIO')), 'node 1 gives up: sync: EIO')
  t.end()
})

test('whoever holds the metadata up to an offset holds the same, in whatever order it came', t => {
  const images = new Images()
  const parts = (names: readonly string[], nextProducerId: number) => ({
    ...{ topics: new Map(names.map(name => [name, { name, partitions: [{ isr: [1, 2] }] }])), nextProducerId }
  })
  images.check(1, 40, parts(['a', 'b'], 1000))
  t.doesNotThrow(() => images.check(2, 40, parts(['b', 'a'], 1000)))
  t.doesNotThrow(() => images.check(2, 41, parts(['b'], 2000)), 'nobody held it up to there')
  t.throws(() => images.check(3, 40, parts(['a'], 1000)), /^one-image: node 3 holds other topics than node 1 did/)
  t.throws(() => images.check(3, 40, parts(['a', 'b'], 0)), /^one-image: node 3 holds other nextProducerId/)
  t.end()
})

test('a producer id is given once', t => {
  const history = new History()
  checkProducerId(history, 'writer-0', { producerId: 1000, producerEpoch: 0 })
  t.doesNotThrow(() => checkProducerId(history, 'writer-0', { producerId: 1001, producerEpoch: 0 }))
  const again = () => checkProducerId(history, 'writer-1', { producerId: 1000, producerEpoch: 0 })
  t.throws(again, /^producer-ids: writer-1 was given producer id 1000, epoch 0; so was writer-0/)
  t.throws(() => checkProducerId(history, 'writer-1', { producerId: 1002, producerEpoch: 1 }), /^producer-ids: /)
  t.end()
})

test('what an operator was told to be done is done', t => {
  const operations = new Operations()
  const settings = new Map([['min.insync.replicas', '2']])
  const created = (name: string, errorCode: number | undefined) => {
    operations.begin(name)
    operations.end(name, errorCode, () => ({ isThere: true }))
  }
  created('a', 0)
  created('b', undefined)
  t.throws(() => operations.check(() => null), /^operations: a was created, and is not there/)
  t.doesNotThrow(() => operations.check(name => (name === 'a' ? new Map() : null)), 'nobody knows of b')
  operations.end('a', 0, known => ({ ...known, minInsyncReplicas: '3' }))
  t.throws(() => operations.check(() => settings), /^operations: a: min.insync.replicas was set to 3 and is 2/)
  operations.end('a', 0, () => ({ isThere: false }))
  t.throws(() => operations.check(() => settings), /^operations: a was deleted, and is there/)
  t.doesNotThrow(() => operations.check(() => null))
  operations.end('a', 7, () => ({ isThere: true }))
  operations.end('a', 0, () => ({ isThere: true }))
  t.doesNotThrow(() => operations.check(() => null), 'what timed out may happen later')
  t.throws(() => checkOperation('CreateTopics', -1), /^operations: CreateTopics was answered with UNKNOWN_SERVER_ERROR/)
  t.doesNotThrow(() => checkOperation('ElectLeaders', 84))
  t.end()
})
