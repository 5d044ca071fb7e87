// Groups move from broker to broker: followers keep up with what is committed, an elected one answers as soon as its
// log's end is committed, one that lost its leadership answers whoever waits and takes back what was not committed. By
// hand, then at random: what was acknowledged is told by every later coordinator, and nothing that was rolled back is.
import assert from 'node:assert/strict'
import fc from 'fast-check'
import { test } from 'tap'
import { errorName } from '../../../protocol/errors.ts'
import { lastOffset } from '../../../protocol/records/batch.ts'
import { ZERO_UUID } from '../../../protocol/types.ts'
import { type MemoryLog, SimulatedClock, World } from './world.ts'

/** Brokers with a replica each of one partition. */
class Cluster {
  readonly clock = new SimulatedClock()
  readonly brokers: readonly World[]
  leader = 0
  epoch = 0

  constructor(count = 3) {
    this.brokers = Array.from({ length: count }, () => new World(1, this.clock))
    for (const { log } of this.all()) log.isHeld = true
  }

  *all(): Generator<{ id: number; world: World; log: MemoryLog }> {
    for (const [id, world] of this.brokers.entries()) yield { id, world, log: world.logs[0] as MemoryLog }
  }

  log(id: number): MemoryLog {
    return this.brokers[id]?.logs[0] ?? assert.fail('no broker')
  }

  coordinator(id: number) {
    return this.brokers[id]?.coordinator ?? assert.fail('no broker')
  }

  /** The others follow it from now on: what they have beyond it is cut off. Does not wait for anything. */
  elect(id: number): void {
    this.leader = id
    this.epoch++
    for (const { id: each, world, log } of this.all()) {
      log.leaderEpoch = this.epoch - 1
      if (each === id) void world.coordinator.electPartition(0, log.lead())
      else this.#follow(each)
    }
  }

  #follow(id: number): void {
    const [log, leading] = [this.log(id), this.log(this.leader)]
    this.coordinator(id).resignPartition(0)
    const same = log.batches.findIndex((batch, at) => !leading.batches[at]?.equals(batch))
    if (same >= 0) log.batches.splice(same)
    log.highWatermark = Math.min(log.highWatermark, log.logEndOffset)
    log.leaderEpoch = this.epoch - 1
    this.coordinator(id).followPartition(0, log.lead())
  }

  /** The process dies and comes back: what it had applied is gone. */
  async reboot(id: number): Promise<void> {
    const world = this.brokers[id] as World
    world.coordinator.dropPartition(0)
    world.reboot()
    if (id === this.leader) this.elect(id)
    else this.#follow(id)
    await this.clock.settle()
  }

  /** A follower fetches: all that the leader has, and its high watermark. */
  fetch(id: number): void {
    const [log, leading] = [this.log(id), this.log(this.leader)]
    for (const batch of leading.batches.slice(log.batches.length)) log.batches.push(Buffer.from(batch))
    log.commit(leading.highWatermark)
  }

  /** Committed is what these have. */
  commit(members: readonly number[] = this.brokers.map((_, id) => id)): void {
    this.log(this.leader).commit(Math.min(...members.map(id => this.log(id).logEndOffset)))
  }

  /** Everything reaches everybody. */
  async spread(): Promise<void> {
    for (let round = 0; round < 2; round++) {
      for (const { id } of this.all()) if (id !== this.leader) this.fetch(id)
      this.commit()
      await this.clock.settle()
    }
  }
}

function commit(on: Cluster, id: number, group: string, partition: number, committedOffset: number) {
  const partitions = [{ partitionIndex: partition, committedOffset, committedLeaderEpoch: 0, committedMetadata: null }]
  const request = {
    ...{ groupId: group, generationIdOrMemberEpoch: -1, memberId: '', groupInstanceId: null, retentionTimeMs: -1 },
    topics: [{ name: 't', topicId: ZERO_UUID, partitions }]
  }
  return on.coordinator(id).commitOffsets(request, 9)
}

/** Null while it does not answer. */
async function fetched(on: Cluster, id: number, groupId: string): Promise<string | null> {
  await on.clock.settle()
  let shown: string | null = null
  const fetching = on.coordinator(id).fetchOffsets({ groupId, topics: null, requireStable: false })
  void fetching.then(({ errorCode, reply }) => {
    const all = (reply ?? []).flatMap(each => each.partitions)
    shown = reply
      ? all
          .map(each => `${each.partitionIndex}=${each.committedOffset}`)
          .sort()
          .join(' ')
      : errorName(errorCode)
  })
  await on.clock.settle()
  return shown
}

async function answered<T>(on: Cluster, reply: T | Promise<T>): Promise<T | null> {
  let got: T | null = null
  void Promise.resolve(reply).then(each => {
    got = each
  })
  await on.clock.settle()
  return got
}

test('a follower keeps up, and takes over at once without reading anything again', async t => {
  const on = new Cluster()
  on.elect(0)
  await on.clock.settle()
  for (let i = 0; i < 20; i++) {
    void commit(on, 0, `g${i % 3}`, i % 4, i)
    await on.spread()
  }
  t.equal(await fetched(on, 1, 'g1'), 'NOT_COORDINATOR')
  t.equal(on.coordinator(1).isCoordinatorOf('g1'), false)
  t.strictSame(on.coordinator(1).listGroups({ statesFilter: [], typesFilter: [] }), { errorCode: 0, groups: [] })
  const { reads } = on.log(1)
  t.equal(reads, 20)
  on.elect(1)
  t.equal(on.coordinator(1).isCoordinatorOf('g1'), true)
  t.equal(await fetched(on, 1, 'g1'), '0=16 1=13 2=10 3=19')
  t.equal(await fetched(on, 0, 'g1'), 'NOT_COORDINATOR')
  t.equal(on.log(1).reads, reads, 'it knew')
  on.elect(0)
  t.equal(await fetched(on, 0, 'g1'), '0=16 1=13 2=10 3=19')
  t.equal(on.log(0).reads, 0, 'nor does one that led before')
})

test('an elected one loads until its end is committed, and then tells all of it', async t => {
  const on = new Cluster()
  on.elect(0)
  await on.clock.settle()
  void commit(on, 0, 'g', 0, 1)
  await on.spread()
  const second = commit(on, 0, 'g', 0, 2)
  on.fetch(1)
  await on.clock.settle()
  on.elect(1)
  t.equal(errorName((await second).errorCode), 'NOT_COORDINATOR', 'whoever waited is told at once')
  for (const groupId of ['g', 'h']) t.equal(await fetched(on, 1, groupId), 'COORDINATOR_LOAD_IN_PROGRESS')
  on.fetch(2)
  on.commit([1, 2])
  t.equal(await fetched(on, 1, 'g'), '0=2', 'it became committed after all')
})

test('losing the leadership answers whatever is parked, at once', async t => {
  const on = new Cluster()
  on.elect(0)
  await on.clock.settle()
  const protocols = [{ name: 'range', metadata: Buffer.alloc(4) }]
  const join = (memberId: string) =>
    on.coordinator(0).joinGroup(
      {
        ...{ groupId: 'g', memberId, groupInstanceId: null, protocolType: 'consumer', protocols, reason: null },
        ...{
          sessionTimeoutMs: 10_000,
          rebalanceTimeoutMs: 10_000,
          requiresKnownMemberId: false,
          supportsSkippingAssignment: true
        }
      },
      { clientId: 'c', clientHost: '/', apiVersion: 3 }
    )
  const joining = join('')
  t.equal(await answered(on, joining), null, 'parked')
  const write = commit(on, 0, 'other', 0, 1)
  t.equal(await answered(on, write), null)
  on.elect(1)
  t.equal(errorName((await joining).errorCode), 'NOT_COORDINATOR')
  t.equal(errorName((await write).errorCode), 'NOT_COORDINATOR')
  const beat = on.coordinator(0).heartbeat({ groupId: 'g', generationId: 1, memberId: 'm', groupInstanceId: null })
  t.equal(errorName((await answered(on, beat))?.errorCode ?? 0), 'NOT_COORDINATOR')
  await on.clock.settle()
  t.equal(await fetched(on, 1, 'other'), '')
  t.equal(on.clock.timerCount - on.brokers.length < 2, true, 'no timer of the old reign is left')
})

test('an election that is overtaken ends, too', async t => {
  const on = new Cluster()
  on.elect(0)
  await on.clock.settle()
  void commit(on, 0, 'g', 0, 1)
  const loading = on.coordinator(0).electPartition(0, on.log(0).lead())
  t.equal(
    await answered(
      on,
      loading.then(() => 'over')
    ),
    null
  )
  on.elect(1)
  t.equal(
    await answered(
      on,
      loading.then(() => 'over')
    ),
    'over'
  )
  t.equal(await fetched(on, 0, 'g'), 'NOT_COORDINATOR')
})

test('what was not committed is taken back', async t => {
  const on = new Cluster()
  on.elect(0)
  await on.clock.settle()
  void commit(on, 0, 'g', 0, 1)
  await on.spread()
  void commit(on, 0, 'g', 0, 666)
  void commit(on, 0, 'ghost', 0, 666)
  await on.clock.settle()
  on.elect(1)
  await on.clock.settle()
  void commit(on, 1, 'g', 1, 7)
  await on.spread()
  on.elect(0)
  t.equal(await fetched(on, 0, 'g'), '0=1 1=7')
  t.equal(await fetched(on, 0, 'ghost'), '')
  t.equal(on.log(0).reads, 1, 'only what is new was read')
})

test('a log that was cut below what was applied, or is another one, is read again', async t => {
  const on = new Cluster(2)
  on.elect(0)
  await on.clock.settle()
  for (const value of [1, 2, 3]) void commit(on, 0, 'g', 0, value)
  await on.spread()
  const cut = on.log(1)
  cut.batches.splice(1)
  cut.highWatermark = cut.logEndOffset
  on.brokers[0]?.coordinator.dropPartition(0)
  on.elect(1)
  await on.clock.settle()
  t.equal(await fetched(on, 1, 'g'), '0=1', 'an unclean election: the truth is what the leader has')
  t.ok(on.brokers[1]?.lines.some(each => each.message === 'groups are read again'))
  void commit(on, 1, 'g', 0, 9)
  on.log(1).commit()
  await on.clock.settle()
  t.equal(await fetched(on, 1, 'g'), '0=9')
  const other = on.log(1)
  other.topicId = 'BAAAAAAAAAAAAAAAAAAAAQ'
  other.batches = other.batches.slice(0, 1)
  other.highWatermark = 1
  on.elect(1)
  t.equal(await fetched(on, 1, 'g'), '0=1', 'another topic of that name')
})

test('a follower writes snapshots too, so that it starts quickly', async t => {
  const on = new Cluster(2)
  on.elect(0)
  await on.clock.settle()
  for (let i = 0; i < 1_100; i++) {
    void commit(on, 0, `g${i % 7}`, i % 3, i)
    if (i % 50 === 49) await on.spread()
  }
  await on.spread()
  t.ok(on.brokers[1]?.snapshots.entries.has('groups/0'))
  on.log(1).reads = 0
  await on.reboot(1)
  t.ok(on.log(1).reads < 200, `${on.log(1).reads} batches read`)
  on.elect(1)
  t.equal(
    await fetched(on, 1, 'g0'),
    await (async () => {
      on.elect(0)
      return await fetched(on, 0, 'g0')
    })()
  )
})

interface Move {
  readonly what: number
  readonly who: number
  readonly key: number
}

async function simulate(moves: readonly Move[]): Promise<void> {
  const on = new Cluster()
  on.elect(0)
  await on.clock.settle()
  const acked = new Map<string, number>()
  /** What was tried and not refused for sure, newest last. */
  const tried = new Map<string, number[]>()
  let next = 1
  const show = async () => {
    for (const key of ['0', '1', '2', '3']) {
      const group = `g${Number(key) % 2}`
      const told = await fetched(on, on.leader, group)
      if (told === null || told === 'COORDINATOR_LOAD_IN_PROGRESS') continue
      assert.notEqual(told, 'NOT_COORDINATOR')
      const value = Number(
        told
          .split(' ')
          .find(each => each.startsWith(`${key}=`))
          ?.slice(2) ?? 0
      )
      assert.ok(value >= (acked.get(key) ?? 0), `${key}: ${acked.get(key)} was acknowledged, ${value} is told`)
      assert.ok(value === 0 || tried.get(key)?.includes(value), `${key}: nobody committed ${value}`)
      const { highWatermark, batches } = on.log(on.leader)
      const isStored =
        value === 0 || batches.some(each => lastOffset(each, 0) < highWatermark && each.includes(bytesOf(value)))
      assert.ok(isStored, `${key}: ${value} is told and not committed`)
    }
  }
  for (const { what, who, key } of moves) {
    if (what < 3) {
      const value = next++
      const name = String(key)
      tried.set(name, [...(tried.get(name) ?? []), value])
      void commit(on, on.leader, `g${key % 2}`, key, value).then(({ errorCode }) => {
        if (errorCode === 0) acked.set(name, Math.max(acked.get(name) ?? 0, value))
      })
    } else if (what < 6) {
      if (who !== on.leader) on.fetch(who)
    } else if (what < 8) on.commit()
    else if (what === 8) {
      // Only who has everything that is committed may lead.
      if (on.log(who).logEndOffset >= on.log(on.leader).highWatermark) on.elect(who)
    } else if (what === 9) await on.reboot(who)
    else if (what === 10) await on.clock.settle()
    else await show()
  }
  await on.spread()
  for (const { id } of on.all()) {
    on.elect(id)
    await on.spread()
    await show()
  }
}

/** As it stands in an OffsetCommitValue. */
function bytesOf(value: number): Buffer {
  const bytes = Buffer.alloc(8)
  bytes.writeBigInt64BE(BigInt(value))
  return bytes
}

test('at random: what was acknowledged is told by whoever leads, and nothing that was rolled back', async t => {
  const move = fc.record({ what: fc.nat(11), who: fc.nat(2), key: fc.nat(3) })
  await fc.assert(
    fc.asyncProperty(fc.array(move, { minLength: 10, maxLength: 60, size: 'max' }), moves => simulate(moves)),
    { numRuns: 120 }
  )
  t.pass('120 runs')
})
