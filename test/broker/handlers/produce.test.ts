// Produce over the wire: what each kind of acks waits for, what each version answers, and what one bad partition, batch
// or request does not do to the others. The errors are those of Apache Kafka 4.3 for the same bytes.
import { readFileSync } from 'node:fs'
import { test } from 'tap'
import type { Connection } from '../../../clients/connection.ts'
import { ErrorCode, errorName } from '../../../protocol/errors.ts'
import { listOffsets } from '../../../protocol/messages/list-offsets.ts'
import { produce } from '../../../protocol/messages/produce.ts'
import { batchesOf, checkBatch } from '../../../protocol/records/batch.ts'
import { type BatchDraft, buildBatch } from '../../../protocol/records/builder.ts'
import { ZERO_UUID } from '../../../protocol/types.ts'
import { LATEST, until, type World, worldOf } from '../broker-fixture.ts'

const TIME = 1_700_000_000_000
const NO_LEADER = { leaderId: -1, leaderEpoch: -1 }

const batchOf = (count = 1, draft: Partial<BatchDraft> = {}): Buffer =>
  buildBatch({
    records: Array.from({ length: count }, (_, n) => ({
      timestamp: TIME + n,
      key: Buffer.from(`k${n}`),
      value: Buffer.from(`v${n}`)
    })),
    ...draft
  })

type Partitions = readonly { index: number; records: Buffer | null }[]

const askFor = (name: string, partitionData: Partitions, acks = -1, topicId: string = ZERO_UUID) => ({
  acks,
  timeoutMs: 5000,
  topicData: [{ name, topicId, partitionData: [...partitionData] }]
})

async function send(client: Connection, version: number, request: ReturnType<typeof askFor>) {
  const reply = await client.send(produce, version, request)
  return reply.responses.flatMap(each => each.partitionResponses)
}

async function endOf(client: Connection, name: string, partitionIndex = 0): Promise<number> {
  const topics = [{ name, partitions: [{ partitionIndex, timestamp: LATEST }] }]
  return (await client.send(listOffsets, 7, { replicaId: -1, topics })).topics[0]?.partitions[0]?.offset ?? -1
}

/** True while the promise is not settled after everything that could settle it has had its turn. */
async function isPending(work: Promise<unknown>): Promise<boolean> {
  let isSettled = false
  const settle = (): void => {
    isSettled = true
  }
  work.then(settle, settle)
  for (let turn = 0; turn < 50; turn++) await new Promise(resolve => setImmediate(resolve))
  return !isSettled
}

test('acks=-1 waits for the sync, acks=1 for the write, acks=0 for nothing', async t => {
  const world = await worldOf(t)
  await world.create('t')
  const [first, second] = [await world.connect(), await world.connect()]
  const release = world.holdSyncs()
  const all = send(first, 9, askFor('t', [{ index: 0, records: batchOf(2) }]))
  const one = await send(second, 9, askFor('t', [{ index: 0, records: batchOf(3) }], 1))
  t.match(one, [{ errorCode: 0, baseOffset: 2, logStartOffset: 0, logAppendTimeMs: -1, errorMessage: null }])
  second.sendOneWay(produce, 9, askFor('t', [{ index: 0, records: batchOf(4) }], 0))
  t.equal(await endOf(second, 't'), 0, 'nobody sees what is not committed')
  t.ok(await isPending(all), 'the sync has not returned')
  release()
  t.match(await all, [{ errorCode: 0, baseOffset: 0 }])
  await until(async () => (await endOf(second, 't')) === 9, 'everything is committed')
})

test('acks=-1 under page-cache waits for the write alone', async t => {
  const world = await worldOf(t, 'moldau.log.flush.policy=page-cache')
  await world.create('t')
  const release = world.holdSyncs()
  t.match(await world.produce('t', [{ value: 'v' }]), { errorCode: 0, baseOffset: 0 })
  release()
})

test('a time-out is an answer: REQUEST_TIMED_OUT, and the record may still appear', async t => {
  const world = await worldOf(t)
  await world.create('t')
  const client = await world.connect()
  const release = world.holdSyncs()
  const waiting = send(client, 9, { ...askFor('t', [{ index: 0, records: batchOf() }]), timeoutMs: 0 })
  const { partitions } = world.broker.services
  await until(() => partitions.locate('t', null, 0).partition?.logEndOffset === 1, 'the batch is taken')
  world.clock.advance(900)
  t.ok(await isPending(waiting), 'a client in a hurry still gets the own sync')
  t.match(await world.passing(waiting, 5), [{ errorCode: ErrorCode.REQUEST_TIMED_OUT, baseOffset: -1 }])
  release()
  await until(async () => (await endOf(client, 't')) === 1, 'the record is there')
})

test('every version: names until 12, ids from 13, fields as they came', async t => {
  const world = await worldOf(t)
  const { topicId } = await world.create('t')
  const client = await world.client()
  const records = batchOf(2)
  for (let version = 3; version <= 13; version++) {
    const byId = version >= 13
    const request = askFor(byId ? '' : 't', [{ index: 0, records }], -1, byId ? topicId : ZERO_UUID)
    const reply = await client.send(produce, version, request)
    t.match(reply, { throttleTimeMs: 0, nodeEndpoints: [] })
    t.match(reply.responses, [{ name: byId ? '' : 't', topicId: byId ? topicId : ZERO_UUID }], `${version}`)
    t.same(reply.responses[0]?.partitionResponses, [
      {
        index: 0,
        errorCode: 0,
        baseOffset: 2 * (version - 3),
        logAppendTimeMs: -1,
        logStartOffset: version >= 5 ? 0 : -1,
        recordErrors: [],
        errorMessage: null,
        currentLeader: NO_LEADER
      }
    ])
    const nowhere = askFor('nowhere', [{ index: 0, records }], -1, 'zzzzzzzzzzzzzzzzzzzzzw')
    const missing = byId ? ErrorCode.UNKNOWN_TOPIC_ID : ErrorCode.UNKNOWN_TOPIC_OR_PARTITION
    t.match(await send(client, version, nowhere), [{ errorCode: missing, baseOffset: -1, logStartOffset: -1 }])
  }
})

test('one partition that refuses harms none beside it', async t => {
  const world = await worldOf(t)
  await world.create('t', { 'max.message.bytes': '1000' }, 3)
  const client = await world.client()
  const broken = batchOf(1)
  broken[broken.length - 1] = (broken.at(-1) ?? 0) ^ 1
  const replies = await send(
    client,
    9,
    askFor('t', [
      { index: 0, records: batchOf(1) },
      { index: 9, records: batchOf(1) },
      { index: 1, records: broken },
      { index: 2, records: null },
      { index: 2, records: batchOf(1) },
      { index: 1, records: batchOf(100) },
      { index: -1, records: batchOf(1) }
    ])
  )
  t.same(
    replies.map(each => [each.index, errorName(each.errorCode), each.baseOffset]),
    [
      [0, 'NONE', 0],
      [9, 'UNKNOWN_TOPIC_OR_PARTITION', -1],
      [1, 'CORRUPT_MESSAGE', -1],
      [2, 'INVALID_RECORD', -1],
      [2, 'NONE', 0],
      [1, 'MESSAGE_TOO_LARGE', -1],
      [-1, 'UNKNOWN_TOPIC_OR_PARTITION', -1]
    ]
  )
  t.ok(replies.every(each => (each.errorCode === 0) === (each.errorMessage === null)))
  t.same([await endOf(client, 't', 0), await endOf(client, 't', 1), await endOf(client, 't', 2)], [1, 0, 1])
})

test('what no request may hold', async t => {
  const world = await worldOf(t)
  const { topicId } = await world.create('t')
  await world.metadata(['__consumer_offsets'])
  const client = await world.client()
  const ask = async (version: number, request: ReturnType<typeof askFor> & { transactionalId?: string }) => {
    const [reply] = await send(client, version, request)
    return errorName(reply?.errorCode ?? -1)
  }
  const one = (records: Buffer | null, acks = -1) => askFor('t', [{ index: 0, records }], acks)
  for (const acks of [2, -2, 127]) t.equal(await ask(9, one(batchOf(), acks)), 'INVALID_REQUIRED_ACKS')
  t.equal(await ask(9, one(Buffer.concat([batchOf(), batchOf()]))), 'INVALID_RECORD', 'two batches')
  t.equal(await ask(9, one(Buffer.alloc(0))), 'INVALID_RECORD')
  t.equal(await ask(9, one(batchOf(1, { control: true }))), 'INVALID_RECORD')
  t.equal(await ask(6, one(batchOf(3, { compression: 'zstd' }))), 'UNSUPPORTED_COMPRESSION_TYPE')
  t.equal(await ask(7, one(batchOf(3, { compression: 'zstd' }))), 'NONE')
  t.equal(await ask(9, askFor('__consumer_offsets', [{ index: 0, records: batchOf() }])), 'INVALID_TOPIC_EXCEPTION')
  const transactional = batchOf(1, { transactional: true, producerId: 5, producerEpoch: 0, baseSequence: 0 })
  t.equal(await ask(9, one(transactional)), 'INVALID_TXN_STATE')
  t.equal(await ask(9, { ...one(batchOf()), transactionalId: 'x' }), 'INVALID_TXN_STATE')
  const byBoth = askFor('t', [{ index: 0, records: batchOf() }], -1, topicId)
  t.equal(await ask(12, byBoth), 'NONE', 'an id means nothing yet')
  t.same((await client.send(produce, 9, { acks: -1, timeoutMs: 1, topicData: [] })).responses, [])
})

test('acks=0: no answer, the order is kept, and an error ends the connection', async t => {
  const world = await worldOf(t)
  await world.create('t')
  const client = await world.connect()
  for (let n = 0; n < 20; n++) client.sendOneWay(produce, 9, askFor('t', [{ index: 0, records: batchOf(1) }], 0))
  t.match(await send(client, 9, askFor('t', [{ index: 0, records: batchOf(1) }])), [{ errorCode: 0, baseOffset: 20 }])
  client.sendOneWay(produce, 9, { acks: 0, timeoutMs: 1, topicData: [] })
  t.match(await send(client, 9, askFor('t', [{ index: 0, records: batchOf(1) }])), [{ errorCode: 0, baseOffset: 21 }])
  client.sendOneWay(produce, 9, askFor('t', [{ index: 7, records: batchOf(1) }], 0))
  t.match(await client.closed, { code: 'ERR_DISCONNECTED' })
  await until(() => world.lines.some(each => each.msg === 'connection-ended'), 'a line')
  t.match(world.lines.at(-1), { level: 'warn', msg: 'connection-ended', reason: /acks=0 failed/ })
})

test('idempotence: an old batch gets its old offset, after the same wait', async t => {
  const world = await worldOf(t)
  await world.create('t')
  const client = await world.client()
  const from = (baseSequence: number, producerEpoch = 0) =>
    askFor('t', [{ index: 0, records: batchOf(2, { producerId: 7, producerEpoch, baseSequence }) }])
  const ask = async (baseSequence: number, producerEpoch = 0) => {
    const [reply] = await send(client, 9, from(baseSequence, producerEpoch))
    return [errorName(reply?.errorCode ?? -1), reply?.baseOffset]
  }
  t.same(await ask(0), ['NONE', 0])
  const release = world.holdSyncs()
  const first = send(await world.connect(), 9, from(2))
  const again = send(await world.connect(), 9, from(2))
  t.ok(await isPending(Promise.race([first, again])), 'neither is committed yet')
  release()
  t.match(await Promise.all([first, again]), [[{ errorCode: 0, baseOffset: 2 }], [{ errorCode: 0, baseOffset: 2 }]])
  t.same(await ask(0), ['NONE', 0])
  t.same(await ask(6), ['OUT_OF_ORDER_SEQUENCE_NUMBER', -1])
  t.same(await ask(0, 1), ['NONE', 4])
  t.same(await ask(4, 0), ['INVALID_PRODUCER_EPOCH', -1])
  t.equal(await endOf(client, 't'), 6)
})

interface Corrupt {
  readonly name: string
  readonly hex: string
  /** What Apache Kafka answered to Produce 12. */
  readonly produce: string
}

/** What Kafka finds by decoding the records, which this broker does where a rule of the topic needs it. */
const NOT_LOOKED_INTO = /^(count-|record-|bytes-after-records|(gzip|snappy|lz4|zstd)-)/

test('broken batches get the answers of Apache Kafka, and leave a sound log', async t => {
  const world = await worldOf(t)
  await world.create('t')
  const client = await world.client()
  const vectors = readFileSync('test/golden/corrupt.jsonl', 'utf8').split('\n').filter(Boolean)
  let taken = 0
  for (const { name, hex, produce: expected } of vectors.map(line => JSON.parse(line) as Corrupt)) {
    const [reply] = await send(client, 12, askFor('t', [{ index: 0, records: Buffer.from(hex, 'hex') }]))
    const ours = errorName(reply?.errorCode ?? -1)
    if (ours === 'NONE') taken++
    if (NOT_LOOKED_INTO.test(name) && ours === 'NONE') continue
    if (name.startsWith('transactional')) t.equal(ours, 'INVALID_TXN_STATE', 'there are no transactions yet')
    else if (expected === 'UNKNOWN_SERVER_ERROR') t.match(ours, /CORRUPT_MESSAGE|INVALID_RECORD/, name)
    else t.equal(ours, expected, name)
  }
  t.ok(taken > 20, `${taken} were taken`)
  t.equal(await soundBatches(world), taken, 'what was taken is there, each with a right checksum')
})

async function soundBatches(world: World): Promise<number> {
  const { records } = await world.fetch('t', 0)
  let count = 0
  for (const position of batchesOf(records as Buffer)) {
    checkBatch(records as Buffer, position)
    count++
  }
  return count
}
