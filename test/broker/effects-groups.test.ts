// What the settings of groups, offsets and idempotent producers do to a running broker, seen from the wire.
import { test } from 'tap'
import { ErrorCode } from '../../protocol/errors.ts'
import { describeProducers } from '../../protocol/messages/describe-producers.ts'
import { findCoordinator } from '../../protocol/messages/find-coordinator.ts'
import { joinGroup } from '../../protocol/messages/join-group.ts'
import { offsetCommit } from '../../protocol/messages/offset-commit.ts'
import { offsetFetch } from '../../protocol/messages/offset-fetch.ts'
import { until, type World, worldOf } from './broker-fixture.ts'

const MINUTE_MS = 60_000
const AT_ONCE = 'group.initial.rebalance.delay.ms=0'

/** A broker whose coordinator of group g is loaded, with a topic `t`. */
async function coordinating(t: Parameters<typeof worldOf>[0], ...set: string[]): Promise<World> {
  const world = await worldOf(t, 'offsets.topic.num.partitions=1', ...set)
  const client = await world.client()
  await until(
    async () => (await client.send(findCoordinator, 2, { key: 'g', keyType: 0 })).errorCode === 0,
    'a coordinator'
  )
  await until(async () => (await committed(world)) === -1, 'it is loaded')
  await world.create('t')
  return world
}

/** Version 3: a new member needs no id of its own first. */
async function join(world: World, sessionTimeoutMs = 10_000, memberId = '') {
  const protocols = [{ name: 'range', metadata: Buffer.alloc(0) }]
  const request = {
    groupId: 'g',
    sessionTimeoutMs,
    rebalanceTimeoutMs: 5000,
    memberId,
    protocolType: 'consumer',
    protocols
  }
  return (await world.connect()).send(joinGroup, 3, request)
}

/** Commits without a member (a simple group); gives the error code. */
async function commit(world: World, committedOffset: number, committedMetadata: string | null = null): Promise<number> {
  const topics = [{ name: 't', partitions: [{ partitionIndex: 0, committedOffset, committedMetadata }] }]
  const reply = await (await world.client()).send(offsetCommit, 8, { groupId: 'g', memberId: '', topics })
  return reply.topics[0]!.partitions[0]!.errorCode
}

/** The committed offset, once nothing newer is on its way; -1 for none, null for an error. */
async function committed(world: World): Promise<number | null> {
  const reply = await (await world.client()).send(offsetFetch, 7, {
    groupId: 'g',
    topics: [{ name: 't', partitionIndexes: [0] }],
    requireStable: true
  })
  return reply.errorCode === 0 ? (reply.topics[0]?.partitions[0]?.committedOffset ?? null) : null
}

test('group.min.session.timeout.ms and group.max.session.timeout.ms', async t => {
  const world = await coordinating(t, AT_ONCE, 'group.min.session.timeout.ms=7000', 'group.max.session.timeout.ms=8000')
  t.equal((await join(world, 6999)).errorCode, ErrorCode.INVALID_SESSION_TIMEOUT)
  t.equal((await join(world, 8001)).errorCode, ErrorCode.INVALID_SESSION_TIMEOUT)
  t.equal((await world.passing(join(world, 8000))).errorCode, 0)
})

test('group.initial.rebalance.delay.ms: an empty group waits for more members', async t => {
  const world = await coordinating(t, 'group.initial.rebalance.delay.ms=3000')
  let answered = 0
  const joins = [join(world), join(world)].map(each =>
    each.then(reply => {
      answered++
      return reply
    })
  )
  // Requests of other connections are answered meanwhile.
  for (let n = 0; n < 20; n++) await committed(world)
  world.clock.advance(2900)
  for (let n = 0; n < 20; n++) await committed(world)
  t.equal(answered, 0)
  const replies = await world.passing(Promise.all(joins), 10)
  t.same(
    replies.map(each => each.generationId),
    [1, 1],
    'one generation with both'
  )
})

test('group.max.size', async t => {
  const world = await coordinating(t, 'group.initial.rebalance.delay.ms=1000', 'group.max.size=1')
  const replies = [join(world), join(world)]
  const refused = await Promise.race(replies)
  t.equal(refused.errorCode, ErrorCode.GROUP_MAX_SIZE_REACHED)
  t.equal((await world.passing(Promise.all(replies), 10)).filter(each => each.errorCode === 0).length, 1)
})

test('offset.metadata.max.bytes', async t => {
  const world = await coordinating(t, 'offset.metadata.max.bytes=3')
  t.equal(await commit(world, 1, 'abc'), 0)
  t.equal(await commit(world, 1, 'abcd'), ErrorCode.OFFSET_METADATA_TOO_LARGE)
})

test('offsets.retention.minutes, looked at every offsets.retention.check.interval.ms', async t => {
  const world = await coordinating(t, 'offsets.retention.minutes=10', 'offsets.retention.check.interval.ms=60000')
  t.equal(await commit(world, 7), 0)
  world.clock.advance(9 * MINUTE_MS)
  for (let n = 0; n < 20; n++) t.equal(await committed(world), 7, 'not before')
  await until(async () => {
    world.clock.advance(10_000)
    return (await committed(world)) === -1
  }, 'expired')
  const ageMs = world.clock.nowMs() - 1_700_000_000_000
  t.ok(ageMs >= 10 * MINUTE_MS && ageMs < 13 * MINUTE_MS, `after ${ageMs / MINUTE_MS} minutes`)
})

test('offsets.commit.timeout.ms: a commit that is not durable in time', async t => {
  const world = await coordinating(t, 'offsets.commit.timeout.ms=5000')
  t.equal(await commit(world, 1), 0)
  const release = world.holdSyncs()
  let answered = false
  const late = commit(world, 2).finally(() => {
    answered = true
  })
  const other = await world.connect()
  for (let n = 0; n < 20; n++) await other.send(findCoordinator, 2, { key: 'g', keyType: 0 })
  t.notOk(answered)
  t.equal(await world.passing(late, 100), ErrorCode.COORDINATOR_NOT_AVAILABLE)
  release()
})

test('when the disk fails, members and commits that wait are told at once', async t => {
  const world = await coordinating(t)
  const release = world.holdSyncs()
  const joining = join(world)
  const committing = commit(world, 1)
  const fetching = committed(world)
  await until(() => world.broker.services.groups.historyOf('g').length > 0, 'a member that waits for others')
  world.mayFail = true
  world.files.fault = operation => (operation === 'fdatasync' ? 'EIO' : null)
  release()
  // Time stands still: nobody waits for a time limit.
  t.match(await joining, { errorCode: ErrorCode.NOT_COORDINATOR })
  t.equal(await committing, ErrorCode.NOT_COORDINATOR)
  t.equal(await fetching, null)
  await world.passing(world.broker.stop())
})

test('producer.id.expiration.ms, looked at every producer.id.expiration.check.interval.ms', async t => {
  const world = await worldOf(t, 'producer.id.expiration.ms=120000', 'producer.id.expiration.check.interval.ms=10000')
  await world.create('t')
  t.match(await world.produce('t', [{ value: 'v' }], { producerId: 9, producerEpoch: 0, baseSequence: 0 }), {
    errorCode: 0
  })
  const known = async () => {
    const request = { topics: [{ name: 't', partitionIndexes: [0] }] }
    return (await (await world.client()).send(describeProducers, 0, request)).topics[0]?.partitions[0]?.activeProducers
      .length
  }
  world.clock.advance(110_000)
  t.equal(await known(), 1)
  await until(async () => {
    world.clock.advance(5000)
    return (await known()) === 0
  }, 'forgotten')
  t.ok(world.clock.nowMs() - 1_700_000_000_000 < 10 * MINUTE_MS)
})
