// The controller as a whole, on a disk in memory: what it answered is there after any crash, nothing is answered or seen
// before it is synced, each life leads in a new epoch, and snapshots let the log be cut.
import assert from 'node:assert/strict'
import { PassThrough } from 'node:stream'
import { test } from 'tap'
import { type Network, nodeNetwork } from '../../broker/net/network.ts'
import { ProducerIds } from '../../broker/producer-ids.ts'
import { parseQuorumState } from '../../protocol/cluster/quorum-state.ts'
import { ErrorCode, errorName } from '../../protocol/errors.ts'
import { MoldauError } from '../../protocol/failure.ts'
import { recordAt } from '../../replication/metadata/records.ts'
import type { MemoryFiles } from '../../storage/files-memory.ts'
import { shows } from '../replication/controller/cluster.ts'
import { connection, METADATA, Node, otherBroker, registrationOf, signOfLife, turns } from './controller-fixture.ts'

test('a first life, a second one: new epochs, the same cluster', async t => {
  const node = new Node()
  const first = await node.start()
  t.equal(first.image.metadataVersion, 30)
  t.equal(first.image.configs(4, '').get('min.insync.replicas'), '1')
  t.equal(first.image.brokers.get(1)?.fenced, false)
  t.equal(first.controller.activeControllerId, 1)
  t.equal(await first.create('orders', 2), 'NONE')
  t.match(parseQuorumState((await node.files.readFile(`${METADATA}/quorum-state`))?.toString() ?? ''), {
    ...{ version: 0, leaderId: 1, leaderEpoch: 1, votedId: -1, currentVoters: [1] }
  })
  const before = first.image.topicsByName.get('orders')
  await first.stop()
  t.equal(first.image.brokers.get(1)?.fenced, true, 'it left in order')

  const second = await node.start()
  const after = second.image.topicsByName.get('orders')
  t.equal(after?.topicId, before?.topicId)
  t.equal(second.controller.metadataLog.leaderEpoch, 2)
  for (const [id, partition] of after?.partitions.entries() ?? []) {
    t.equal(partition.leader, 1)
    t.ok(partition.leaderEpoch > 0, `partition ${id} leads in a new epoch`)
  }
  t.equal(await second.create('orders'), 'TOPIC_ALREADY_EXISTS')
  second.crash()
  const third = await node.start()
  t.equal(third.controller.metadataLog.leaderEpoch, 3)
  const [was, is] = [second, third].map(life => life.image.topicsByName.get('orders')?.partitions[0]?.leaderEpoch ?? -1)
  t.ok((is ?? -1) > (was ?? -1), 'after a crash too')
  await third.stop()
})

/** Holds back the syncs of the metadata log. */
function holdSyncs(files: MemoryFiles): () => void {
  const waiting: (() => void)[] = []
  const sync = files.fdatasync.bind(files)
  files.fdatasync = fd => new Promise<void>((resolve, reject) => waiting.push(() => sync(fd).then(resolve, reject)))
  return () => {
    files.fdatasync = sync
    for (const go of waiting.splice(0)) go()
  }
}

test('nothing is answered, and nothing seen, before it is synced', async t => {
  const node = new Node()
  const life = await node.start()
  const release = holdSyncs(node.files)
  let answers: string[] = []
  const asking = [life.create('a'), life.create('a'), life.remove('nothing')].map(async (asked, index) => {
    answers.push(`${index} ${await asked}`)
  })
  await turns()
  t.strictSame(answers, [], 'refusals wait too: they may have seen what is not yet committed')
  t.equal(life.image.topicsByName.size, 0)
  release()
  await Promise.all(asking)
  answers = answers.sort()
  t.strictSame(answers, ['0 NONE', '1 TOPIC_ALREADY_EXISTS', '2 UNKNOWN_TOPIC_OR_PARTITION'])
  t.equal(life.image.topicsByName.size, 1)
  await life.stop()
})

test('a failed sync: nothing more is decided, and what was held is refused', async t => {
  const node = new Node()
  const life = await node.start()
  t.equal(await life.create('a'), 'NONE')
  node.files.inject({ operation: 'sync', path: '__cluster_metadata', code: 'EIO' })
  await t.rejects(life.create('b'))
  await t.rejects(life.create('c'), { code: 'ERR_NOT_CONTROLLER' })
  t.strictSame([...life.image.topicsByName.keys()], ['a'])
  t.equal(life.controller.activeControllerId, -1)
  life.crash('keep')
  node.files.heal()
  const next = await node.start()
  t.ok(next.image.topicsByName.has('a'))
  await next.stop()
})

/** Topics come and go, and at any moment the power fails. */
async function lives(seed: number): Promise<void> {
  const node = new Node({ seed })
  /** true: surely there; false: surely not; missing: nobody was told. */
  const known = new Map<string, boolean>()
  /** The leader epoch in which each topic's partition was last seen led. */
  const led = new Map<string, number>()
  let epoch = 0
  for (let life = 0; life < 4; life++) {
    const now = await node.start()
    assert.ok(now.controller.metadataLog.leaderEpoch > epoch, 'an epoch was used twice')
    epoch = now.controller.metadataLog.leaderEpoch
    for (const [name, isThere] of known) {
      assert.equal(now.image.topicsByName.has(name), isThere, `topic ${name} after the crash`)
    }
    for (const { topicId, partitions } of now.image.topicsById.values()) {
      assert.ok(
        (partitions[0]?.leaderEpoch as number) > (led.get(topicId) ?? -1),
        'a partition leads twice in one epoch'
      )
    }
    const asked: Promise<unknown>[] = []
    for (let index = node.random.below(12); index > 0; index--) {
      const name = `topic-${node.random.below(6)}`
      const isCreation = node.random.below(3) > 0
      known.delete(name)
      const answer = (isCreation ? now.create(name) : now.remove(name)).then(
        () => known.set(name, isCreation),
        () => {}
      )
      asked.push(answer)
      if (node.random.below(2) === 0) await answer
      else await turns(node.random.below(3))
    }
    const isOrderly = node.random.below(4) === 0
    if (isOrderly) await Promise.all(asked)
    // Whoever asks twice for one name before the first answer knows only what came last: settle what is open as unknown.
    const told = new Map(known)
    for (const { topicId, partitions } of now.image.topicsById.values())
      led.set(topicId, partitions[0]?.leaderEpoch as number)
    if (isOrderly) await now.stop()
    else now.crash('mixed')
    await turns()
    known.clear()
    for (const [name, isThere] of told) known.set(name, isThere)
  }
}

test('what was answered survives any crash', async t => {
  for (let seed = 1; seed <= 50; seed++) await t.resolves(lives(seed), `seed ${seed}`)
})

test('a broker that falls silent is fenced; its neighbour with the same id is turned away', async t => {
  const node = new Node()
  const life = await node.start()
  const brokerEpoch = await otherBroker(t, life, 2)
  const caller = connection()
  const beat = (wantFence = false) => signOfLife(life, { brokerId: 2, brokerEpoch, wantFence }, caller)
  t.match(await beat(), { errorCode: 0, isFenced: false })
  const other = await life.controller.registerBroker(registrationOf(life, 2), connection())
  t.equal(errorName(other.errorCode), 'DUPLICATE_BROKER_REGISTRATION')
  const pass = async (ms: number) => {
    for (let left = ms; left > 0; left -= 50) {
      node.clock.advance(50)
      await turns(2)
    }
  }
  await pass(5_500)
  t.equal(life.image.brokers.get(2)?.fenced, false, 'a session lasts 6 seconds')
  node.clock.advance(60_000)
  await turns()
  t.equal(life.image.brokers.get(2)?.fenced, false, 'this process stood still: nobody else is blamed')
  await pass(1_500)
  t.equal(life.image.brokers.get(2)?.fenced, true)
  t.equal(life.image.brokers.get(1)?.fenced, false, 'the own broker gave signs of life')
  t.match(await beat(), { errorCode: 0, isFenced: false }, 'and may come back')
  await beat(true)
  await life.stop()
})

/** A process listens at each of these hosts, and at no other. */
function listening(hosts: readonly string[]): Network {
  const connect = (host: string) => {
    const stream = new PassThrough()
    const refusal = Object.assign(new Error(host), { code: 'ECONNREFUSED' })
    setImmediate(() => (hosts.includes(host) ? stream.emit('connect') : stream.emit('error', refusal)))
    return stream as unknown as ReturnType<Network['connect']>
  }
  return { ...nodeNetwork, connect }
}

test('a new controller fences the earlier life of its own node, after all who are surely gone', async t => {
  const node = new Node()
  const before = await node.start()
  for (const brokerId of [2, 3]) {
    const registered = registrationOf(before, brokerId, `host-${brokerId}`)
    const { brokerEpoch } = await before.controller.registerBroker(registered, connection())
    await signOfLife(before, { brokerId, brokerEpoch })
  }
  const replicas = [
    [1, 3],
    [1, 2],
    [2, 1]
  ]
  const assignments = replicas.map((brokerIds, partitionIndex) => ({ partitionIndex, brokerIds }))
  const topic = { name: 'a', numPartitions: -1, replicationFactor: -1, assignments, configs: [] }
  const [made] = await before.controller.createTopics({ topics: [topic], validateOnly: false })
  t.equal(made?.errorCode, ErrorCode.NONE)
  before.crash()
  node.network = listening(['host-3', 'localhost'])
  const life = await node.begin()
  await life.controller.start()
  const partitions = () => life.image.topicsByName.get('a')?.partitions ?? []
  t.equal(partitions()[0]?.leader, 1, 'its logs are not open, and it has not registered')
  for (let ms = 0; ms < 200; ms += 20) {
    node.clock.advance(20)
    await turns(2)
  }
  t.strictSame(
    [1, 2, 3].map(id => life.image.brokers.get(id)?.fenced),
    [true, true, false]
  )
  shows(t, partitions()[0], { leader: 3, isr: [3] })
  for (const each of partitions().slice(1)) {
    shows(t, each, { leader: -1, isr: [], elr: [1] }, 'it was in sync longest, and comes back')
  }
  await life.registration.register()
  await life.registration.unfence()
  await turns()
  t.strictSame(
    partitions().map(({ leader }) => leader),
    [3, 1, 1]
  )
  life.crash()

  const alone = new Node()
  const first = await alone.start()
  await first.create('a')
  first.crash()
  const second = await alone.begin()
  await second.controller.start()
  alone.clock.advance(200)
  await turns()
  t.equal(second.image.brokers.get(1)?.fenced, false, 'nobody could lead instead')
  second.crash()
})

test('a node that says that it is back leads nothing of its earlier life, unless that one is still heard', async t => {
  const life = await new Node().start()
  const caller = connection()
  await signOfLife(life, { brokerId: 2, brokerEpoch: await otherBroker(t, life, 2) }, caller)
  const back = { ...registrationOf(life, 2), controllerId: 2, zkMigrationReady: false }
  for (const isGone of [false, true]) {
    if (isGone) caller.end()
    await life.controller.registerController(back)
    await turns()
    t.equal(life.image.brokers.get(2)?.fenced, isGone)
  }
})

test('a dead broker whose next life is refused is fenced in its time', async t => {
  const node = new Node()
  const life = await node.start()
  const caller = connection()
  const { brokerEpoch } = await life.controller.registerBroker(registrationOf(life, 2), caller)
  await signOfLife(life, { brokerId: 2, brokerEpoch }, caller)
  caller.end()
  const next = registrationOf(life, 2)
  const refused = await life.controller.registerBroker({ ...next, features: [] }, connection(8))
  t.equal(errorName(refused.errorCode), 'UNSUPPORTED_VERSION')
  t.equal(life.image.brokers.get(2)?.fenced, false)
  for (let ms = 0; ms < 6600; ms += 50) {
    node.clock.advance(50)
    await turns(2)
  }
  t.equal(life.image.brokers.get(2)?.fenced, true, 'its session was not forgotten')
  const taken = await life.controller.registerBroker(next, connection(9))
  t.equal(errorName(taken.errorCode), 'NONE')
  await life.stop()
})

test('a broker that stops may go once the others have read so, whichever controller it began under', async t => {
  for (const takesOver of [false, true]) {
    const node = new Node()
    let life = await node.start()
    const brokerEpoch = await otherBroker(t, life, 2)
    const beat = (wantShutDown: boolean) => signOfLife(life, { brokerId: 2, brokerEpoch, wantShutDown })
    await beat(false)
    const assignments = [{ partitionIndex: 0, brokerIds: [2, 1] }]
    const topic = { name: 'a', numPartitions: -1, replicationFactor: -1, assignments, configs: [] }
    await life.controller.createTopics({ topics: [topic], validateOnly: false })
    t.match(await beat(true), { isInControlledShutdown: true, shouldShutDown: false })
    t.match(await beat(true), { shouldShutDown: false }, 'broker 1 has not said that it has read it')
    if (takesOver) {
      life.crash()
      life = await node.start()
      t.equal(life.image.brokers.get(2)?.inControlledShutdown, true)
      t.match(await beat(true), { shouldShutDown: false }, 'from when on is not known here')
    }
    // The heartbeat of broker 1.
    node.clock.advance(life.node.config.get('broker.heartbeat.interval.ms'))
    await turns()
    t.match(await beat(true), { shouldShutDown: true }, `another controller: ${takesOver}`)
    await life.stop()
  }
})

test('leadership goes back to preferred replicas at its interval, unless that is off', async t => {
  for (const isOn of [true, false]) {
    const set = [`auto.leader.rebalance.enable=${isOn}`, 'leader.imbalance.check.interval.seconds=20']
    const node = new Node({ set })
    const life = await node.start()
    const brokerEpoch = await otherBroker(t, life, 2)
    const beat = (wantFence: boolean) => signOfLife(life, { brokerId: 2, brokerEpoch, wantFence })
    await beat(false)
    const assignments = [{ partitionIndex: 0, brokerIds: [2, 1] }]
    const topic = { name: 'a', numPartitions: -1, replicationFactor: -1, assignments, configs: [] }
    const [made] = await life.controller.createTopics({ topics: [topic], validateOnly: false })
    const partition = () => life.image.topicsByName.get('a')?.partitions[0]
    await beat(true)
    shows(t, partition(), { leader: 1, isr: [1] })
    await beat(false)
    // Broker 2 caught up: what AlterPartition would have said.
    const joined = { topicId: made?.topicId, partitionId: 0, isr: [1, 2] }
    life.controller.metadataLog.append([recordAt(30, 'PartitionChangeRecord', joined)])
    life.controller.apply(recordAt(30, 'PartitionChangeRecord', joined))
    for (let seconds = 0; seconds < 22; seconds += 0.5) {
      if (seconds === 19) t.equal(partition()?.leader, 1, 'not before its time')
      node.clock.advance(500)
      await beat(false)
      await turns(2)
    }
    t.equal(partition()?.leader, isOn ? 2 : 1)
    await beat(true)
    await life.stop()
  }
})

test('a full round of leaderships that go back is followed by the next one at once', async t => {
  const node = new Node({ set: ['leader.imbalance.check.interval.seconds=20'] })
  const life = await node.start()
  const brokerEpoch = await otherBroker(t, life, 2)
  const beat = (wantFence = false) => signOfLife(life, { brokerId: 2, brokerEpoch, wantFence })
  await beat()
  const assignments = Array.from({ length: 2001 }, (_, partitionIndex) => ({ partitionIndex, brokerIds: [1, 2] }))
  const topic = { name: 'a', numPartitions: -1, replicationFactor: -1, assignments, configs: [] }
  const [made] = await life.controller.createTopics({ topics: [topic], validateOnly: false })
  const away = assignments.map(({ partitionIndex }) =>
    recordAt(30, 'PartitionChangeRecord', { topicId: made?.topicId, partitionId: partitionIndex, leader: 2 })
  )
  life.controller.metadataLog.append(away)
  for (const record of away) life.controller.apply(record)
  const led = () => life.image.topicsByName.get('a')?.partitions.filter(({ leader }) => leader === 1).length
  const counts = new Set<number | undefined>()
  for (let seconds = 0; seconds < 23; seconds += 0.5) {
    node.clock.advance(500)
    await beat()
    await turns(2)
    counts.add(led())
  }
  t.strictSame([...counts], [0, 1000, 2000, 2001], 'not a round in twenty seconds')
  await beat(true)
  await life.stop()
})

test('producer ids: once given, never again', async t => {
  const node = new Node()
  const seen = new Set<number>()
  for (let life = 0; life < 3; life++) {
    const now = await node.start()
    const ids = new ProducerIds(() => now.controller.allocateProducerIds(1, now.registration.brokerEpoch))
    const given = await Promise.all(Array.from({ length: 1500 }, () => ids.next()))
    for (const { errorCode, producerId } of given) {
      assert.equal(errorCode, ErrorCode.NONE)
      assert.ok(!seen.has(producerId), `producer id ${producerId} was given twice`)
      seen.add(producerId)
    }
    now.crash()
  }
  t.equal(seen.size, 4500)
  // Of this broker, not of the producer: what a producer is told it can try again after.
  const stale = { errorCode: ErrorCode.STALE_BROKER_EPOCH, producerIdStart: -1, producerIdLen: 0 }
  const late = new MoldauError('ERR_TIMEOUT', 'no controller answered')
  for (const refuse of [() => Promise.resolve(stale), () => Promise.reject(late)]) {
    t.match(await new ProducerIds(refuse).next(), { errorCode: ErrorCode.COORDINATOR_LOAD_IN_PROGRESS })
  }
})

test('topics that nobody creates by hand', async t => {
  const node = new Node()
  const life = await node.start()
  const [first, second] = await Promise.all([
    life.channel.autoCreate(['clicks', '__consumer_offsets']),
    life.channel.autoCreate(['clicks'])
  ])
  t.strictSame(
    [...first],
    [
      ['clicks', 0],
      ['__consumer_offsets', 0]
    ]
  )
  t.strictSame([...second], [['clicks', 0]])
  t.equal(life.image.topicsByName.get('__consumer_offsets')?.partitions.length, 50)
  await life.stop()
})
