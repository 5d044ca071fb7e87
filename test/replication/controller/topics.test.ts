// Topics: names, counts, replicas, settings, with the error codes that Kafka gives for each fault; and placement.
import fc from 'fast-check'
import { test } from 'tap'
import { errorName } from '../../../protocol/errors.ts'
import { ZERO_UUID } from '../../../protocol/types.ts'
import { autoTopics } from '../../../replication/controller/auto-create.ts'
import { placeReplicas } from '../../../replication/controller/placement.ts'
import { topicNameFault } from '../../../replication/controller/topic-names.ts'
import {
  decideCreatePartitions,
  decideCreateTopics,
  decideDeleteTopics
} from '../../../replication/controller/topics.ts'
import { chance, cluster, directoryOf, heartbeat, run, shows } from './cluster.ts'

type Asked = Partial<Parameters<typeof decideCreateTopics>[1]['topics'][number]>

const topic = (name: string, o: Asked = {}) => ({
  ...{ name, numPartitions: 1, replicationFactor: 1, assignments: [], configs: [], ...o }
})

function create(on: ReturnType<typeof cluster>, topics: ReturnType<typeof topic>[], validateOnly = false) {
  const reply = run(on, decideCreateTopics(on.image, { topics, validateOnly }, on.rules))
  return reply.map(({ errorCode }) => errorName(errorCode))
}

test('a topic is made with its settings, partitions led by live replicas', async t => {
  const on = cluster([1, 2, 3])
  const [made] = run(
    on,
    decideCreateTopics(
      on.image,
      {
        topics: [
          topic('orders', { numPartitions: 3, replicationFactor: 2, configs: [{ name: 'retention.ms', value: '9' }] })
        ],
        validateOnly: false
      },
      on.rules
    )
  )
  t.match(made, { errorCode: 0, errorMessage: null, partitionCount: 3, replicationFactor: 2 })
  const orders = on.image.topicsByName.get('orders')
  t.equal(orders?.topicId, made?.topicId)
  t.equal(orders?.partitions.length, 3)
  for (const partition of orders?.partitions ?? []) {
    t.equal(new Set(partition.replicas).size, 2)
    t.strictSame(partition.isr, partition.replicas)
    t.equal(partition.leader, partition.replicas[0])
    t.strictSame(partition.directories, partition.replicas.map(directoryOf))
    shows(t, partition, { leaderEpoch: 0, partitionEpoch: 0, elr: [], leaderRecoveryState: 0 })
  }
  t.strictSame([...on.image.configs(2, 'orders')], [['retention.ms', '9']])
  t.strictSame(create(on, [topic('orders')]), ['TOPIC_ALREADY_EXISTS'])
})

test('defaults: -1 takes the settings of the broker', async t => {
  const on = cluster([1, 2], { numPartitions: 5, defaultReplicationFactor: 2 })
  create(on, [topic('plain', { numPartitions: -1, replicationFactor: -1 })])
  const partitions = on.image.topicsByName.get('plain')?.partitions ?? []
  t.equal(partitions.length, 5)
  t.equal(partitions[0]?.replicas.length, 2)
})

test('each fault has its code, and harms no other topic of the request', async t => {
  const on = cluster([1])
  t.strictSame(
    create(on, [
      ...[
        topic('ok'),
        topic('no replicas', {}),
        topic('few', { replicationFactor: 2 }),
        topic('zero', { replicationFactor: 0 })
      ],
      ...[topic('none', { numPartitions: 0 }), topic('less', { numPartitions: -2 }), topic('twice'), topic('twice')],
      ...[
        topic('null', { configs: [{ name: 'a', value: null }] }),
        topic('bad', { configs: [{ name: 'bad', value: '' }] })
      ],
      ...[topic('__cluster_metadata'), topic('huge', { numPartitions: 10_001 })]
    ]),
    [
      ...['NONE', 'INVALID_TOPIC_EXCEPTION', 'INVALID_REPLICATION_FACTOR', 'INVALID_REPLICATION_FACTOR'],
      ...['INVALID_PARTITIONS', 'INVALID_PARTITIONS', 'INVALID_REQUEST', 'INVALID_CONFIG', 'INVALID_CONFIG'],
      ...['TOPIC_AUTHORIZATION_FAILED', 'POLICY_VIOLATION']
    ]
  )
  t.strictSame([...on.image.topicsByName.keys()], ['ok'])
})

test('validateOnly answers the same and writes nothing', async t => {
  const on = cluster([1])
  t.strictSame(create(on, [topic('a'), topic('b', { replicationFactor: 9 })], true), [
    'NONE',
    'INVALID_REPLICATION_FACTOR'
  ])
  t.equal(on.image.topicsByName.size, 0)
})

test('nobody is there to lead', async t => {
  const on = cluster([1])
  heartbeat(on, 1, { wantFence: true })
  t.strictSame(create(on, [topic('a')]), ['INVALID_REPLICATION_FACTOR'])
  const assignments = [{ partitionIndex: 0, brokerIds: [1] }]
  t.strictSame(create(on, [topic('b', { numPartitions: -1, replicationFactor: -1, assignments })]), [
    'INVALID_REPLICA_ASSIGNMENT'
  ])
})

test('while a broker is stopped in order, topics are made with as many replicas as ever', async t => {
  const on = cluster([1, 2, 3])
  const assignments = [{ partitionIndex: 0, brokerIds: [3, 1] }]
  create(on, [topic('before', { assignments, numPartitions: -1, replicationFactor: -1 })])
  heartbeat(on, 3, { wantShutDown: true })
  shows(t, on.image.brokers.get(3), { inControlledShutdown: true, fenced: false })
  const isMade = (name: string) => {
    t.strictSame(create(on, [topic(name, { replicationFactor: 3 })]), ['NONE'])
    const [made] = on.image.topicsByName.get(name)?.partitions ?? []
    t.strictSame([...(made?.replicas ?? [])].sort(), [1, 2, 3])
    t.strictSame([...(made?.isr ?? [])].sort(), [1, 2])
    t.ok([1, 2].includes(made?.leader ?? -1))
  }
  isMade('meanwhile')
  t.match(heartbeat(on, 3, { wantShutDown: true, shutdownOffset: 0 }), { isFenced: true })
  isMade('after')
})

test('names', async t => {
  for (const good of ['a', 'A.b_c-9', '_', 'x'.repeat(249), '...']) t.equal(topicNameFault(good), null, good)
  for (const bad of ['', '.', '..', 'a b', 'ü', 'a/b', 'x'.repeat(250), 'a\n'])
    t.type(topicNameFault(bad), 'string', bad)
  const on = cluster([1])
  t.strictSame(create(on, [topic('a.b'), topic('a_b')]), ['NONE', 'INVALID_TOPIC_EXCEPTION'], 'in one request')
  t.strictSame(create(on, [topic('a_b'), topic('a-b'), topic('ab')]), ['INVALID_TOPIC_EXCEPTION', 'NONE', 'NONE'])
})

test('manual assignments', async t => {
  const on = cluster([1, 2])
  const manual = (lists: number[][], o: Asked & { indexes?: number[] } = {}) => {
    const { indexes, ...rest } = o
    const assignments = lists.map((brokerIds, index) => ({ partitionIndex: indexes?.[index] ?? index, brokerIds }))
    return create(on, [
      topic(`t${on.image.topicsByName.size}`, { numPartitions: -1, replicationFactor: -1, assignments, ...rest })
    ])[0]
  }
  t.equal(
    manual([
      [2, 1],
      [1, 2]
    ]),
    'NONE'
  )
  t.strictSame(
    on.image.topicsByName.get('t0')?.partitions.map(partition => partition.leader),
    [2, 1]
  )
  t.equal(manual([[1]], { numPartitions: 1 }), 'INVALID_REQUEST')
  t.equal(manual([[1]], { replicationFactor: 1 }), 'INVALID_REQUEST')
  for (const lists of [[[1], []], [[9]], [[1, 1]], [[1], [1, 2]]]) t.equal(manual(lists), 'INVALID_REPLICA_ASSIGNMENT')
  t.equal(manual([[1], [2]], { indexes: [0, 0] }), 'INVALID_REPLICA_ASSIGNMENT')
  t.equal(manual([[1], [2]], { indexes: [0, 2] }), 'INVALID_REPLICA_ASSIGNMENT')
  t.equal(manual([[1], [2]], { indexes: [1, 0] }), 'NONE')
})

test('topics are deleted by name or by id', async t => {
  const on = cluster([1])
  create(on, [topic('a'), topic('b'), topic('c')])
  const id = (name: string) => on.image.topicsByName.get(name)?.topicId ?? ZERO_UUID
  const remove = (topics: { name: string | null; topicId: string }[], rules = on.rules) =>
    run(on, decideDeleteTopics(on.image, topics, rules)).map(({ errorCode }) => errorName(errorCode))
  t.strictSame(remove([{ name: 'a', topicId: ZERO_UUID }], { ...on.rules, deleteTopicEnable: false }), [
    'TOPIC_DELETION_DISABLED'
  ])
  const b = id('b')
  t.strictSame(
    remove([
      ...[
        { name: 'a', topicId: ZERO_UUID },
        { name: null, topicId: b },
        { name: 'gone', topicId: ZERO_UUID }
      ],
      ...[
        { name: null, topicId: 'TZbz6C0bQ0eHkItsrx7mlA' },
        { name: 'c', topicId: id('c') },
        { name: null, topicId: ZERO_UUID }
      ]
    ]),
    ['NONE', 'NONE', 'UNKNOWN_TOPIC_OR_PARTITION', 'UNKNOWN_TOPIC_ID', 'INVALID_REQUEST', 'INVALID_REQUEST']
  )
  t.strictSame([...on.image.topicsByName.keys()], ['c'])
  const twice = [
    { name: 'c', topicId: ZERO_UUID },
    { name: null, topicId: id('c') }
  ]
  t.strictSame(remove(twice), ['NONE', 'INVALID_REQUEST'])
})

test('a topic grows and never shrinks', async t => {
  const on = cluster([1, 2])
  create(on, [topic('a', { numPartitions: 2, replicationFactor: 2 })])
  const grow = (
    count: number,
    assignments: { brokerIds: number[] }[] | null = null,
    name = 'a',
    validateOnly = false
  ) => {
    const topics = [{ name, count, assignments }]
    const [result] = run(on, decideCreatePartitions(on.image, { topics, validateOnly }, on.rules))
    return errorName(result?.errorCode ?? -2)
  }
  t.equal(grow(3, null, 'a', true), 'NONE')
  t.equal(on.image.topicsByName.get('a')?.partitions.length, 2)
  t.equal(grow(4), 'NONE')
  t.equal(on.image.topicsByName.get('a')?.partitions[3]?.replicas.length, 2)
  t.equal(grow(4), 'INVALID_PARTITIONS')
  t.equal(grow(3), 'INVALID_PARTITIONS')
  t.equal(grow(1, null, 'b'), 'UNKNOWN_TOPIC_OR_PARTITION')
  t.equal(grow(5, []), 'INVALID_REPLICA_ASSIGNMENT')
  t.equal(grow(5, [{ brokerIds: [1] }]), 'INVALID_REPLICA_ASSIGNMENT', 'another replication factor')
  t.equal(grow(5, [{ brokerIds: [2, 1] }]), 'NONE')
  t.strictSame(on.image.topicsByName.get('a')?.partitions[4]?.replicas, [2, 1])
  t.equal(grow(20_000), 'POLICY_VIOLATION')
})

test("the broker's own topics fit a small cluster", async t => {
  const on = cluster([1])
  const settings = {
    ...{ offsetsPartitions: 50, offsetsReplicationFactor: 3, offsetsSegmentBytes: 104857600, brokersMeant: 0 }
  }
  const names = ['__consumer_offsets', 'clicks', 'no way']
  const auto = () => {
    const topics = [...(autoTopics(on.image, names, settings) ?? [])] as never
    const made = run(on, decideCreateTopics(on.image, { topics, validateOnly: false }, on.rules))
    return made.map(({ errorCode }) => errorName(errorCode))
  }
  t.strictSame(auto(), ['NONE', 'NONE', 'INVALID_TOPIC_EXCEPTION'])
  const offsets = on.image.topicsByName.get('__consumer_offsets')
  t.equal(offsets?.partitions.length, 50)
  t.equal(offsets?.partitions[0]?.replicas.length, 1)
  t.strictSame(Object.fromEntries(on.image.configs(2, '__consumer_offsets')), {
    ...{ 'cleanup.policy': 'compact', 'compression.type': 'producer', 'segment.bytes': '104857600' }
  })
  t.equal(on.image.topicsByName.get('clicks')?.partitions.length, 2)
  t.strictSame(auto(), ['TOPIC_ALREADY_EXISTS', 'TOPIC_ALREADY_EXISTS', 'INVALID_TOPIC_EXCEPTION'], 'made once')
  const [meant] = autoTopics(cluster([1]).image, ['__consumer_offsets'], { ...settings, brokersMeant: 3 }) ?? []
  t.equal(meant?.replicationFactor, 3, 'brokers that are not up yet are waited for')
})

test('placement: distinct brokers, racks first, leaders evenly, live ones first', async t => {
  const brokers = fc.array(fc.record({ rack: fc.constantFrom(null, 'a', 'b', 'c'), fenced: fc.boolean() }), {
    minLength: 1,
    maxLength: 12,
    size: 'max'
  })
  fc.assert(
    fc.property(
      brokers,
      fc.integer({ min: 1, max: 40 }),
      fc.integer({ min: 1, max: 5 }),
      fc.nat(),
      (list, count, factor, seed) => {
        const all = list.map((one, index) => ({ ...one, brokerId: index + 1 }))
        const live = all.filter(one => !one.fenced)
        const placed = placeReplicas(all, count, factor, chance(seed))
        if (live.length === 0 || factor > all.length) return typeof placed === 'string'
        if (typeof placed === 'string') return false
        const racks = new Set(all.map(one => one.rack))
        return (
          placed.length === count &&
          placed.every(replicas => {
            const used = new Set(replicas.map(id => all[id - 1]?.rack))
            const isDistinct = new Set(replicas).size === factor && replicas.length === factor
            return isDistinct && used.size === Math.min(racks.size, factor) && !all[(replicas[0] as number) - 1]?.fenced
          })
        )
      }
    ),
    { numRuns: 500 }
  )
  const three = [1, 2, 3].map(brokerId => ({ brokerId, rack: null, fenced: false }))
  const placed = placeReplicas(three, 9, 3, chance(7))
  const leaders = typeof placed === 'string' ? [] : placed.map(replicas => replicas[0] as number).sort()
  t.strictSame(leaders, [1, 1, 1, 2, 2, 2, 3, 3, 3])
})
