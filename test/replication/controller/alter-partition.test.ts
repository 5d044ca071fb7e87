// What leaders and administrators ask of the controller, case by case: in-sync sets, moves of replicas, feature levels;
// directories that fail or are gone; where replicas of new partitions go. At random: partitions.test.ts.
import { test } from 'tap'
import { errorName } from '../../../protocol/errors.ts'
import { decideAlterPartition } from '../../../replication/controller/alter-partition.ts'
import { decideFence, decideHeartbeat, decideRegisterBroker } from '../../../replication/controller/brokers.ts'
import { FEATURES } from '../../../replication/controller/features.ts'
import { decideElectLeaders } from '../../../replication/controller/leaders.ts'
import { placeReplicas } from '../../../replication/controller/placement.ts'
import {
  decideAlterPartitionReassignments,
  decideListPartitionReassignments
} from '../../../replication/controller/reassignments.ts'
import { decideUpdateFeatures } from '../../../replication/controller/update-features.ts'
import { recordAt } from '../../../replication/metadata/records.ts'
import {
  type Cluster,
  chance,
  cluster,
  directoryOf,
  heartbeat,
  idOf,
  partition,
  register,
  registration,
  run,
  shows,
  withTopic
} from './cluster.ts'

const epochOf = (on: Cluster, id: number): number => on.image.brokers.get(id)?.brokerEpoch ?? -1
const topicIdOf = (on: Cluster): string => on.image.topicsByName.get('a')?.topicId ?? ''

/** As `from` asks for it, by default the leader with what it knows. */
function alter(on: Cluster, isr: readonly number[], change: object = {}, from = partition(on).leader) {
  const { leaderEpoch, partitionEpoch } = partition(on)
  const asked = {
    ...{ partitionIndex: 0, leaderEpoch, partitionEpoch, leaderRecoveryState: 0, newIsr: [] },
    newIsrWithEpochs: isr.map(brokerId => ({ brokerId, brokerEpoch: epochOf(on, brokerId) })),
    ...change
  }
  const topics = [{ topicId: topicIdOf(on), partitions: [asked] }]
  const reply = run(
    on,
    decideAlterPartition(on.image, { brokerId: from, brokerEpoch: epochOf(on, from), topics }, on.rules)
  )
  const answer = reply.topics?.[0]?.partitions?.[0]
  return { ...answer, error: errorName(answer?.errorCode ?? reply.errorCode ?? 0) }
}

test('AlterPartition: the answer tells the new state, and what is wrong is found in Kafka’s order', async t => {
  const on = withTopic([1, 2, 3, 4], [1, 2, 3], { 'min.insync.replicas': '2' })
  t.match(alter(on, [1, 2]), { error: 'NONE', leaderId: 1, leaderEpoch: 0, isr: [1, 2], partitionEpoch: 1 })
  t.match(alter(on, [1, 2]), { error: 'NONE', partitionEpoch: 1 }, 'nothing changed')
  const before = partition(on)
  const cases: [string, ReturnType<typeof alter>][] = [
    ['NOT_CONTROLLER', alter(on, [9], { leaderEpoch: 7 }, 2)],
    ['NOT_CONTROLLER', alter(on, [9], { partitionEpoch: 7 }, 2)],
    ['FENCED_LEADER_EPOCH', alter(on, [9], { leaderEpoch: -1, partitionEpoch: 0 }, 2)],
    ['INVALID_REQUEST', alter(on, [2], { partitionEpoch: 0 }, 2)],
    ['INVALID_UPDATE_VERSION', alter(on, [9], { partitionEpoch: 0 })],
    ['INVALID_REQUEST', alter(on, [1, 4])],
    ['INVALID_REQUEST', alter(on, [2, 3])],
    ['INVALID_REQUEST', alter(on, [])],
    ['INVALID_REQUEST', alter(on, [1, 2, 2])],
    ['INVALID_REQUEST', alter(on, [1], { leaderRecoveryState: 1 })],
    ['INVALID_REQUEST', alter(on, [1], { leaderRecoveryState: 5 })],
    ['UNKNOWN_TOPIC_OR_PARTITION', alter(on, [1], { partitionIndex: 5 })]
  ]
  for (const [expected, { error }] of cases) t.equal(error, expected)
  const old = {
    newIsrWithEpochs: [1, 2, 3].map(brokerId => ({
      brokerId,
      brokerEpoch: epochOf(on, brokerId) - (brokerId > 2 ? 1 : 0)
    }))
  }
  t.equal(alter(on, [], old).error, 'INELIGIBLE_REPLICA', 'heard in an earlier life (KIP-903)')
  t.equal(partition(on), before, 'none of them changed anything')
  t.equal(alter(on, [], { newIsrWithEpochs: [], newIsr: [1, 2, 3] }).error, 'NONE', 'version 2 knows no epochs')
  run(on, { records: decideFence(on.image, 3, on.rules), reply: null })
  t.equal(alter(on, [1, 2, 3]).error, 'INELIGIBLE_REPLICA', 'fenced')
  const stale = { brokerId: 1, brokerEpoch: epochOf(on, 1) - 1, topics: [] }
  t.equal(errorName(decideAlterPartition(on.image, stale, on.rules).reply.errorCode ?? 0), 'STALE_BROKER_EPOCH')
  const unknown = { brokerId: 1, brokerEpoch: epochOf(on, 1), topics: [{ topicId: idOf('none'), partitions: [] }] }
  t.strictSame(decideAlterPartition(on.image, unknown, on.rules).reply.topics, [
    { topicId: idOf('none'), partitions: [] }
  ])
})

test('below min ISR who leaves stays eligible; a full set forgets them', async t => {
  const on = withTopic([1, 2, 3], [1, 2, 3], { 'min.insync.replicas': '2' })
  alter(on, [1])
  shows(t, partition(on), { isr: [1], elr: [2, 3], leaderEpoch: 0 })
  alter(on, [1, 3])
  shows(t, partition(on), { isr: [1, 3], elr: [] })
})

test('the minimum that counts is the newest, committed or not', async t => {
  const on = withTopic([1, 2], [1, 2])
  on.image.apply(
    recordAt(30, 'ConfigRecord', { resourceType: 4, resourceName: '', name: 'min.insync.replicas', value: '2' })
  )
  alter(on, [1])
  shows(t, partition(on), { isr: [1], elr: [2] })
})

test('a recovering leader is alone until it has recovered', async t => {
  const on = withTopic([1, 2], [1, 2], { 'unclean.leader.election.enable': 'true' })
  alter(on, [1])
  run(on, { records: decideFence(on.image, 1, on.rules), reply: null })
  shows(t, partition(on), { leader: 2, isr: [2], leaderRecoveryState: 1 })
  heartbeat(on, 1)
  t.equal(alter(on, [2, 1], { leaderRecoveryState: 1 }).error, 'INVALID_REQUEST')
  t.match(alter(on, [2, 1]), { error: 'NONE', isr: [2, 1], leaderRecoveryState: 0 })
})

function reassign(on: Cluster, replicas: number[] | null, allowReplicationFactorChange = true, name = 'a', index = 0) {
  const topics = [{ name, partitions: [{ partitionIndex: index, replicas }] }]
  const decision = decideAlterPartitionReassignments(on.image, { topics, allowReplicationFactorChange }, on.rules)
  return errorName(run(on, decision).responses?.[0]?.partitions?.[0]?.errorCode ?? 0)
}

const moving = (on: Cluster, topics: { name: string; partitionIndexes: number[] }[] | null = null) =>
  decideListPartitionReassignments(on.image, { topics }).reply.topics

test('a move: new replicas are added, then in sync, then the old ones go, and with them the leader', async t => {
  const on = withTopic([1, 2, 3, 4], [1, 2])
  t.strictSame(moving(on), [])
  t.equal(reassign(on, [3, 4]), 'NONE')
  shows(t, partition(on), {
    replicas: [3, 4, 1, 2],
    addingReplicas: [3, 4],
    removingReplicas: [1, 2],
    leader: 1,
    leaderEpoch: 0
  })
  t.strictSame(partition(on).directories, [3, 4, 1, 2].map(directoryOf))
  const listed = { partitionIndex: 0, replicas: [3, 4, 1, 2], addingReplicas: [3, 4], removingReplicas: [1, 2] }
  t.strictSame(moving(on), [{ name: 'a', partitions: [listed] }])
  t.strictSame(
    moving(on, [
      { name: 'a', partitionIndexes: [0, 7] },
      { name: 'b', partitionIndexes: [0] }
    ]),
    [{ name: 'a', partitions: [listed] }]
  )
  alter(on, [1, 2, 3])
  t.equal(partition(on).replicas.length, 4, 'one is not enough')
  t.equal(alter(on, [1, 2, 3, 4]).error, 'NEW_LEADER_ELECTED')
  shows(t, partition(on), {
    replicas: [3, 4],
    isr: [3, 4],
    leader: 3,
    leaderEpoch: 1,
    addingReplicas: [],
    removingReplicas: []
  })
  t.strictSame(partition(on).directories, [3, 4].map(directoryOf))
  t.equal(reassign(on, null), 'NO_REASSIGNMENT_IN_PROGRESS')
})

test('a move whose replicas are in sync already ends at once; another order changes no epoch', async t => {
  const on = withTopic([1, 2, 3], [1, 2, 3])
  t.equal(reassign(on, [3, 1, 2]), 'NONE')
  shows(t, partition(on), { replicas: [3, 1, 2], leader: 1, leaderEpoch: 0, partitionEpoch: 1 })
  t.strictSame(partition(on).directories, [3, 1, 2].map(directoryOf))
  t.equal(reassign(on, [3, 1]), 'NONE')
  shows(t, partition(on), { replicas: [3, 1], isr: [1, 3], leader: 1, leaderEpoch: 1, removingReplicas: [] })
})

test('a move is changed under way, and taken back', async t => {
  const on = withTopic([1, 2, 3, 4, 5], [1, 2])
  reassign(on, [2, 3])
  alter(on, [1, 2])
  t.equal(reassign(on, [2, 4]), 'NONE')
  shows(t, partition(on), { replicas: [2, 4, 1, 3], addingReplicas: [3, 4], removingReplicas: [1, 3] })
  t.equal(reassign(on, null), 'NONE')
  shows(t, partition(on), { replicas: [2, 1], isr: [1, 2], addingReplicas: [], removingReplicas: [], leader: 1 })
  reassign(on, [2, 3])
  alter(on, [1, 2, 3])
  shows(t, partition(on), { replicas: [2, 3], isr: [2, 3], leader: 2 })
})

test('taking a move back needs an unclean election where only new replicas are in sync', async t => {
  for (const isUnclean of [false, true]) {
    const on = withTopic([1, 2, 3, 4], [1, 2], isUnclean ? { 'unclean.leader.election.enable': 'true' } : {})
    reassign(on, [3, 4])
    alter(on, [1, 3])
    run(on, { records: decideFence(on.image, 1, on.rules), reply: null })
    shows(t, partition(on), { isr: [3], leader: 3 })
    t.equal(reassign(on, null), isUnclean ? 'NONE' : 'INVALID_REPLICA_ASSIGNMENT')
    if (isUnclean) shows(t, partition(on), { replicas: [1, 2], isr: [2], leader: 2, leaderRecoveryState: 1 })
  }
})

test('moves that are refused', async t => {
  const on = withTopic([1, 2, 3], [1, 2])
  t.equal(reassign(on, [1], true, 'b'), 'UNKNOWN_TOPIC_OR_PARTITION')
  t.equal(reassign(on, [1], true, 'a', 3), 'UNKNOWN_TOPIC_OR_PARTITION')
  for (const replicas of [[], [1, 9], [1, 1]]) t.equal(reassign(on, replicas), 'INVALID_REPLICA_ASSIGNMENT')
  t.equal(reassign(on, [1, 2, 3], false), 'INVALID_REPLICATION_FACTOR', 'KIP-860')
  t.equal(reassign(on, [3, 2], false), 'NONE')
  t.equal(reassign(on, [3], false), 'INVALID_REPLICATION_FACTOR', 'what counts is where the move ends')
})

test('a directory that failed is led by nobody; one that is gone begins anew, out of sync', async t => {
  const on = withTopic([1, 2], [1, 2])
  const [good, bad] = [directoryOf(1), idOf('another of 1')]
  const two = {
    ...registration(1, { incarnationId: idOf('two dirs'), previousBrokerEpoch: epochOf(on, 1) }),
    logDirs: [good, bad]
  }
  const facts = { clusterId: 'cluster-of-this-test-00', endOffset: on.endOffset, hasSession: false }
  run(on, decideRegisterBroker(on.image, two, facts, on.rules))
  heartbeat(on, 1)
  alter(on, [2, 1])
  const beat = (offlineLogDirs: string[]) =>
    run(
      on,
      decideHeartbeat(
        on.image,
        {
          ...{ brokerId: 1, brokerEpoch: epochOf(on, 1), currentMetadataOffset: on.endOffset, wantFence: false },
          ...{ wantShutDown: false, offlineLogDirs, cordonedLogDirs: null }
        },
        { othersOffset: 0, shutdownOffset: null },
        on.rules
      )
    )
  run(on, { records: decideFence(on.image, 2, on.rules), reply: null })
  shows(t, partition(on), { leader: 1, isr: [1] })
  beat([good])
  shows(t, partition(on), { leader: -1, isr: [], elr: [1] })
  t.strictSame(on.image.brokers.get(1)?.logDirs, [bad])
  const epoch = partition(on).partitionEpoch
  beat([good])
  t.equal(partition(on).partitionEpoch, epoch, 'said once')
  t.equal(on.image.brokers.get(1)?.fenced, false)
  // It comes back with the other directory alone, and says that its stop was clean.
  register(on, 1, { incarnationId: idOf('wiped'), previousBrokerEpoch: epochOf(on, 1) })
  heartbeat(on, 1)
  shows(t, partition(on), { leader: 1, isr: [1] }, 'that directory is there again')
  const wiped = {
    ...registration(1, { incarnationId: idOf('new dir'), previousBrokerEpoch: epochOf(on, 1) }),
    logDirs: [idOf('empty')]
  }
  run(on, decideRegisterBroker(on.image, wiped, { ...facts, endOffset: on.endOffset }, on.rules))
  const nobody = { leader: -1, isr: [], elr: [], lastKnownElr: [] }
  shows(t, partition(on), { ...nobody, directories: [idOf('empty'), directoryOf(2)] })
  beat([])
  heartbeat(on, 2)
  shows(t, partition(on), nobody, 'broker 2 has a copy, which it would cut to match the empty one')
  const asked = { electionType: 1, topicPartitions: [{ topic: 'a', partitions: [0] }] }
  run(on, decideElectLeaders(on.image, asked, on.rules))
  shows(t, partition(on), { leader: 1, leaderRecoveryState: 1 }, 'unless somebody wants it so')
  beat([idOf('empty')])
  t.equal(on.image.brokers.get(1)?.fenced, true, 'no directory is left')
  t.match(beat([idOf('empty')]), { isFenced: true }, 'nor at the next sign of life')
  shows(t, partition(on), { leader: -1 })
  beat([])
  shows(t, partition(on), { leader: 1 }, 'one that is there after all')
})

test('the last known leader with an empty disk leads only where nobody else has a copy', async t => {
  for (const replicas of [[1, 2], [1]]) {
    for (const isNoticed of [true, false]) {
      const on = withTopic([1, 2], replicas)
      if (replicas.length > 1) alter(on, [1])
      run(on, { records: decideFence(on.image, 2, on.rules), reply: null })
      if (isNoticed) run(on, { records: decideFence(on.image, 1, on.rules), reply: null })
      if (isNoticed) shows(t, partition(on), { leader: -1, isr: [], elr: [1], lastKnownElr: [1] })
      const wiped = { ...registration(1, { incarnationId: idOf('new disk') }), logDirs: [idOf('empty')] }
      const facts = { clusterId: 'cluster-of-this-test-00', endOffset: on.endOffset, hasSession: false }
      run(on, decideRegisterBroker(on.image, wiped, facts, on.rules))
      heartbeat(on, 1)
      heartbeat(on, 2)
      const name = `replicas ${replicas}, fenced before: ${isNoticed}`
      if (replicas.length > 1) shows(t, partition(on), { leader: -1, isr: [], elr: [], lastKnownElr: [] }, name)
      else shows(t, partition(on), { leader: 1, isr: [1], elr: [], leaderRecoveryState: 1 }, name)
    }
  }
})

test('a controller that took over waits for an offset before a stopping broker may go', async t => {
  const on = withTopic([1, 2], [1, 2])
  heartbeat(on, 1, { wantShutDown: true })
  const request = {
    ...{ brokerId: 1, brokerEpoch: epochOf(on, 1), currentMetadataOffset: on.endOffset, wantFence: false },
    ...{ wantShutDown: true, offlineLogDirs: [], cordonedLogDirs: null }
  }
  const decision = decideHeartbeat(on.image, request, { othersOffset: 99, shutdownOffset: null }, on.rules)
  t.match(decision, { records: [], reply: { shouldShutDown: false, isInControlledShutdown: true } })
  const third = cluster([1, 2, 3])
  t.match(
    heartbeat(third, 3, { wantShutDown: true }),
    { shouldShutDown: true, isFenced: true },
    'who leads nothing goes at once'
  )
})

function update(on: Cluster, levels: [string, number, number?][], validateOnly = false, voters = [100]) {
  const featureUpdates = levels.map(([feature, maxVersionLevel, upgradeType = 1]) => ({
    feature,
    maxVersionLevel,
    upgradeType,
    allowDowngrade: false
  }))
  const reply = run(on, decideUpdateFeatures(on.image, { featureUpdates, validateOnly }, { voters }, on.rules))
  return { ...reply, error: errorName(reply.errorCode ?? 0) }
}

const ELR = 'eligible.leader.replicas.version'

test('feature levels: all or none, and only what everybody supports', async t => {
  const on = withTopic([1, 2], [1, 2], { 'min.insync.replicas': '2' })
  alter(on, [1])
  t.strictSame(partition(on).elr, [2])
  const refusals: [string, number, number?][] = [
    ['metadata.version', 31],
    ['metadata.version', 29],
    ['metadata.version', 29, 2],
    ['metadata.version', 29, 3],
    ['metadata.version', 0, 2],
    [ELR, 0],
    [ELR, 2],
    [ELR, -1],
    [ELR, 1, 9],
    ['group.version', 1],
    ['never.heard', 1]
  ]
  for (const one of refusals) {
    t.match(
      update(on, [[ELR, 0, 2], one]),
      { error: 'INVALID_UPDATE_VERSION', errorMessage: new RegExp(one[0]) },
      `${one}`
    )
  }
  t.equal(on.image.features.get(ELR), 1, 'the good half was not done either')
  t.match(update(on, [[ELR, 0, 2]], false, [100, 101]).errorMessage, /controller 101 has not registered/)
  t.equal(update(on, [[ELR, 0, 2]], true).error, 'NONE')
  t.equal(on.image.features.get(ELR), 1, 'only asked')
  t.match(
    update(on, [
      [ELR, 0, 2],
      ['metadata.version', 30]
    ]),
    { error: 'NONE', results: [{ feature: ELR }, { feature: 'metadata.version' }] }
  )
  t.equal(on.image.features.has(ELR), false)
  t.strictSame(partition(on).elr, [])
  on.image.apply(
    recordAt(30, 'ConfigRecord', { resourceType: 4, resourceName: '', name: 'min.insync.replicas', value: null })
  )
  on.image.apply(
    recordAt(30, 'ConfigRecord', { resourceType: 4, resourceName: '2', name: 'min.insync.replicas', value: '2' })
  )
  t.equal(update(on, [[ELR, 1]]).error, 'NONE')
  t.equal(on.image.configs(4, '').get('min.insync.replicas'), '1', 'one minimum for all')
  t.equal(on.image.configs(4, '2').has('min.insync.replicas'), false)
  const old = {
    ...registration(2),
    features: registration(2).features.map(each => (each.name === ELR ? { ...each, maxSupportedVersion: 0 } : each))
  }
  update(on, [[ELR, 0, 2]])
  run(
    on,
    decideRegisterBroker(
      on.image,
      old,
      { clusterId: 'cluster-of-this-test-00', endOffset: on.endOffset, hasSession: false },
      on.rules
    )
  )
  t.match(update(on, [[ELR, 1]]).errorMessage, /Broker 2 only supports versions 0-0/)
  t.ok(FEATURES.length > 0)
})

test('whoever fails, its leaderships are inherited by many', async t => {
  const brokers = [1, 2, 3, 4].map(brokerId => ({ brokerId, rack: null, fenced: false }))
  const placed = placeReplicas(brokers, 400, 3, chance(5))
  if (typeof placed === 'string') throw new Error(placed)
  for (const { brokerId } of brokers) {
    const led = placed.filter(replicas => replicas[0] === brokerId)
    t.equal(led.length, 100, 'each leads as many')
    const heirs = new Map<number, number>()
    for (const [, heir] of led) heirs.set(heir as number, (heirs.get(heir as number) ?? 0) + 1)
    t.ok([...heirs.values()].every(count => count < 60) && heirs.size === 3, `heirs of ${brokerId}: ${[...heirs]}`)
  }
})
