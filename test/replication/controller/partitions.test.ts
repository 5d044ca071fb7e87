// Partitions of a cluster at random: brokers crash with and without their records, come back, stop in order, lose a
// directory; leaders ask for other in-sync sets, late and early; replicas move. Every replica's records are modelled, so
// that after each decision it can be said who leads without what was committed.
import assert from 'node:assert/strict'
import fc from 'fast-check'
import { test } from 'tap'
import { ErrorCode, errorName } from '../../../protocol/errors.ts'
import { decideAlterPartition } from '../../../replication/controller/alter-partition.ts'
import { decideFence, decideUnregisterBroker } from '../../../replication/controller/brokers.ts'
import { decideIncrementalAlterConfigs } from '../../../replication/controller/configs.ts'
import { type Decision, isActive } from '../../../replication/controller/decision.ts'
import { decideBalance, decideElectLeaders, decideUncleanElections } from '../../../replication/controller/leaders.ts'
import {
  decideAlterPartitionReassignments,
  decideListPartitionReassignments
} from '../../../replication/controller/reassignments.ts'
import { decideCreateTopics } from '../../../replication/controller/topics.ts'
import { MetadataImage } from '../../../replication/metadata/image.ts'
import { changed, isDirectoryOnline, type Partition } from '../../../replication/metadata/partition.ts'
import { type Cluster, chance, cluster, directoryOf, heartbeat, idOf, register, run } from './cluster.ts'

interface Topic {
  readonly name: string
  readonly isUnclean: boolean
  minIsr: number
  /** The records of each replica, by broker. */
  readonly logs: Map<number, number[]>
  /** What was acknowledged. */
  committed: readonly number[]
}

interface World {
  readonly on: Cluster
  readonly brokers: readonly number[]
  readonly topics: readonly Topic[]
  /** Brokers whose process runs, in its registered life. */
  readonly up: Set<number>
  /** Crashed processes that have lost something. */
  readonly unclean: Set<number>
  /** Of brokers that had to get another. */
  readonly disks: Map<number, string>
  readonly pick: ReturnType<typeof chance>
  next: number
}

const BROKERS = [1, 2, 3, 4, 5]

function world(seed: number): World {
  const on = cluster(BROKERS)
  const pick = chance(seed + 1)
  const specs = [
    ...[[1], [2], [1]].map(([minIsr], index) => ({ minIsr: minIsr as number, factor: index + 1, isUnclean: false })),
    { minIsr: 2, factor: 3, isUnclean: false },
    { minIsr: 3, factor: 3, isUnclean: false },
    { minIsr: 2, factor: 3, isUnclean: true },
    { minIsr: 1, factor: 2, isUnclean: true }
  ]
  const topics = specs.map(({ minIsr, factor, isUnclean }, index): Topic => {
    const name = `t${index}`
    const configs = [
      { name: 'min.insync.replicas', value: String(minIsr) },
      ...(isUnclean ? [{ name: 'unclean.leader.election.enable', value: 'true' }] : [])
    ]
    const topic = { name, numPartitions: 1, replicationFactor: factor, assignments: [], configs }
    const [made] = run(on, decideCreateTopics(on.image, { topics: [topic], validateOnly: false }, on.rules))
    assert.equal(made?.errorCode, 0)
    return { name, isUnclean, minIsr, logs: new Map(), committed: [] }
  })
  return { on, brokers: BROKERS, topics, up: new Set(BROKERS), unclean: new Set(), disks: new Map(), pick, next: 1 }
}

const partitionOf = (w: World, topic: Topic): Partition =>
  w.on.image.topicsByName.get(topic.name)?.partitions[0] ?? assert.fail('no partition')

/** Applies a decision record by record, and holds every change of a partition against what must hold. */
function decided<T>(w: World, decision: Decision<T>, joining: readonly number[] = [], isCancel = false): T {
  const before = new Map(w.topics.map(topic => [topic, partitionOf(w, topic)]))
  const ids = new Map(w.topics.map(topic => [w.on.image.topicsByName.get(topic.name)?.topicId, topic]))
  for (const one of decision.records) {
    if (one.type !== 'PartitionChangeRecord') continue
    const topic = ids.get(one.record.topicId) ?? assert.fail('whose?')
    const was = before.get(topic) as Partition
    const now = changed(was, one.record)
    if (!isCancel) checkMoveIsDone(topic, was, now)
    checkChange(topic, was, now, joining)
  }
  const reply = run(w.on, decision)
  for (const [topic, was] of before) checkState(w, topic, was)
  return reply
}

function checkChange(topic: Topic, before: Partition, now: Partition, joining: readonly number[]): void {
  assert.equal(now.partitionEpoch, before.partitionEpoch + 1, 'each change is a new partition epoch')
  const isNewLeader = now.leader !== before.leader
  const dropsReplicas = before.replicas.some(id => !now.replicas.includes(id))
  const bump = isNewLeader || dropsReplicas ? 1 : 0
  assert.equal(now.leaderEpoch, before.leaderEpoch + bump, 'a leader epoch for a new leader or fewer replicas only')
  if (now.leader < 0 || !isNewLeader || now.leaderRecoveryState === 1) return
  const wasComplete = [...before.isr, ...before.elr, ...joining].includes(now.leader)
  assert.ok(wasComplete, `${topic.name}: ${now.leader} was elected without being in sync or eligible`)
}

/** Unless it is given up: what was to be added may then be what was to go. */
function checkMoveIsDone(topic: Topic, before: Partition, now: Partition): void {
  const stays = before.replicas.filter(id => !before.removingReplicas.includes(id))
  if (before.removingReplicas.length > 0 && `${now.replicas}` === `${stays}`) {
    assert.ok(now.isr.length === stays.length, `${topic.name}: a move ended before all were in sync`)
  }
}

function checkState(w: World, topic: Topic, before: Partition): void {
  const now = partitionOf(w, topic)
  const { leader, isr, elr, replicas, directories, addingReplicas, removingReplicas, lastKnownElr } = now
  const { brokers } = w.on.image
  const canLead = (id: number) =>
    isActive(brokers.get(id)) && isDirectoryOnline(now, id, brokers.get(id)?.logDirs ?? [])
  assert.equal(new Set(isr).size, isr.length)
  assert.equal(new Set(replicas).size, replicas.length)
  assert.equal(directories.length, replicas.length)
  for (const list of [isr, elr, removingReplicas, addingReplicas]) {
    assert.ok(
      list.every(id => replicas.includes(id)),
      `${topic.name}: not a replica: ${JSON.stringify(now)}`
    )
  }
  assert.ok(
    replicas.some(id => !removingReplicas.includes(id)),
    'a move to nowhere'
  )
  assert.ok(
    isr.every(id => !elr.includes(id)),
    'in sync and eligible at once'
  )
  assert.ok(
    isr.every(id => isActive(brokers.get(id))),
    `${topic.name}: a dead one in sync: ${isr}`
  )
  assert.ok(isr.length > 0 || leader === -1)
  if (isr.length >= Math.min(topic.minIsr, replicas.length)) assert.equal(elr.length, 0, 'eligible beside a full set')
  if (leader === -1) {
    const might = isr.length > 0 ? isr : elr
    assert.ok(!might.some(canLead), `${topic.name}: nobody leads, though somebody may: ${JSON.stringify(now)}`)
  } else {
    assert.ok(isr.includes(leader) && canLead(leader), `${topic.name}: ${leader} leads: ${JSON.stringify(now)}`)
    assert.equal(lastKnownElr.length, 0)
    if (now.leaderRecoveryState === 1) assert.equal(isr.length, 1, 'a recovering leader with company')
    if (now.leaderRecoveryState === 1 && before.leaderRecoveryState === 0 && !topic.isUnclean) {
      assert.equal(before.lastKnownElr[0], leader, `${topic.name}: an unclean election that the topic forbids`)
    }
  }
  // Who lives in its registered life and counts as complete is complete.
  for (const id of [...isr, ...elr]) {
    if (now.leaderRecoveryState === 0 && w.up.has(id))
      assert.ok(hasAll(topic, id), `${topic.name}: ${id} misses records`)
  }
}

const logOf = (topic: Topic, id: number): number[] => topic.logs.get(id) ?? []
const hasAll = (topic: Topic, id: number): boolean =>
  topic.committed.every((entry, at) => logOf(topic, id)[at] === entry)

/** What runs outside of the controller: leaders append, followers copy, and what all in sync have is acknowledged. */
function turn(w: World, topic: Topic): void {
  const { leader, isr, replicas, leaderRecoveryState } = partitionOf(w, topic)
  for (const id of topic.logs.keys()) if (!replicas.includes(id)) topic.logs.delete(id)
  if (leader < 0 || !w.up.has(leader)) return
  if (leaderRecoveryState === 1) topic.committed = [...logOf(topic, leader)]
  const log = logOf(topic, leader)
  if (w.pick.below(2) === 0) log.push(w.next++)
  topic.logs.set(leader, log)
  for (const id of replicas) if (id !== leader && w.up.has(id) && w.pick.below(3) > 0) topic.logs.set(id, [...log])
  if (isr.length < Math.min(topic.minIsr, replicas.length)) return
  let upto = log.length
  for (const id of isr) {
    const other = logOf(topic, id)
    let same = 0
    while (same < upto && other[same] === log[same]) same++
    upto = same
  }
  if (upto > topic.committed.length) topic.committed = log.slice(0, upto)
}

function propose(w: World, topic: Topic, isr: readonly number[], tamper: object = {}): string {
  const { image, rules } = w.on
  const { leader, leaderEpoch, partitionEpoch } = partitionOf(w, topic)
  const asked = {
    ...{ partitionIndex: 0, leaderEpoch, partitionEpoch, leaderRecoveryState: 0, newIsr: [] },
    newIsrWithEpochs: isr.map(brokerId => ({ brokerId, brokerEpoch: image.brokers.get(brokerId)?.brokerEpoch ?? -1 })),
    ...tamper
  }
  const request = {
    brokerId: leader,
    brokerEpoch: image.brokers.get(leader)?.brokerEpoch ?? -1,
    topics: [{ topicId: image.topicsByName.get(topic.name)?.topicId ?? '', partitions: [asked] }]
  }
  const reply = decided(w, decideAlterPartition(image, request, rules), isr)
  return errorName(reply.errorCode || (reply.topics?.[0]?.partitions?.[0]?.errorCode ?? 0))
}

/** As a leader does: the caught-up and live come in, one that is slow goes out. */
function alterIsr(w: World, topic: Topic, who: number): void {
  const { leader, isr, replicas, leaderEpoch, partitionEpoch } = partitionOf(w, topic)
  if (leader < 0 || !w.up.has(leader)) return
  const isCaughtUp = (id: number) => w.up.has(id) && `${logOf(topic, id)}` === `${logOf(topic, leader)}`
  const joins = replicas.filter(id => !isr.includes(id) && isCaughtUp(id) && isActive(w.on.image.brokers.get(id)))
  if (w.pick.below(3) > 0 && joins.length > 0) propose(w, topic, [...isr, ...joins])
  else if (who !== leader && isr.includes(who))
    propose(
      w,
      topic,
      isr.filter(id => id !== who)
    )
  const [joined] = joins
  if (joined === undefined || isr.includes(joined)) return
  const stale = [
    { leaderEpoch: leaderEpoch - 1 },
    { partitionEpoch: partitionEpoch - 1 },
    { leaderEpoch: leaderEpoch + 9 }
  ]
  const tamper = stale[w.pick.below(3)] as object
  const was = partitionOf(w, topic)
  assert.notEqual(propose(w, topic, [...isr, joined], tamper), 'NONE')
  assert.equal(partitionOf(w, topic), was, 'refused, but done')
}

function reassign(w: World, topic: Topic): void {
  const { image, rules } = w.on
  const shuffled = [...w.brokers].sort(() => w.pick.below(3) - 1)
  const replicas = w.pick.below(4) === 0 ? null : shuffled.slice(0, 1 + w.pick.below(3))
  const topics = [{ name: topic.name, partitions: [{ partitionIndex: 0, replicas }] }]
  const was = partitionOf(w, topic)
  const request = { topics, allowReplicationFactorChange: true }
  const reply = decided(w, decideAlterPartitionReassignments(image, request, rules), [], replicas === null)
  const outcome = reply.responses?.[0]?.partitions?.[0]?.errorCode
  const now = partitionOf(w, topic)
  const goal = now.replicas.filter(id => !now.removingReplicas.includes(id))
  if (outcome !== 0) assert.equal(now, was)
  else if (replicas) assert.deepEqual(goal, replicas)
  else assert.deepEqual(goal.toSorted(), was.replicas.filter(id => !was.addingReplicas.includes(id)).toSorted())
  const isListed = (decideListPartitionReassignments(image, { topics: null }).reply.topics ?? []).some(
    ({ name }) => name === topic.name
  )
  assert.equal(isListed, now.addingReplicas.length + now.removingReplicas.length > 0)
  // Back from replicas that were all new: what only they had is given up, and known to be.
  if (now.leader !== -1 && now.leaderRecoveryState === 1) topic.committed = [...logOf(topic, now.leader)]
}

function come(w: World, id: number): void {
  const isClean = !w.unclean.has(id)
  const epoch = w.on.image.brokers.get(id)?.brokerEpoch ?? -1
  const before = new Map(w.topics.map(topic => [topic, partitionOf(w, topic)]))
  const reply = register(w.on, id, {
    incarnationId: idOf(`life ${w.next++}`),
    previousBrokerEpoch: isClean ? epoch : -1,
    directory: w.disks.get(id) ?? directoryOf(id)
  })
  assert.equal(reply.errorCode, ErrorCode.NONE)
  w.unclean.delete(id)
  w.up.add(id)
  for (const [topic, was] of before) checkState(w, topic, was)
}

function crash(w: World, id: number, keeps: boolean): void {
  if (!w.up.delete(id) || keeps) return
  w.unclean.add(id)
  for (const { logs } of w.topics) {
    const log = logs.get(id)
    if (log) log.length = w.pick.below(log.length + 1)
  }
}

function stop(w: World, id: number): void {
  for (let round = 0; round < 3 && w.up.has(id); round++) {
    const before = new Map(w.topics.map(topic => [topic, partitionOf(w, topic)]))
    const reply = heartbeat(w.on, id, { wantShutDown: true, shutdownOffset: 0 })
    for (const [topic, was] of before) checkState(w, topic, was)
    const isLeading = w.topics.some(topic => partitionOf(w, topic).leader === id)
    assert.ok(!isLeading, 'a stopping broker leads')
    if (reply.shouldShutDown) w.up.delete(id)
  }
  assert.ok(!w.up.has(id), 'it may never stop')
}

function setMinIsr(w: World, topic: Topic, minIsr: number): void {
  // Clearing who is eligible while nobody leads leaves only an unclean election (as in Kafka).
  if (partitionOf(w, topic).leader < 0) return
  const config = { name: 'min.insync.replicas', configOperation: 0, value: String(minIsr) }
  const resource = { resourceType: 2, resourceName: topic.name, configs: [config] }
  topic.minIsr = minIsr
  decided(w, decideIncrementalAlterConfigs(w.on.image, [resource], false, w.on.rules))
}

interface Move {
  readonly what: number
  readonly who: number
  readonly topic: number
}

function step(w: World, { what, who, topic: index }: Move): void {
  const id = w.brokers[who] as number
  const topic = w.topics[index] as Topic
  const { image, rules } = w.on
  const isKnown = image.brokers.has(id)
  if (what < 6) turn(w, topic)
  else if (what < 10) alterIsr(w, topic, id)
  else if (what === 10) crash(w, id, true)
  else if (what === 11) crash(w, id, false)
  else if (what < 14) {
    if (!w.up.has(id)) come(w, id)
  } else if (what < 16) {
    if (w.up.has(id) && isKnown) heartbeat(w.on, id)
  } else if (what === 16) {
    if (isKnown && !image.brokers.get(id)?.fenced) decided(w, { records: decideFence(image, id, rules), reply: null })
  } else if (what === 17) {
    if (w.up.has(id) && isKnown) stop(w, id)
  } else if (what < 20) reassign(w, topic)
  else if (what === 20) decided(w, decideBalance(image, rules))
  else if (what === 21) decided(w, decideUncleanElections(image, rules))
  else if (what === 22) {
    const topicPartitions = [{ topic: topic.name, partitions: [0] }]
    decided(w, decideElectLeaders(image, { electionType: 0, topicPartitions }, rules))
  } else if (what === 23) setMinIsr(w, topic, 1 + w.pick.below(3))
  else if (what === 24 && !w.up.has(id)) {
    if (isKnown) decided(w, decideUnregisterBroker(image, id, rules))
    w.unclean.add(id)
    if (w.pick.below(2) > 0) return
    w.disks.set(id, idOf(`disk ${w.next++}`))
    for (const { logs } of w.topics) logs.delete(id)
  }
}

/** A recovering leader takes what it has for the truth, and says so. */
function recover(w: World): void {
  for (const topic of w.topics) {
    const { leader, leaderRecoveryState } = partitionOf(w, topic)
    if (leaderRecoveryState === 0 || leader < 0 || !w.up.has(leader)) continue
    topic.committed = [...logOf(topic, leader)]
    for (const [id, log] of topic.logs) if (id !== leader) log.length = 0
    if (w.pick.below(2) === 0) assert.equal(propose(w, topic, [leader]), 'NONE')
  }
}

/** All disks are gone of which it was known that they were the last: people have to decide. */
function rescue(w: World, { name }: Topic): void {
  const partition = w.on.image.topicsByName.get(name)?.partitions[0]
  if (partition?.leader !== -1 || partition.lastKnownElr.length > 0 || w.disks.size === 0) return
  const request = { electionType: 1, topicPartitions: [{ topic: name, partitions: [0] }] }
  run(w.on, decideElectLeaders(w.on.image, request, w.on.rules))
}

/** Everybody comes back and catches up: every move ends, everybody is in sync, the preferred replicas lead. */
function settle(w: World): void {
  for (const id of w.brokers) {
    if (!w.up.has(id)) come(w, id)
    if (!isActive(w.on.image.brokers.get(id))) {
      // In shutdown when its process died, or unregistered while it lived: only a new life ends that.
      if (w.on.image.brokers.get(id)?.inControlledShutdown !== false) come(w, id)
      heartbeat(w.on, id)
    }
  }
  for (const topic of w.topics) {
    for (let round = 0; round < 3; round++) {
      rescue(w, topic)
      recover(w)
      const { leader, replicas } = partitionOf(w, topic)
      assert.notEqual(leader, -1, `${topic.name} has no leader: ${JSON.stringify(partitionOf(w, topic))}`)
      for (const id of replicas) topic.logs.set(id, [...logOf(topic, leader)])
      propose(w, topic, replicas)
    }
  }
  decided(w, decideBalance(w.on.image, w.on.rules))
  for (const topic of w.topics) {
    const { leader, isr, replicas, addingReplicas, removingReplicas } = partitionOf(w, topic)
    assert.deepEqual([addingReplicas, removingReplicas], [[], []], 'a move that never ends')
    assert.deepEqual(isr.toSorted(), replicas.toSorted())
    assert.equal(leader, replicas[0], 'the preferred replica leads in the end')
  }
  const replayed = new MetadataImage()
  for (const record of w.on.image.records()) replayed.apply(record)
  assert.deepEqual([...replayed.topicsById.values()], [...w.on.image.topicsById.values()], 'a snapshot says the same')
}

test('random lives of a cluster: nothing acknowledged is lost, and nobody leads who may not', async t => {
  const move = fc.record({ what: fc.nat(24), who: fc.nat(4), topic: fc.nat(6) })
  let steps = 0
  fc.assert(
    fc.property(fc.nat(1 << 20), fc.array(move, { minLength: 20, maxLength: 160, size: 'max' }), (seed, moves) => {
      const w = world(seed)
      for (const one of moves) {
        step(w, one)
        recover(w)
        steps++
      }
      settle(w)
    }),
    { numRuns: 250 }
  )
  t.comment(`${steps} steps`)
  t.ok(steps > 10_000)
})
