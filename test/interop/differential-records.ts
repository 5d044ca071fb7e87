// Produce, Fetch and offsets for the comparison with Apache Kafka. What is fetched is compared byte by byte.
import { deleteRecords } from '../../protocol/messages/delete-records.ts'
import { describeProducers } from '../../protocol/messages/describe-producers.ts'
import { fetch } from '../../protocol/messages/fetch.ts'
import { initProducerId } from '../../protocol/messages/init-producer-id.ts'
import { listOffsets } from '../../protocol/messages/list-offsets.ts'
import { offsetForLeaderEpoch } from '../../protocol/messages/offset-for-leader-epoch.ts'
import { produce } from '../../protocol/messages/produce.ts'
import { type BatchDraft, buildBatch } from '../../protocol/records/builder.ts'
import type { Scenario, Stage } from './differential-stage.ts'
import { until } from './suite.ts'

const TIME = 1_700_000_000_000

const batchOf = (words: string[], more: Partial<BatchDraft> = {}, timestamp = TIME): Buffer =>
  buildBatch({
    records: words.map((word, i) => ({
      timestamp: timestamp + i,
      key: Buffer.from(`key-${word}`),
      value: Buffer.from(word)
    })),
    ...more
  })

interface Place {
  name: string
  topicId: string
}

const place = async (stage: Stage, word: string, configs: Record<string, string> = {}): Promise<Place> => {
  const name = `${stage.tag}-${word}`
  return { name, topicId: await stage.createTopic(name, 1, configs) }
}

const send = (
  stage: Stage,
  what: string,
  version: number,
  { name, topicId }: Place,
  records: Buffer | null,
  more = {}
) =>
  stage.call(what, produce, version, {
    acks: -1,
    timeoutMs: 10_000,
    topicData: [{ name, topicId, partitionData: [{ index: 0, records }] }],
    ...more
  })

const changed = (batch: Buffer, position: number): Buffer => {
  const copy = Buffer.from(batch)
  copy[position] = (copy[position] ?? 0) ^ 1
  return copy
}

const producing: Scenario = {
  name: 'records',
  api: produce,
  fromVersion: 3,
  async play(stage, version) {
    const topic = await place(stage, 'a', { 'max.message.bytes': '2000' })
    const go = (what: string, records: Buffer | null, more = {}) => send(stage, what, version, topic, records, more)
    const good = batchOf(['one', 'two'])
    await go('good', good)
    await go('acks 1', good, { acks: 1 })
    await go('acks 2', good, { acks: 2 })
    await go('unknown partition', null, {
      topicData: [{ name: topic.name, topicId: topic.topicId, partitionData: [{ index: 9, records: good }] }]
    })
    const nowhere = { name: `${topic.name}-missing`, topicId: 'EREREREREREREREREREREQ' }
    await send(stage, 'unknown topic', version, nowhere, good)
    await go('empty', Buffer.alloc(0))
    await go('two batches', Buffer.concat([good, good]))
    await go('wrong crc', changed(good, good.length - 1))
    await go('too large', batchOf(['x'.repeat(3000)]))
    for (const codec of ['gzip', 'snappy', 'lz4', 'zstd'] as const) {
      await go(codec, batchOf(['y'.repeat(5000)], { compression: codec }))
    }
    await go('in the far future', batchOf(['z'], {}, Date.now() + 100 * 86_400_000))
    await go('a control batch', batchOf(['c'], { control: true }))
    await go('sequence without producer', batchOf(['s'], { baseSequence: 5 }))
    await go('log append time set by the client', batchOf(['t'], { timestampType: 'LogAppendTime' }))
    await send(
      stage,
      'a topic of log append time',
      version,
      await place(stage, 'b', { 'message.timestamp.type': 'LogAppendTime' }),
      good
    )
    const compacted = await place(stage, 'c', { 'cleanup.policy': 'compact' })
    const keyless = buildBatch({ records: [{ timestamp: TIME, key: null, value: Buffer.from('v') }] })
    await send(stage, 'no key on a compacted topic', version, compacted, keyless)
    await send(stage, 'a key on a compacted topic', version, compacted, good)
    await send(stage, 'an internal topic', version, { name: '__consumer_offsets', topicId: nowhere.topicId }, good)
  }
}

const idempotence: Scenario = {
  name: 'idempotence',
  api: produce,
  fromVersion: 3,
  async play(stage, version) {
    const topic = await place(stage, 'a')
    const producerId = await until('a producer id', 10_000, async () => {
      const answer = await stage.ask(initProducerId, 5, { transactionalId: null, transactionTimeoutMs: 1000 })
      return typeof answer !== 'string' && answer.errorCode === 0 ? answer.producerId : undefined
    })
    const go = (what: string, baseSequence: number, more: Partial<BatchDraft> = {}) =>
      send(
        stage,
        what,
        version,
        topic,
        batchOf(['one', 'two'], { producerId, producerEpoch: 0, baseSequence, ...more })
      )
    await go('first', 0)
    await go('second', 2)
    await go('duplicate of the first', 0)
    await go('duplicate of the second', 2)
    await go('a gap', 6)
    await go('part of an old one', 1)
    await go('new epoch, wrong start', 4, { producerEpoch: 1 })
    await go('new epoch', 0, { producerEpoch: 1 })
    await go('old epoch', 4)
    await go('no sequence', -1, { producerEpoch: 1 })
    for (let i = 1; i <= 6; i++) await go(`batch ${i}`, 2 * i, { producerEpoch: 1 })
    await go('duplicate beyond the last five', 2, { producerEpoch: 1 })
    await go('duplicate within the last five', 6, { producerEpoch: 1 })
    await send(
      stage,
      'a producer nobody knows, in the middle',
      version,
      topic,
      batchOf(['x'], { producerId: producerId + 999_000, producerEpoch: 0, baseSequence: 7 })
    )
    await stage.call('producers', describeProducers, 0, { topics: [{ name: topic.name, partitionIndexes: [0, 5] }] })
  }
}

const fetching: Scenario = {
  name: 'records',
  api: fetch,
  async play(stage, version) {
    const topic = await place(stage, 'a')
    for (const words of [['a', 'b', 'c'], ['d'], ['e', 'f']])
      await stage.ask(produce, 12, producedTo(topic, batchOf(words)))
    const wanted = (fetchOffset: number, more = {}) => ({
      partition: 0,
      fetchOffset,
      partitionMaxBytes: 1_000_000,
      ...more
    })
    const get = (what: string, partitions: object[], more = {}) =>
      stage.call(what, fetch, version, {
        maxWaitMs: 0,
        minBytes: 1,
        topics: [{ topic: topic.name, topicId: topic.topicId, partitions }],
        ...more
      })
    for (const offset of [0, 1, 3, 5]) await get(`from ${offset}`, [wanted(offset)])
    await get('at the end', [wanted(6)])
    await get('beyond the end', [wanted(7)])
    await get('before the start', [wanted(-1)])
    await get('few bytes', [wanted(0, { partitionMaxBytes: 1 })])
    await get('few bytes in all', [wanted(0)], { maxBytes: 1 })
    await get('two batches', [wanted(0, { partitionMaxBytes: 160 })])
    await get('committed', [wanted(0)], { isolationLevel: 1 })
    await get('unknown partition', [wanted(0, { partition: 4 })])
    const nowhere = {
      topic: `${topic.name}-missing`,
      topicId: 'EREREREREREREREREREREQ',
      partitions: [wanted(0)]
    }
    await get('unknown topic', [], { topics: [nowhere] })
    await get('waits in vain', [wanted(6)], { maxWaitMs: 200 })
    if (version >= 9) {
      await get('current epoch', [wanted(0, { currentLeaderEpoch: 0 })])
      await get('future epoch', [wanted(0, { currentLeaderEpoch: 5 })])
    }
    if (version >= 12) {
      await get('last fetched epoch', [wanted(3, { lastFetchedEpoch: 0 })])
      await get('last fetched epoch of the future', [wanted(3, { lastFetchedEpoch: 7 })])
    }
    if (version >= 7) await sessions(stage, version, topic, get, wanted)
  }
}

/** Limits across partitions, and a session of several. */
const sharing: Scenario = {
  name: 'partitions',
  api: fetch,
  async play(stage, version) {
    const name = `${stage.tag}-a`
    const topicId = await stage.createTopic(name, 4)
    const partitionData = [0, 1, 2].map(index => ({ index, records: batchOf(['one', `of ${index}`]) }))
    const all = { acks: -1, timeoutMs: 10_000, topicData: [{ name, topicId, partitionData }] }
    await stage.call('produce to three', produce, 12, all)
    await stage.call('and again', produce, 12, all)
    const wanted = (partition: number, fetchOffset = 0) => ({ partition, fetchOffset, partitionMaxBytes: 1_000_000 })
    const get = (what: string, partitions: object[], more = {}) =>
      stage.call(what, fetch, version, {
        maxWaitMs: 0,
        minBytes: 1,
        topics: [{ topic: name, topicId, partitions }],
        ...more
      })
    const four = [3, 0, 1, 2].map(partition => wanted(partition))
    await get('all', four)
    for (const maxBytes of [1, 100, 200, 250, 400]) await get(`at most ${maxBytes} bytes`, four, { maxBytes })
    await get('one of them unknown', [...four, wanted(9)])
    await get('one of them beyond its end', [wanted(0, 9), wanted(1)])
    await get('nothing for a while', [wanted(3), wanted(0, 4)], { maxWaitMs: 200 })
    if (version < 7) return
    const first = await get('a session', four, { sessionId: 0, sessionEpoch: 0 })
    const sessionId = first?.sessionId ?? 0
    await get('two go on', [wanted(0, 2), wanted(1, 4)], { sessionId, sessionEpoch: 1 })
    await stage.ask(produce, 12, all)
    await get('what is new', [], { topics: [], sessionId, sessionEpoch: 2 })
    await get('a full one again', four, { sessionId, sessionEpoch: 0 })
  }
}

const producedTo = ({ name, topicId }: Place, records: Buffer) => ({
  acks: -1,
  timeoutMs: 10_000,
  topicData: [{ name, topicId, partitionData: [{ index: 0, records }] }]
})

async function sessions(
  stage: Stage,
  version: number,
  topic: Place,
  get: (what: string, partitions: object[], more?: object) => ReturnType<Stage['call']>,
  wanted: (offset: number) => object
): Promise<void> {
  const first = await stage.call('a session', fetch, version, {
    maxWaitMs: 0,
    minBytes: 1,
    sessionId: 0,
    sessionEpoch: 0,
    topics: [{ topic: topic.name, topicId: topic.topicId, partitions: [wanted(0) as { partition: number }] }]
  })
  const sessionId = first?.sessionId ?? 0
  const none = { topics: [] }
  await get('the same again', [], { ...none, sessionId, sessionEpoch: 1 })
  await get('further', [wanted(6)], { sessionId, sessionEpoch: 2 })
  await get('nothing new', [], { ...none, sessionId, sessionEpoch: 3 })
  await stage.ask(produce, 12, producedTo(topic, batchOf(['new'])))
  await get('something new', [], { ...none, sessionId, sessionEpoch: 4 })
  await get('wrong epoch', [], { ...none, sessionId, sessionEpoch: 9 })
  const forgottenTopicsData = [{ topic: topic.name, topicId: topic.topicId, partitions: [0] }]
  await get('forget', [], { ...none, sessionId, sessionEpoch: 5, forgottenTopicsData })
  await get('unknown session', [], { ...none, sessionId: 77, sessionEpoch: 1 })
  await get('close', [wanted(0)], { sessionId, sessionEpoch: -1 })
  await get('closed', [], { ...none, sessionId, sessionEpoch: 6 })
}

const seeking: Scenario = {
  name: 'offsets',
  api: listOffsets,
  async play(stage, version) {
    const topic = await place(stage, 'a')
    const empty = await place(stage, 'b')
    for (const i of [0, 1, 2]) await stage.ask(produce, 12, producedTo(topic, batchOf(['x', 'y'], {}, TIME + i * 1000)))
    await stage.ask(produce, 12, producedTo(topic, batchOf(['older'], {}, TIME - 5000)))
    const ask = (what: string, partitions: object[], name = topic.name, more = {}) =>
      stage.call(what, listOffsets, version, { replicaId: -1, topics: [{ name, partitions }], ...more })
    const at = (timestamp: number, more = {}) => [{ partitionIndex: 0, timestamp, ...more }]
    for (const special of [-1, -2, -3, -4, -5, -6, -7]) {
      await ask(`special ${special}`, at(special))
      await ask(`special ${special} of an empty one`, at(special), empty.name)
    }
    for (const time of [0, TIME - 5000, TIME, TIME + 1, TIME + 2, TIME + 1500, TIME + 2001, TIME + 2002]) {
      await ask(`time ${time}`, at(time))
    }
    await ask('time of an empty one', at(TIME), empty.name)
    await ask('unknown topic', at(-1), `${topic.name}-missing`)
    await ask('unknown partition', [{ partitionIndex: 3, timestamp: -1 }])
    await ask('twice', [...at(-1), ...at(-2)])
    if (version >= 2) await ask('committed', at(-1), topic.name, { isolationLevel: 1 })
    if (version >= 4) await ask('epoch', at(-1, { currentLeaderEpoch: 0 }))
    if (version >= 4) await ask('future epoch', at(-1, { currentLeaderEpoch: 3 }))
  }
}

const epochs: Scenario = {
  name: 'offsets',
  api: offsetForLeaderEpoch,
  async play(stage, version) {
    const topic = await place(stage, 'a')
    await stage.ask(produce, 12, producedTo(topic, batchOf(['x', 'y'])))
    const ask = (what: string, partition: object, name = topic.name) =>
      stage.call(what, offsetForLeaderEpoch, version, {
        replicaId: -1,
        topics: [{ topic: name, partitions: [partition] }]
      })
    for (const leaderEpoch of [0, 1, -1, 5])
      await ask(`epoch ${leaderEpoch}`, { partition: 0, currentLeaderEpoch: -1, leaderEpoch })
    await ask('current', { partition: 0, currentLeaderEpoch: 0, leaderEpoch: 0 })
    await ask('future', { partition: 0, currentLeaderEpoch: 9, leaderEpoch: 0 })
    await ask('unknown partition', { partition: 7, currentLeaderEpoch: -1, leaderEpoch: 0 })
    await ask('unknown topic', { partition: 0, currentLeaderEpoch: -1, leaderEpoch: 0 }, `${topic.name}-missing`)
  }
}

const deleting: Scenario = {
  name: 'records',
  api: deleteRecords,
  async play(stage, version) {
    const topic = await place(stage, 'a')
    await stage.ask(produce, 12, producedTo(topic, batchOf(['a', 'b', 'c', 'd'])))
    const remove = (what: string, offset: number, name = topic.name, partitionIndex = 0) =>
      stage.call(what, deleteRecords, version, {
        topics: [{ name, partitions: [{ partitionIndex, offset }] }],
        timeoutMs: 5000
      })
    await remove('two', 2)
    await remove('back', 1)
    await remove('too many', 9)
    await remove('below zero', -5)
    await remove('unknown partition', 1, topic.name, 4)
    await remove('unknown topic', 1, `${topic.name}-missing`)
    await remove('all', -1)
    await stage.call('after', listOffsets, 7, {
      replicaId: -1,
      topics: [{ name: topic.name, partitions: [{ partitionIndex: 0, timestamp: -2 }] }]
    })
  }
}

const numbering: Scenario = {
  name: 'idempotence',
  api: initProducerId,
  async play(stage, version) {
    await stage.call('new', initProducerId, version, { transactionalId: null, transactionTimeoutMs: 1000 })
    if (version >= 3) {
      await stage.call('with an id', initProducerId, version, {
        transactionalId: null,
        transactionTimeoutMs: 1000,
        producerId: 5,
        producerEpoch: 0
      })
      await stage.call('with an epoch alone', initProducerId, version, {
        transactionalId: null,
        transactionTimeoutMs: 1000,
        producerEpoch: 0
      })
    }
    await stage.call('empty transactional id', initProducerId, version, {
      transactionalId: '',
      transactionTimeoutMs: 1000
    })
  }
}

export const recordScenarios = [producing, idempotence, fetching, sharing, seeking, epochs, deleting, numbering]
