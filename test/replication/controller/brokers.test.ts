// Brokers come and go: registrations, fencing, controlled shutdown, elections, eligible leader replicas. Then at random,
// with every commit noted: whoever is elected without being marked as recovering has all that was committed.
import assert from 'node:assert/strict'
import fc from 'fast-check'
import { test } from 'tap'
import { errorName } from '../../../protocol/errors.ts'
import { decideFence, decideRegisterBroker, decideUnregisterBroker } from '../../../replication/controller/brokers.ts'
import { decideBalance, decideElectLeaders, decideUncleanElections } from '../../../replication/controller/leaders.ts'
import { recordAt } from '../../../replication/metadata/records.ts'
import {
  type Cluster,
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

const LEVEL = 30

/** Stops without a word, and comes back as a new incarnation. */
function restart(on: Cluster, brokerId: number, isClean: boolean, life = 'second') {
  const epoch = on.image.brokers.get(brokerId)?.brokerEpoch ?? -1
  const incarnationId = idOf(`life ${life} of ${brokerId}`)
  const reply = register(on, brokerId, { incarnationId, previousBrokerEpoch: isClean ? epoch : -1 })
  heartbeat(on, brokerId)
  return reply
}

test('a restart alone in the cluster raises the leader epoch of every partition', async t => {
  for (const isClean of [true, false]) {
    const on = withTopic([1], [1])
    const before = partition(on)
    shows(t, before, { leader: 1, leaderEpoch: 0 })
    restart(on, 1, isClean)
    const after = partition(on)
    shows(t, after, { leader: 1, isr: [1], elr: [] })
    t.ok(after.leaderEpoch > before.leaderEpoch, `clean: ${isClean}`)
    t.equal(after.leaderRecoveryState, isClean ? 0 : 1, 'who may have lost records leads only as recovering')
    t.strictSame(after.lastKnownElr, [])
  }
})

test('the same without eligible leader replicas, as older clusters have it', async t => {
  const on = withTopic([1], [1])
  on.image.apply(recordAt(LEVEL, 'FeatureLevelRecord', { name: 'eligible.leader.replicas.version', featureLevel: 0 }))
  restart(on, 1, false)
  shows(t, partition(on), { leader: 1, isr: [1], leaderEpoch: 2, leaderRecoveryState: 0 })
})

test('registration: identity, incarnation, epoch', async t => {
  const on = cluster([1, 2])
  const epoch = on.image.brokers.get(1)?.brokerEpoch as number
  t.equal(register(on, 1).brokerEpoch, epoch, 'the same incarnation keeps its epoch')
  t.equal(on.image.brokers.get(1)?.fenced, false, 'and its state')
  t.equal(
    errorName(register(on, 1, { incarnationId: idOf('another one') }, true).errorCode),
    'DUPLICATE_BROKER_REGISTRATION'
  )
  const next = register(on, 1, { incarnationId: idOf('another one') })
  t.ok(next.brokerEpoch > epoch)
  t.equal(on.image.brokers.get(1)?.fenced, true)
  const refuse = (change: object) => {
    const facts = { clusterId: 'cluster-of-this-test-00', endOffset: 0, hasSession: false }
    const request = { ...registration(3), ...change }
    return errorName(decideRegisterBroker(on.image, request, facts, on.rules).reply.errorCode)
  }
  t.equal(refuse({ clusterId: 'x' }), 'INCONSISTENT_CLUSTER_ID')
  t.equal(refuse({ brokerId: -1 }), 'INVALID_REGISTRATION', 'the id that means nobody')
  t.equal(refuse({ logDirs: [] }), 'INVALID_REGISTRATION')
  t.equal(refuse({ logDirs: ['AAAAAAAAAAAAAAAAAAAAAQ'] }), 'INVALID_REGISTRATION')
  t.equal(refuse({ logDirs: registration(2).logDirs }), 'INVALID_REGISTRATION', "another broker's directory")
  t.equal(refuse({ features: [] }), 'UNSUPPORTED_VERSION', 'a broker that does not know what the cluster uses')
  t.equal(refuse({}), 'NONE')
})

test('heartbeats: unfenced only once it has read its own registration', async t => {
  const on = cluster([])
  const { brokerEpoch } = register(on, 1)
  t.match(heartbeat(on, 1, { offset: brokerEpoch - 1 }), { isCaughtUp: false, isFenced: true })
  t.match(heartbeat(on, 1, { offset: brokerEpoch, wantFence: true }), { isCaughtUp: true, isFenced: true })
  t.match(heartbeat(on, 1, { offset: brokerEpoch }), { isCaughtUp: true, isFenced: false })
  t.equal(on.image.brokers.get(1)?.fenced, false)
  t.match(heartbeat(on, 1), { isFenced: false, shouldShutDown: false })
  t.equal(errorName(heartbeat(on, 9).errorCode), 'BROKER_ID_NOT_REGISTERED')
  t.match(heartbeat(on, 1, { wantFence: true }), { isFenced: true })
})

test('a controlled shutdown moves leaders, waits for the others, and ends fenced', async t => {
  const on = withTopic([1, 2], [1, 2])
  t.match(heartbeat(on, 1, { wantShutDown: true }), { isInControlledShutdown: true, shouldShutDown: false })
  shows(t, partition(on), { leader: 2, isr: [2] })
  t.match(heartbeat(on, 1, { wantShutDown: true, othersOffset: 5, shutdownOffset: 9 }), { shouldShutDown: false })
  t.match(heartbeat(on, 1, { wantShutDown: true, othersOffset: 9, shutdownOffset: 9 }), {
    shouldShutDown: true,
    isFenced: true
  })
  t.equal(on.image.brokers.get(1)?.fenced, true)
  t.match(heartbeat(on, 1, { wantShutDown: true }), { shouldShutDown: true }, 'a fenced one may go at once')
})

test('fencing elects another in-sync replica, never one that is behind', async t => {
  const on = withTopic([1, 2, 3], [1, 2, 3])
  run(on, {
    records: [
      recordAt(LEVEL, 'PartitionChangeRecord', {
        topicId: on.image.topicsByName.get('a')?.topicId,
        partitionId: 0,
        isr: [1, 3]
      })
    ],
    reply: null
  })
  run(on, { records: decideFence(on.image, 1, on.rules), reply: null })
  shows(t, partition(on), { leader: 3, isr: [3] })
  run(on, { records: decideFence(on.image, 3, on.rules), reply: null })
  shows(t, partition(on), { leader: -1, isr: [], elr: [3], lastKnownElr: [3] })
  heartbeat(on, 1)
  t.equal(partition(on).leader, -1, 'broker 1 may miss records')
  heartbeat(on, 3)
  shows(t, partition(on), { leader: 3, isr: [3], elr: [], lastKnownElr: [], leaderRecoveryState: 0 })
})

test('unclean election where the topic allows it', async t => {
  const on = withTopic([1, 2], [1, 2], { 'unclean.leader.election.enable': 'true' })
  run(on, {
    records: [
      recordAt(LEVEL, 'PartitionChangeRecord', {
        topicId: on.image.topicsByName.get('a')?.topicId,
        partitionId: 0,
        isr: [1]
      })
    ],
    reply: null
  })
  run(on, { records: decideFence(on.image, 1, on.rules), reply: null })
  shows(t, partition(on), { leader: 2, isr: [2], elr: [], leaderRecoveryState: 1 })
})

test('below min ISR, who leaves the in-sync set stays eligible', async t => {
  const on = withTopic([1, 2, 3], [1, 2, 3], { 'min.insync.replicas': '2' })
  run(on, { records: decideFence(on.image, 1, on.rules), reply: null })
  shows(t, partition(on), { leader: 2, isr: [2, 3], elr: [] }, 'two are enough')
  run(on, { records: decideFence(on.image, 2, on.rules), reply: null })
  shows(t, partition(on), { leader: 3, isr: [3], elr: [2] })
  run(on, { records: decideFence(on.image, 3, on.rules), reply: null })
  shows(t, partition(on), { leader: -1, isr: [], lastKnownElr: [3] })
  t.strictSame([...partition(on).elr].sort(), [2, 3])
  heartbeat(on, 2)
  shows(t, partition(on), { leader: 2, isr: [2], elr: [3] })
})

test('a broker that is unregistered leaves everything', async t => {
  const on = withTopic([1, 2], [1, 2])
  t.equal(run(on, decideUnregisterBroker(on.image, 1, on.rules)).errorCode, 0)
  shows(t, partition(on), { leader: 2, isr: [2] })
  t.notOk(on.image.brokers.has(1))
  t.equal(errorName(run(on, decideUnregisterBroker(on.image, 1, on.rules)).errorCode), 'BROKER_ID_NOT_REGISTERED')
})

test('a broker that was unregistered comes back with another disk, and leads its partitions again', async t => {
  const on = withTopic([1, 2], [1])
  run(on, decideUnregisterBroker(on.image, 1, on.rules))
  t.equal(partition(on).leader, -1)
  const directory = idOf('another disk')
  register(on, 1, { incarnationId: idOf('after that'), directory })
  shows(t, partition(on), { directories: [directory], leader: -1 })
  heartbeat(on, 1)
  shows(t, partition(on), { leader: 1, isr: [1], leaderRecoveryState: 1 })
  // Where others have a copy, nobody waits for the one that is empty.
  const shared = withTopic([1, 2], [1, 2])
  heartbeat(shared, 2, { wantFence: true })
  run(shared, decideUnregisterBroker(shared.image, 1, shared.rules))
  shows(t, partition(shared), { leader: -1, lastKnownElr: [1] })
  register(shared, 1, { incarnationId: idOf('after that'), directory })
  heartbeat(shared, 1)
  shows(t, partition(shared), { leader: -1, lastKnownElr: [], directories: [directory, directoryOf(2)] })
})

test('elections on demand', async t => {
  const on = withTopic([1, 2], [1, 2])
  const elect = (electionType: number, partitions: number[] | null, topic = 'a') => {
    const topicPartitions = partitions && [{ topic, partitions }]
    const reply = run(on, decideElectLeaders(on.image, { electionType, topicPartitions }, on.rules))
    return reply.topics.flatMap(one => one.partitionResult.map(({ errorCode }) => errorName(errorCode)))
  }
  t.strictSame(elect(0, [0, 1]), ['ELECTION_NOT_NEEDED', 'UNKNOWN_TOPIC_OR_PARTITION'])
  t.strictSame(elect(0, null), [], 'asked for all, those that need nothing are not named')
  restart(on, 1, true)
  shows(t, partition(on), { leader: 2, isr: [2] })
  t.strictSame(elect(0, [0]), ['PREFERRED_LEADER_NOT_AVAILABLE'], 'it is not in sync')
  run(on, {
    records: [
      recordAt(LEVEL, 'PartitionChangeRecord', {
        topicId: on.image.topicsByName.get('a')?.topicId,
        partitionId: 0,
        isr: [2, 1]
      })
    ],
    reply: null
  })
  t.strictSame(elect(0, null), ['NONE'])
  t.equal(partition(on).leader, 1)
  t.strictSame(elect(1, [0]), ['ELECTION_NOT_NEEDED'])
  t.strictSame(elect(0, [0], 'b'), ['UNKNOWN_TOPIC_OR_PARTITION'])
  t.equal(run(on, decideElectLeaders(on.image, { electionType: 7, topicPartitions: null }, on.rules)).errorCode, 42)
  for (const id of [1, 2]) run(on, { records: decideFence(on.image, id, on.rules), reply: null })
  t.strictSame(elect(1, [0]), ['ELIGIBLE_LEADERS_NOT_AVAILABLE'])
})

test('leadership goes back to the preferred replica, and unclean elections come with the setting', async t => {
  const on = withTopic([1, 2], [1, 2])
  restart(on, 1, true)
  const topicId = on.image.topicsByName.get('a')?.topicId
  run(on, {
    records: [recordAt(LEVEL, 'PartitionChangeRecord', { topicId, partitionId: 0, isr: [2, 1] })],
    reply: null
  })
  t.equal(partition(on).leader, 2)
  run(on, decideBalance(on.image, on.rules))
  shows(t, partition(on), { leader: 1, isr: [2, 1] })
  t.strictSame(decideBalance(on.image, on.rules), { records: [], reply: false })
  run(on, { records: [recordAt(LEVEL, 'PartitionChangeRecord', { topicId, partitionId: 0, isr: [1] })], reply: null })
  run(on, { records: decideFence(on.image, 1, on.rules), reply: null })
  shows(t, partition(on), { leader: -1, elr: [1] })
  t.strictSame(decideUncleanElections(on.image, on.rules).records, [])
  const name = 'unclean.leader.election.enable'
  run(on, {
    records: [recordAt(LEVEL, 'ConfigRecord', { resourceType: 2, resourceName: 'a', name, value: 'true' })],
    reply: null
  })
  run(on, decideUncleanElections(on.image, on.rules))
  shows(t, partition(on), { leader: 2, isr: [2], leaderRecoveryState: 1 })
})

type Move = { what: number; who: number }

/** `has`: how many commits each broker's copy holds. */
function simulate(moves: readonly Move[]): void {
  const on = withTopic([1, 2, 3], [1, 2, 3], { 'min.insync.replicas': '2' })
  const topicId = on.image.topicsByName.get('a')?.topicId
  const has = new Map([1, 2, 3].map(id => [id, 0]))
  let commits = 0
  let lives = 0
  for (const { what, who } of moves) {
    const before = partition(on)
    const id = 1 + (who % 3)
    switch (what) {
      case 0: // The leader commits: every in-sync replica has it, and at least two of them.
        if (before.leader < 0 || before.isr.length < 2) break
        commits++
        for (const member of before.isr) has.set(member, commits)
        break
      case 1: // The leader drops a slow follower.
        if (before.leader < 0 || id === before.leader || !before.isr.includes(id)) break
        dropFromIsr(on, id)
        break
      case 2: // A follower catches up and joins.
        if (before.leader < 0 || before.isr.includes(id) || on.image.brokers.get(id)?.fenced) break
        has.set(id, has.get(before.leader) as number)
        run(on, {
          records: [
            recordAt(LEVEL, 'PartitionChangeRecord', {
              topicId,
              partitionId: 0,
              isr: [...before.isr, id],
              ...elrAfter(before, id)
            })
          ],
          reply: null
        })
        break
      case 3:
        if (!on.image.brokers.get(id)?.fenced) run(on, { records: decideFence(on.image, id, on.rules), reply: null })
        break
      case 4:
        heartbeat(on, id)
        break
      case 5:
        restart(on, id, true, String(lives++))
        break
      default:
        has.set(id, 0)
        restart(on, id, false, String(lives++))
    }
    check(on, before, has, commits)
    // A recovering leader takes what it has for the truth; so does the model.
    const now = partition(on)
    if (now.leaderRecoveryState === 1 && now.leader >= 0) {
      commits = has.get(now.leader) as number
      for (const [member, count] of has) has.set(member, Math.min(count, commits))
      run(on, {
        records: [recordAt(LEVEL, 'PartitionChangeRecord', { topicId, partitionId: 0, leaderRecoveryState: 0 })],
        reply: null
      })
    }
  }
}

/** As the controller would answer AlterPartition: below min ISR who leaves stays eligible. */
function dropFromIsr(on: Cluster, id: number): void {
  const { isr, elr } = partition(on)
  const left = isr.filter(one => one !== id)
  const eligibleLeaderReplicas = left.length < 2 ? [...elr, id] : []
  const topicId = on.image.topicsByName.get('a')?.topicId
  run(on, {
    records: [recordAt(LEVEL, 'PartitionChangeRecord', { topicId, partitionId: 0, isr: left, eligibleLeaderReplicas })],
    reply: null
  })
}

function elrAfter({ isr, elr }: ReturnType<typeof partition>, joined: number) {
  return { eligibleLeaderReplicas: isr.length + 1 >= 2 ? [] : elr.filter(id => id !== joined) }
}

function check(on: Cluster, before: ReturnType<typeof partition>, has: Map<number, number>, commits: number): void {
  const now = partition(on)
  const { leader, isr, elr, leaderEpoch, leaderRecoveryState } = now
  assert.ok(
    isr.every(id => !elr.includes(id)),
    'in sync and eligible at once'
  )
  if (leader >= 0) {
    assert.ok(isr.includes(leader), 'a leader that is not in sync')
    assert.equal(on.image.brokers.get(leader)?.fenced, false, 'a fenced leader')
  }
  if (leader !== before.leader) assert.ok(leaderEpoch > before.leaderEpoch, 'a new leader in an old epoch')
  if (leader >= 0 && leaderRecoveryState === 0) {
    assert.equal(has.get(leader), commits, `broker ${leader} leads without all that was committed`)
  }
}

test('nobody leads who misses what was committed, unless marked as recovering', async t => {
  const move = fc.record({ what: fc.nat(6), who: fc.nat(2) })
  fc.assert(
    fc.property(fc.array(move, { maxLength: 60, size: 'max' }), moves => simulate(moves)),
    { numRuns: 400 }
  )
  t.pass('400 runs')
})
