// What a coordinator finds when it starts: records in Kafka's own bytes, offsets committed inside of transactions, other
// protocols' groups, snapshots that fit and snapshots that do not, and a log whose end is not committed yet.
import { readFileSync } from 'node:fs'
import { test } from 'tap'
import { encodeRecord, type GroupRecord } from '../../../broker/groups/records.ts'
import { MoldauError } from '../../../protocol/failure.ts'
import { batchesOf } from '../../../protocol/records/batch.ts'
import { buildBatch } from '../../../protocol/records/builder.ts'
import { ZERO_UUID } from '../../../protocol/types.ts'
import { WALL_AT_START, World } from './world.ts'

const HOUR_MS = 3_600_000

function offset(group: string, topic: string, partition: number, at: number | null): GroupRecord {
  const value =
    at === null
      ? null
      : {
          offset: at,
          leaderEpoch: 0,
          metadata: '',
          commitTimestamp: WALL_AT_START,
          expireTimestamp: -1,
          topicId: ZERO_UUID
        }
  return { kind: 'offset', group, topic, partition, value }
}

function batchOf(records: readonly GroupRecord[], producerId?: number): Buffer {
  const drafts = records.map(record => ({ timestamp: WALL_AT_START, ...encodeRecord(record) }))
  if (producerId === undefined) return buildBatch({ partitionLeaderEpoch: 1, records: drafts })
  return buildBatch({
    partitionLeaderEpoch: 1,
    records: drafts,
    producerId,
    producerEpoch: 0,
    baseSequence: 0,
    transactional: true
  })
}

/** The marker that ends a transaction: key = int16 version, int16 type; value = int16 version, int32 coordinator epoch. */
function marker(producerId: number, commits: boolean): Buffer {
  const records = [
    { timestamp: WALL_AT_START, key: Buffer.from([0, 0, 0, commits ? 1 : 0]), value: Buffer.from([0, 0, 0, 0, 0, 0]) }
  ]
  return buildBatch({
    partitionLeaderEpoch: 1,
    records,
    producerId,
    producerEpoch: 0,
    transactional: true,
    control: true
  })
}

async function offsetsOf(world: World, groupId: string, requireStable = false): Promise<string> {
  const fetched = world.coordinator.fetchOffsets({ groupId, topics: null, requireStable })
  await world.clock.settle()
  const { errorCode, reply } = await fetched
  if (!reply) return `error ${errorCode}`
  return reply
    .flatMap(({ name, partitions }) =>
      partitions.map(each => `${name}:${each.partitionIndex}=${each.errorCode || each.committedOffset}`)
    )
    .join(' ')
}

async function commit(world: World, groupId: string, partition: number, committedOffset: number): Promise<number> {
  const partitions = [{ partitionIndex: partition, committedOffset, committedLeaderEpoch: 0, committedMetadata: null }]
  const done = world.coordinator.commitOffsets(
    {
      groupId,
      generationIdOrMemberEpoch: -1,
      memberId: '',
      groupInstanceId: null,
      retentionTimeMs: -1,
      topics: [{ name: 't', topicId: ZERO_UUID, partitions }]
    },
    9
  )
  await world.clock.settle()
  return (await done).errorCode
}

async function worldOn(batches: readonly Buffer[]): Promise<World> {
  const world = new World()
  for (const batch of batches) world.logs[0]?.append(batch)
  world.logs[0]?.commit()
  await world.clock.settle()
  await world.start()
  return world
}

test('offsets committed in transactions count from the commit marker on', async t => {
  const world = await worldOn([
    batchOf([offset('g', 't', 0, 1)]),
    batchOf([offset('g', 't', 0, 10), offset('g', 't', 1, 11)], 5),
    batchOf([offset('g', 't', 2, 12)], 6),
    batchOf([offset('g', 't', 3, 13)], 7),
    batchOf([offset('g', 't', 1, 99)]),
    marker(5, true),
    marker(6, false)
  ])
  t.equal(await offsetsOf(world, 'g'), 't:0=10 t:1=99', 'committed; overtaken by a later commit; aborted; open')
  const topics = [{ name: 't', topicId: ZERO_UUID, partitionIndexes: [3, 0] }]
  const fetched = world.coordinator.fetchOffsets({ groupId: 'g', topics, requireStable: true })
  await world.clock.settle()
  t.match((await fetched).reply, [
    {
      partitions: [
        { partitionIndex: 3, errorCode: 88 },
        { partitionIndex: 0, errorCode: 0 }
      ]
    }
  ])
})

test('partitions of __consumer_offsets as Apache Kafka left them', async t => {
  const lines = readFileSync('test/golden/consumer-offsets-logs.jsonl', 'utf8').trim().split('\n')
  for (const { partition, log, groups } of lines.map(line => JSON.parse(line))) {
    const bytes = Buffer.from(log, 'hex')
    const positions = [...batchesOf(bytes)]
    const world = await worldOn(positions.map((at, i) => bytes.subarray(at, positions[i + 1])))
    for (const [groupId, { type, offsets }] of Object.entries<{ type: string; offsets: object }>(groups)) {
      const expected = Object.entries(offsets).map(([at, offset]) => `${at.replace(/-(?=\d+$)/, ':')}=${offset}`)
      t.equal(await offsetsOf(world, groupId), expected.join(' '), `${partition}: offsets of ${groupId}`)
      const [described] = world.coordinator.describeGroups([groupId], 5)
      t.equal(described?.groupState, type === 'Classic' ? 'Empty' : 'Dead', `${groupId} is a ${type} group`)
    }
  }
})

test('groups of other protocols are warned of, and refused', async t => {
  const world = new World()
  const head = buildBatch({
    partitionLeaderEpoch: 1,
    records: [{ timestamp: 0, key: Buffer.from([0, 11, 0, 1, 115]), value: Buffer.from([0, 0, 0, 0, 0, 1, 0]) }]
  })
  world.logs[0]?.append(head)
  world.logs[0]?.append(batchOf([offset('s', 't', 0, 4)]))
  world.logs[0]?.commit()
  await world.start()
  t.match(
    world.lines.map(each => each.message),
    [/group s uses the share protocol/, 'groups loaded']
  )
  const join = {
    groupId: 's',
    sessionTimeoutMs: 10_000,
    rebalanceTimeoutMs: 1,
    memberId: '',
    groupInstanceId: null,
    protocolType: 'consumer',
    protocols: [],
    reason: null
  }
  t.match(await world.coordinator.joinGroup(join, { clientId: '', clientHost: '', apiVersion: 9 }), { errorCode: 23 })
  t.equal(await commit(world, 's', 0, 1), 69)
  t.match(world.coordinator.describeGroups(['s'], 6), [
    { errorCode: 69, errorMessage: 'Group s is not a classic group.' }
  ])
  t.match(world.coordinator.listGroups({ statesFilter: [], typesFilter: [] }), { groups: [] })
  t.match(await world.coordinator.deleteGroups(['s']), [{ errorCode: 69 }])
  await world.clock.advance(30 * 24 * HOUR_MS)
  t.equal(await offsetsOf(world, 's'), 't:0=4', 'its offsets do not expire here')
})

test('while it loads, and until the end of its log is committed', async t => {
  const world = new World()
  const [log] = world.logs
  if (!log) return
  log.isHeld = true
  log.append(batchOf([offset('g', 't', 0, 1), offset('g', 'u', 0, 1)]))
  const loaded = world.coordinator.electPartition(0, log.lead())
  await world.clock.settle()
  t.equal(await commit(world, 'g', 0, 2), 14)
  t.equal(await offsetsOf(world, 'g'), 'error 14')
  t.match(
    await world.coordinator.heartbeat({ groupId: 'g', generationId: 1, memberId: 'm', groupInstanceId: null }),
    { errorCode: 0 },
    'nothing to worry about'
  )
  t.match(world.coordinator.listGroups({ statesFilter: [], typesFilter: [] }), { errorCode: 14 })
  await world.coordinator.forgetTopics([{ name: 'u', topicId: 'deleted' }])
  log.isHeld = false
  log.commit()
  await loaded
  await world.clock.settle()
  t.equal(await offsetsOf(world, 'g'), 't:0=1', 'without those of a topic that was deleted meanwhile')
  world.coordinator.resignPartition(0)
  t.equal(await offsetsOf(world, 'g'), 'error 16')
})

test('a log that cannot be read: nobody is answered wrongly', async t => {
  const world = new World()
  const [log] = world.logs
  if (!log) return
  const bad = batchOf([offset('g', 't', 0, 1)])
  bad.writeUInt8(0xff, bad.length - 20)
  bad.writeInt32BE(9, 57)
  log.append(bad)
  log.commit()
  await world.start()
  t.match(world.lines, [{ message: 'groups could not be loaded' }])
  t.equal(await offsetsOf(world, 'g'), 'error 16')
})

test('a snapshot is used where it fits', async t => {
  const world = await worldOn([])
  for (let i = 0; i < 30; i++) await commit(world, `g${i}`, 0, i)
  await world.restart('clean')
  t.match(world.lines.at(-1), { message: 'groups loaded', data: { snapshotOffset: 30, records: 0 } })
  await commit(world, 'g0', 0, 100)
  await commit(world, 'g1', 1, 101)
  await world.restart('crash')
  t.match(world.lines.at(-1), { data: { snapshotOffset: 30, records: 2 } }, 'the log behind it is replayed')
  t.equal(await offsetsOf(world, 'g0'), 't:0=100')
  t.equal(await offsetsOf(world, 'g1'), 't:0=1 t:1=101')
  t.equal(await offsetsOf(world, 'g29'), 't:0=29')
})

test('a snapshot that does not fit is as good as none', async t => {
  const start = async (spoil: (world: World) => unknown): Promise<World> => {
    const world = await worldOn([])
    await commit(world, 'g', 0, 1)
    await world.restart('clean')
    await commit(world, 'g', 0, 2)
    await spoil(world)
    world.lines.length = 0
    await world.restart('crash')
    return world
  }
  const used = (world: World): unknown =>
    world.lines.find(each => each.message === 'groups loaded')?.data.snapshotOffset
  t.equal(used(await start(() => {})), 1, 'left alone it is used')
  const shorter = await start(world => world.logs[0]?.batches.splice(0))
  t.equal(used(shorter), undefined, 'the log is shorter')
  t.equal(await offsetsOf(shorter, 'g'), '')
  const other = await start(world => world.logs[0]?.batches[0]?.writeInt32BE(77, 12))
  t.equal(used(other), -1, 'another epoch stands at its end')
  t.equal(await offsetsOf(other, 'g'), 't:0=2')
  const old = await start(world => world.clock.advance(13 * HOUR_MS))
  t.equal(used(old), -1, 'older than tombstones are sure to live')
  const tombstonesFor = (ms: number, ageMs: number) => (world: World) => {
    for (const log of world.logs) log.deleteRetentionMs = ms
    return world.clock.advance(ageMs)
  }
  t.equal(used(await start(tombstonesFor(120_002, 60_000))), 1, 'they live for more than twice its age')
  t.equal(used(await start(tombstonesFor(120_000, 60_000))), -1, 'they do not')
  t.equal(used(await start(tombstonesFor(0, 0))), -1, 'nor at all')
  const head = (world: World): { slot: number; stamp: string; format: number; groups: unknown[] } =>
    world.snapshots.entries.get('groups/0') as { slot: number; stamp: string; format: number; groups: unknown[] }
  const torn = await start(world => world.snapshots.entries.delete(`groups/0/${head(world).slot}/0`))
  t.equal(used(torn), -1, 'a part is missing')
  const mixed = await start(world => {
    const part = world.snapshots.entries.get(`groups/0/${head(world).slot}/0`) as { stamp: string; groups: [string][] }
    part.stamp = 'of another'
    for (const group of part.groups) group[0] = 'ghost'
  })
  t.equal(used(mixed), -1, 'a part is of another snapshot')
  t.equal(await offsetsOf(mixed, 'ghost'), '')
  t.equal(used(await start(world => (head(world).format = 9))), -1, 'a later format')
  t.equal(used(await start(world => world.snapshots.entries.set('groups/0', 'rubbish'))), -1)
})

test('a snapshot is written now and then, and never of what is not committed', async t => {
  const world = await worldOn([])
  const [log] = world.logs
  if (!log) return
  for (let i = 0; i < 1_000; i++) await commit(world, `g${i % 7}`, i % 5, i)
  t.match(world.snapshots.entries.get('groups/0'), { offset: 1_000 - 1, endOffset: 1_000 }, 'after a thousand records')
  log.isHeld = true
  for (let i = 0; i < 1_000; i++) void commit(world, 'h', 0, 5_000 + i)
  await world.clock.settle()
  await world.restart('crash')
  log.isHeld = false
  t.equal(await offsetsOf(world, 'h'), '')
  t.match(world.snapshots.entries.get('groups/0'), { endOffset: 1_000 })
})

test('when the disk fails nobody waits, nor does a stop for a snapshot of what will not be committed', async t => {
  const world = await worldOn([])
  const [log] = world.logs
  if (!log) return
  log.isHeld = true
  const codes: Promise<number>[] = []
  for (let i = 0; i < 1_001; i++) codes.push(commit(world, 'g', 0, i))
  await world.clock.settle()
  let isOver = false
  world.coordinator.storageFailed()
  t.strictSame([...new Set(await Promise.all(codes))], [16])
  t.equal(await offsetsOf(world, 'g', true), 'error 16')
  void world.coordinator.close().then(() => {
    isOver = true
  })
  await world.clock.settle()
  t.ok(isOver)
})

test('thousands of offsets of one group are deleted in batches', async t => {
  const partitions = Array.from({ length: 5_000 }, (_, i) => offset('g', 't', i, i))
  const world = await worldOn([batchOf(partitions)])
  const deleted = world.coordinator.deleteGroups(['g'])
  await world.clock.settle()
  t.match(await deleted, [{ groupId: 'g', errorCode: 0 }])
  t.equal(world.logs[0]?.batches.length, 1 + 3)
  await world.restart('crash')
  t.equal(await offsetsOf(world, 'g'), '')
})

test('nothing is left to wake for when nobody is there', async t => {
  const world = await worldOn([])
  t.equal(world.clock.timerCount, 1, 'the look-out for expired offsets')
  const closed = world.coordinator.close()
  await world.clock.settle()
  await closed
  t.equal(world.clock.timerCount, 0)
  t.equal(await offsetsOf(world, 'g'), 'error 15')
})

test('a member has left when that is committed: where it cannot be, the reply says so', async t => {
  for (const fate of ['refused', 'resigned', 'stored'] as const) {
    const world = new World()
    world.settings.initialRebalanceDelayMs = 0
    await world.start()
    const log = world.logs[0]!
    const client = { clientId: 'c', clientHost: '/h', apiVersion: 3 }
    const request = {
      groupId: 'g',
      sessionTimeoutMs: 10_000,
      rebalanceTimeoutMs: 10_000,
      memberId: '',
      groupInstanceId: null,
      protocolType: 'consumer',
      protocols: [{ name: 'range', metadata: Buffer.alloc(0) }],
      reason: null
    }
    const joining = world.coordinator.joinGroup(request, client)
    await world.clock.advance(10)
    const { memberId, generationId } = await joining
    const assignments = [{ memberId, assignment: Buffer.from('a') }]
    const member = {
      groupId: 'g',
      memberId,
      generationId,
      groupInstanceId: null,
      protocolType: null,
      protocolName: null
    }
    const syncing = world.coordinator.syncGroup({ ...member, assignments })
    await world.clock.settle()
    t.equal((await syncing).errorCode, 0)
    if (fate === 'refused') log.failAppends = new MoldauError('ERR_LOG_OFFLINE', 'full')
    else log.isHeld = true
    const leaving = world.coordinator.leaveGroup('g', [{ memberId, groupInstanceId: null, reason: null }])
    await world.clock.settle()
    if (fate === 'resigned') world.coordinator.resignPartition(0)
    else log.commit()
    await world.clock.settle()
    t.equal((await leaving).errorCode, fate === 'stored' ? 0 : 16, fate)
  }
})
