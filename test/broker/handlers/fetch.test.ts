// Fetch over the wire: limits, epochs, isolation, every version; sessions as a consumer lives with them; and the long
// poll, which is woken by what it waits for and by nothing else.
import { test } from 'tap'
import type { Connection } from '../../../clients/connection.ts'
import { ErrorCode, errorName } from '../../../protocol/errors.ts'
import { deleteRecords } from '../../../protocol/messages/delete-records.ts'
import { deleteTopics } from '../../../protocol/messages/delete-topics.ts'
import { fetch } from '../../../protocol/messages/fetch.ts'
import { produce } from '../../../protocol/messages/produce.ts'
import { baseOffset, batchesOf } from '../../../protocol/records/batch.ts'
import { buildBatch } from '../../../protocol/records/builder.ts'
import type { RequestDraft } from '../../../protocol/schema.ts'
import { ZERO_UUID } from '../../../protocol/types.ts'
import { until, type World, worldOf } from '../broker-fixture.ts'

/** A batch of one record of this many bytes. */
const BATCH = buildBatch({ records: [{ timestamp: 1_700_000_000_000, key: null, value: Buffer.alloc(300, 'v') }] })
const MANY = 1 << 20

async function fill(client: Connection, topic: string, counts: readonly number[]): Promise<void> {
  for (const [index, count] of counts.entries()) {
    for (let n = 0; n < count; n++) {
      const topicData = [{ name: topic, partitionData: [{ index, records: BATCH }] }]
      await client.send(produce, 9, { acks: -1, timeoutMs: 5000, topicData })
    }
  }
}

type Wanted = NonNullable<NonNullable<RequestDraft<typeof fetch>['topics']>[number]['partitions']>[number]

const at = (partition: number, fetchOffset: number, more: Wanted = {}): Wanted => ({
  partition,
  fetchOffset,
  partitionMaxBytes: MANY,
  ...more
})

type More = Omit<RequestDraft<typeof fetch>, 'topics'>

/** What is asked of topic t; nothing is waited for unless asked for. */
const wanting = (partitions: Wanted[], more: More = {}, topicId: string = ZERO_UUID) => ({
  replicaId: -1,
  maxWaitMs: 0,
  minBytes: 1,
  maxBytes: 50 * MANY,
  topics: partitions.length === 0 ? [] : [{ topic: 't', topicId, partitions }],
  ...more
})

type Reply = Awaited<ReturnType<typeof get>>
const get = (client: Connection, partitions: Wanted[], more: More = {}, version = 12) =>
  client.send(fetch, version, wanting(partitions, more))

const offsetsIn = (records: Buffer | null): number[] =>
  [...batchesOf(records ?? Buffer.alloc(0))].map(p => baseOffset(records as Buffer, p))

/** Per partition, in the order of the answer: its number, its error, and the offsets of its batches. */
const summary = ({ responses }: Reply) =>
  responses.flatMap(({ partitions }) =>
    partitions.map(each => [each.partitionIndex, errorName(each.errorCode), offsetsIn(each.records)])
  )

test('limits: whole batches only, and the first gets through whatever its size', async t => {
  const world = await worldOf(t)
  await world.create('t', {}, 3)
  const client = await world.client()
  await fill(client, 't', [3, 3, 3])
  const size = BATCH.length
  const all = [at(0, 0), at(1, 0), at(2, 0)]
  const ask = async (partitions: Wanted[], more?: More) => summary(await get(client, partitions, more))
  t.same(await ask(all), [
    [0, 'NONE', [0, 1, 2]],
    [1, 'NONE', [0, 1, 2]],
    [2, 'NONE', [0, 1, 2]]
  ])
  t.same(await ask(all, { maxBytes: 4 * size }), [
    [0, 'NONE', [0, 1, 2]],
    [1, 'NONE', [0]],
    [2, 'NONE', []]
  ])
  t.same(await ask(all, { maxBytes: 0 }), [
    [0, 'NONE', [0]],
    [1, 'NONE', []],
    [2, 'NONE', []]
  ])
  t.same(await ask([at(0, 3), at(1, 1, { partitionMaxBytes: 1 }), at(2, 0, { partitionMaxBytes: 1 })]), [
    [0, 'NONE', []],
    [1, 'NONE', [1]],
    [2, 'NONE', []]
  ])
  t.same(await ask([at(0, 0, { partitionMaxBytes: 2 * size + 5 })]), [[0, 'NONE', [0, 1]]])
  t.same(await ask([at(0, 3), at(1, 1, { partitionMaxBytes: -5 }), at(2, 0, { partitionMaxBytes: -1 })]), [
    [0, 'NONE', []],
    [1, 'NONE', [1]],
    [2, 'NONE', []]
  ])
  t.same(await ask([at(0, 0)], { maxBytes: -1 }), [[0, 'NONE', [0]]])
})

test('offsets and epochs that do not fit', async t => {
  const world = await worldOf(t)
  await world.create('t')
  const client = await world.client()
  await fill(client, 't', [4])
  const epoch = world.broker.services.metadata.image.topicsByName.get('t')?.partitions[0]?.leaderEpoch ?? -1
  const one = async (wanted: Wanted, more?: More) => (await get(client, [wanted], more)).responses[0]?.partitions[0]
  const code = async (wanted: Wanted, more?: More) => errorName((await one(wanted, more))?.errorCode ?? -1)
  for (const offset of [-1, -5, 5, 2 ** 53 - 1]) t.equal(await code(at(0, offset)), 'OFFSET_OUT_OF_RANGE')
  t.equal(await code(at(0, 4)), 'NONE')
  t.equal(await code(at(7, 0)), 'UNKNOWN_TOPIC_OR_PARTITION')
  t.equal(await code(at(-1, 0)), 'UNKNOWN_TOPIC_OR_PARTITION')
  t.equal(await code(at(0, 0, { currentLeaderEpoch: epoch })), 'NONE')
  t.equal(await code(at(0, 0, { currentLeaderEpoch: epoch + 1 })), 'UNKNOWN_LEADER_EPOCH')
  if (epoch > 0) t.equal(await code(at(0, 0, { currentLeaderEpoch: epoch - 1 })), 'FENCED_LEADER_EPOCH')
  t.equal(await code(at(0, 0, { currentLeaderEpoch: -7 })), 'NONE', 'any negative epoch is none')
  // A fetcher whose records beyond the end were never committed is told where it and this log part ways.
  t.match(await one(at(0, 9, { lastFetchedEpoch: epoch })), { errorCode: 0, divergingEpoch: { epoch, endOffset: 4 } })
  t.match(await one(at(0, 4, { lastFetchedEpoch: epoch })), { errorCode: 0, divergingEpoch: { epoch: -1 } })
  t.equal(await code(at(0, 1, { lastFetchedEpoch: epoch + 5 })), 'OFFSET_OUT_OF_RANGE')
  for (const replicaId of [1, 5]) {
    t.equal(await code(at(0, 0), { replicaId }), 'NOT_LEADER_OR_FOLLOWER', 'nobody follows this partition')
  }
  t.equal(await code(at(0, 0), { replicaId: -2 }), 'NONE')
})

test('every version: names until 12, ids from 13', async t => {
  const world = await worldOf(t)
  const { topicId } = await world.create('t')
  const client = await world.client()
  await fill(client, 't', [2])
  for (let version = 4; version <= 18; version++) {
    const id = version >= 13 ? topicId : ZERO_UUID
    for (const isolationLevel of [0, 1]) {
      const reply = await client.send(fetch, version, wanting([at(0, 0)], { isolationLevel }, id))
      t.match(reply, { throttleTimeMs: 0, errorCode: 0, nodeEndpoints: [] }, `${version}`)
      t.match(reply.responses, [{ topic: version >= 13 ? '' : 't', topicId: id }])
      t.match(reply.responses[0]?.partitions, [
        {
          partitionIndex: 0,
          errorCode: 0,
          highWatermark: 2,
          lastStableOffset: 2,
          logStartOffset: version >= 5 ? 0 : -1,
          abortedTransactions: isolationLevel === 0 ? null : [],
          preferredReadReplica: -1
        }
      ])
      t.same(offsetsIn(reply.responses[0]?.partitions[0]?.records ?? null), [0, 1])
    }
    const nowhere = { topic: 'nowhere', topicId: 'zzzzzzzzzzzzzzzzzzzzzw', partitions: [at(0, 0)] }
    const reply = await client.send(fetch, version, { ...wanting([]), topics: [nowhere] })
    const missing = version >= 13 ? ErrorCode.UNKNOWN_TOPIC_ID : ErrorCode.UNKNOWN_TOPIC_OR_PARTITION
    t.match(reply.responses, [{ partitions: [{ errorCode: missing, highWatermark: -1, abortedTransactions: [] }] }])
    if (version < 13) continue
    const zero = await client.send(fetch, version, wanting([at(0, 0)]))
    t.match(zero.responses, [{ partitions: [{ errorCode: ErrorCode.UNKNOWN_TOPIC_ID }] }], 'no id at all')
  }
})

test('a session: only what changed is named, and who has waited longest is served first', async t => {
  const world = await worldOf(t)
  const { topicId } = await world.create('t', {}, 3)
  const client = await world.client()
  await fill(client, 't', [2, 2, 0])
  const all = [at(0, 0), at(1, 0), at(2, 0)]
  const { sessionId } = await client.send(fetch, 13, wanting(all, { sessionEpoch: 0 }, topicId))
  t.not(sessionId, 0)
  let sessionEpoch = 1
  const next = async (partitions: Wanted[] = [], more: More = {}) => {
    const reply = await client.send(fetch, 13, wanting(partitions, { sessionId, sessionEpoch, ...more }, topicId))
    t.match(reply, { errorCode: 0, sessionId })
    sessionEpoch++
    return summary(reply)
  }
  t.same(await next([], { maxBytes: 1 }), [[0, 'NONE', [0]]])
  t.same(await next([], { maxBytes: 1 }), [[1, 'NONE', [0]]], 'the one that had its turn goes to the end')
  t.same(await next([], { maxBytes: 1 }), [[0, 'NONE', [0]]])
  t.same(await next([at(0, 2), at(1, 2)]), [], 'nothing new')
  await fill(client, 't', [0, 0, 1])
  t.same(await next(), [[2, 'NONE', [0]]])
  await client.send(deleteRecords, 2, { topics: [{ name: 't', partitions: [{ partitionIndex: 0, offset: 1 }] }] })
  t.same(await next([at(2, 1)]), [[0, 'NONE', []]], 'a moved log start is news')
  t.same(await next([at(1, 77)]), [[1, 'OFFSET_OUT_OF_RANGE', []]])
  t.same(await next(), [[1, 'OFFSET_OUT_OF_RANGE', []]], 'an error is told until it is gone')
  t.same(await next([at(1, 2)]), [[1, 'NONE', []]])
  const wrong = { ...wanting([]), sessionId, sessionEpoch: sessionEpoch + 1 }
  t.equal((await client.send(fetch, 13, wrong)).errorCode, ErrorCode.INVALID_FETCH_SESSION_EPOCH)
  const byName = { ...wanting([]), sessionId, sessionEpoch }
  t.equal((await client.send(fetch, 12, byName)).errorCode, ErrorCode.FETCH_SESSION_TOPIC_ID_ERROR)
  await client.send(deleteTopics, 6, { topics: [{ name: 't', topicId: ZERO_UUID }], timeoutMs: 5000 })
  t.same(await next(), [
    [1, 'UNKNOWN_TOPIC_ID', []],
    [0, 'UNKNOWN_TOPIC_ID', []],
    [2, 'UNKNOWN_TOPIC_ID', []]
  ])
  await client.send(fetch, 13, { ...wanting([]), sessionId, sessionEpoch: -1 })
  const gone = await client.send(fetch, 13, { ...wanting([]), sessionId, sessionEpoch })
  t.equal(gone.errorCode, ErrorCode.FETCH_SESSION_ID_NOT_FOUND)
})

/** Counts how often a fetch looks at a partition. */
function looksAt(world: World): { count: number } {
  const { partitions } = world.broker.services
  const looks = { count: 0 }
  const locate = partitions.locateTarget.bind(partitions)
  partitions.locateTarget = (...asked) => {
    looks.count++
    return locate(...asked)
  }
  return looks
}

test('a hundred idle consumers cost nothing while others work, and are woken by what they wait for', async t => {
  const world = await worldOf(t)
  await world.create('t')
  await world.create('other')
  const client = await world.client()
  const looks = looksAt(world)
  const consumers = await Promise.all(Array.from({ length: 100 }, () => world.connect()))
  const waiting = consumers.map(each => get(each, [at(0, 0)], { maxWaitMs: 60_000 }))
  // Each looks once before it waits, and once more at what it waits for.
  await until(() => looks.count === 200, 'all are parked')
  await fill(client, 'other', [50])
  world.clock.advance(30_000)
  await fill(client, 'other', [1])
  t.equal(looks.count, 200, 'nobody looked')
  await fill(client, 't', [1])
  for (const reply of await Promise.all(waiting)) t.same(summary(reply), [[0, 'NONE', [0]]])
  t.equal(looks.count, 300, 'each looked once more')
})

test('a crowd at the tail is answered in rounds; who is behind, or does not wait, is answered at once', async t => {
  const world = await worldOf(t)
  await world.create('t')
  const client = await world.client()
  const crowd = await Promise.all(Array.from({ length: 20 }, () => world.connect()))
  const waitAt = (offset: number) => crowd.map(each => get(each, [at(0, offset)], { maxWaitMs: 60_000 }))
  const looks = looksAt(world)
  let waiting = waitAt(0)
  await until(() => looks.count === 40, 'all are parked')
  await fill(client, 't', [1])
  for (const reply of await Promise.all(waiting)) t.same(summary(reply), [[0, 'NONE', [0]]])
  // Time stands still, so the round after this one does not come.
  let answered = 0
  waiting = waitAt(1)
  for (const each of waiting) each.then(() => answered++)
  await fill(client, 't', [3])
  t.same(summary(await get(client, [at(0, 0)], { maxWaitMs: 60_000 })), [[0, 'NONE', [0, 1, 2, 3]]], 'who is behind')
  t.same(summary(await get(client, [at(0, 2)])), [[0, 'NONE', [2, 3]]], 'who does not wait')
  t.equal(answered, 0)
  for (const reply of await world.passing(Promise.all(waiting), 5)) t.same(summary(reply), [[0, 'NONE', [1, 2, 3]]])
})

test('fetches that one move wakes each get what they asked for', async t => {
  const world = await worldOf(t)
  await world.create('t', {}, 2)
  const client = await world.client()
  await fill(client, 't', [3, 3])
  const size = BATCH.length
  const looks = looksAt(world)
  const ask = async (partitions: Wanted[], batches: number) =>
    summary(await get(await world.connect(), partitions, { maxWaitMs: 60_000, minBytes: batches * size }))
  const waiting = [
    ask([at(0, 0)], 4),
    ask([at(0, 0)], 4),
    ask([at(0, 0, { partitionMaxBytes: 2 * size }), at(1, 1)], 5),
    ask([at(0, 1)], 3),
    ask([at(0, 3), at(1, 0)], 4),
    ask([at(0, 2), at(1, 3)], 2)
  ]
  await until(() => looks.count === 18, 'all are parked')
  await fill(client, 't', [1, 1])
  t.same(await Promise.all(waiting), [
    [[0, 'NONE', [0, 1, 2, 3]]],
    [[0, 'NONE', [0, 1, 2, 3]]],
    [
      [0, 'NONE', [0, 1]],
      [1, 'NONE', [1, 2, 3]]
    ],
    [[0, 'NONE', [1, 2, 3]]],
    [
      [0, 'NONE', [3]],
      [1, 'NONE', [0, 1, 2]]
    ],
    [
      [0, 'NONE', [2, 3]],
      [1, 'NONE', []]
    ]
  ])
  // Two partitions that look alike but for their bytes.
  const longer = buildBatch({ records: [{ timestamp: 1, key: null, value: Buffer.alloc(500, 'w') }] })
  const minBytes = size + longer.length
  const before = looks.count
  const both = [await world.connect(), await world.connect()].map(each =>
    get(each, [at(0, 4), at(1, 4)], { maxWaitMs: 60_000, minBytes })
  )
  await until(() => looks.count === before + 8, 'both are parked')
  await fill(client, 't', [1])
  const topicData = [{ name: 't', partitionData: [{ index: 1, records: longer }] }]
  await client.send(produce, 9, { acks: -1, timeoutMs: 5000, topicData })
  for (const { responses } of await Promise.all(both)) {
    t.same(
      responses[0]?.partitions.map(each => each.records?.length),
      [size, longer.length]
    )
  }
})

test('the long poll: min.bytes, the time limit, an error and the end of a connection', async t => {
  const world = await worldOf(t)
  await world.create('t', {}, 2)
  const [client, producer] = [await world.connect(), await world.connect()]
  const enough = get(client, [at(0, 0), at(1, 0)], { maxWaitMs: 60_000, minBytes: 2 * BATCH.length })
  await fill(producer, 't', [1])
  let isAnswered = false
  void enough.then(() => {
    isAnswered = true
  })
  await world.fetch('t', 0)
  t.notOk(isAnswered, 'one batch is too little')
  await fill(producer, 't', [0, 1])
  t.same(summary(await enough), [
    [0, 'NONE', [0]],
    [1, 'NONE', [0]]
  ])
  const late = get(client, [at(0, 1)], { maxWaitMs: 500 })
  t.same(summary(await world.passing(late, 50)), [[0, 'NONE', []]])
  const started = world.clock.monotonicMs()
  t.same(summary(await get(client, [at(0, 1), at(1, 99)], { maxWaitMs: 60_000, minBytes: 1000 })), [
    [0, 'NONE', []],
    [1, 'OFFSET_OUT_OF_RANGE', []]
  ])
  t.same(summary(await get(client, [at(0, 1)], { maxWaitMs: 60_000, minBytes: 0 })), [[0, 'NONE', []]])
  t.same((await get(client, [], { maxWaitMs: 60_000 })).responses, [])
  t.equal(world.clock.monotonicMs(), started, 'none of these waited')
  const looks = looksAt(world)
  get(client, [at(0, 1)], { maxWaitMs: 60_000 }).catch(() => {})
  await until(() => looks.count === 2, 'it is parked')
  client.destroy()
  await until(() => looks.count === 3, 'the broker sees that nobody waits any more')
  await fill(producer, 't', [1])
  t.equal(looks.count, 3, 'and nobody is woken')
})
