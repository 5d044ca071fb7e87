// How followers fetch: slow, spoilt and damaged files, sessions, retention at the leader, new reigns.
import { test } from 'tap'
import { previousBrokerEpoch } from '../../broker/broker-epoch.ts'
import { onDeleteRecords } from '../../broker/handlers/delete-records.ts'
import { onFetch } from '../../broker/handlers/fetch.ts'
import { MoldauError } from '../../protocol/failure.ts'
import type { ResponseOf } from '../../protocol/schema.ts'
import { batchOf, type Node, RESERVE_BYTES } from './replication-fixture.ts'
import { clusterOf, isOne } from './replication-story.ts'

test('one slow disk file holds back its own partition only', async t => {
  const cluster = await clusterOf(t, { partitions: 3, set: ['replica.lag.time.max.ms=5000'] })
  const [one, two] = cluster.nodes as [Node, Node]
  two.held.path = '/a-0/'
  void one.produce('slow', { index: 0 })
  await cluster.until(() => two.partition(0).logEndOffset === 1)
  for (let i = 0; i < 5; i++) {
    const reply = one.produce(`quick ${i}`, { index: 1 })
    let acked = false
    void reply.then(() => {
      acked = true
    })
    await cluster.until(() => acked, 'partition 1 waits for partition 0', 200)
    t.match(await reply, { errorCode: 0, baseOffset: i })
  }
  t.equal(one.partition(0).highWatermark, 0)
  two.held.release()
  await cluster.until(() => one.partition(0).highWatermark === 1)
})

test('a follower whose disk is below its reserve takes no more of what clients write, and comes back', async t => {
  const cluster = await clusterOf(t, { set: ['replica.lag.time.max.ms=5000'] })
  const [one, two, three] = cluster.nodes as [Node, Node, Node]
  await cluster.create('__consumer_offsets', [[1, 2, 3]])
  t.match(await one.produce('before'), { errorCode: 0 })
  const wholeBytes = two.disk.totalBytes
  two.disk.totalBytes = RESERVE_BYTES
  await two.catalog.diskSpace.check()
  const acked = Promise.all(Array.from({ length: 50 }, () => one.produce('x'.repeat(2000))))
  one.partition(0, '__consumer_offsets').append(batchOf('a commit of a group'))
  await cluster.until(() => two.partition(0, '__consumer_offsets').highWatermark === 1, 'group commits go on')
  await cluster.until(() => !cluster.registered().isr.includes(2), 'it falls out by its lag')
  t.ok((await acked).every(each => each.errorCode === 0))
  t.equal(two.partition().logEndOffset, 1)
  t.same(cluster.registered('__consumer_offsets').isr, [1, 2, 3])
  t.notOk(two.partition().log.isOffline)
  const upto = async (offset: number) => {
    const topics = [{ name: 'a', partitions: [{ partitionIndex: 0, offset }] }]
    let reply: ResponseOf<typeof onDeleteRecords.api> | null = null
    void one.ask(onDeleteRecords.api, 2, { topics, timeoutMs: 5_000 }).then(answer => {
      reply = answer
    })
    await cluster.until(() => reply !== null, 'deletion goes on, or no disk is ever freed')
    t.match(reply, { topics: [{ partitions: [{ errorCode: 0, lowWatermark: offset }] }] })
    t.equal(two.partition().logStartOffset, offset)
  }
  await upto(1)
  await upto(30)
  cluster.requests.length = 0
  for (let i = 0; i < 200; i++) await cluster.pass(50)
  const asked = cluster.requests.filter(each => each.from === 2).map(each => each.request as never as FetchSent)
  const named = asked.flatMap(({ topics }) => topics.flatMap(each => each.partitions))
  t.ok(named.length >= 5 && named.length <= 20, `${named.length} questions in ten seconds`)
  t.ok(named.every(each => each.partitionMaxBytes === 0))
  t.equal(two.partition().logEndOffset, 30, 'and takes nothing')
  two.disk.totalBytes = wholeBytes
  await cluster.until(() => cluster.registered().isr.includes(2), 'it comes back by itself')
  await isOne(t, [one, two, three], 'one log')
})

test('many partitions share a fetch, and requests name only what changed', async t => {
  const cluster = await clusterOf(t, { partitions: 40 })
  const [one, two] = cluster.nodes as [Node, Node]
  await Promise.all(Array.from({ length: 40 }, (_, index) => one.produce('x'.repeat(100), { index })))
  await cluster.pass(1_000)
  await cluster.pass(1_000)
  cluster.requests.length = 0
  await one.produce('one', { index: 7 })
  await cluster.until(() => two.partition(7).log.durableEndOffset === 2)
  await cluster.until(() => two.partition(7).highWatermark === 2)
  const fetches = cluster.requests.filter(each => each.from === 2).map(each => each.request as never as FetchSent)
  t.ok(fetches.length <= 4, `${fetches.length} fetches for one append`)
  t.ok(fetches.every(each => each.sessionId > 0 && each.sessionEpoch > 0))
  t.ok(fetches.every(each => (each.topics[0]?.partitions ?? []).every(one => one.partition === 7)))
})

test('num.replica.fetchers: so many connections to a leader, each with its share of the partitions', async t => {
  const cluster = await clusterOf(t, { partitions: 5, set: ['num.replica.fetchers=2'] })
  const [one, two] = cluster.nodes as [Node, Node]
  await Promise.all([0, 1, 2, 3, 4].map(index => one.produce('x', { index })))
  t.equal([...two.links].length, 2)
  const shares = new Set<string>()
  for (const { from, request } of cluster.requests) {
    const asked = (request as FetchSent).topics?.flatMap(each => each.partitions.map(one => one.partition % 2)) ?? []
    if (from === 2 && asked.length > 0) shares.add([...new Set(asked)].join())
  }
  t.same([...shares].sort(), ['0', '1'], 'no fetch names partitions of both')
})

interface FetchSent {
  readonly sessionId: number
  readonly sessionEpoch: number
  readonly topics: readonly {
    readonly partitions: readonly { readonly partition: number; readonly partitionMaxBytes: number }[]
  }[]
}

test('an answer that takes too long for its size gets more time', async t => {
  const cluster = await clusterOf(t)
  const [one, two] = cluster.nodes as [Node, Node]
  const { onWire } = cluster
  const limits = (): number[] => cluster.requests.filter(each => each.from === 2).map(each => each.limitMs)
  await cluster.until(() => limits().length > 2)
  const [usual] = limits() as [number]
  cluster.onWire = (api, reply) => {
    if ((limits().at(-1) as number) < 2 * usual) throw new MoldauError('ERR_TIMEOUT', 'ten megabytes a minute')
    return onWire(api, reply)
  }
  void one.produce('large')
  await cluster.until(() => two.partition().logEndOffset === 1, 'it is asked for again and again')
  t.ok(Math.max(...limits()) <= 15_000, 'a leader that is gone is given up all the same')
  cluster.requests.length = 0
  cluster.onWire = onWire
  await cluster.until(() => limits().length > 2)
  t.equal(limits().at(-1), usual)
})

test('a batch that the network has spoilt is fetched again, not kept', async t => {
  const cluster = await clusterOf(t)
  const [one, two] = cluster.nodes as [Node, Node]
  let spoilt = 0
  cluster.onWire = (api, reply) => {
    if (api.key !== onFetch.api.key || spoilt === 3) return reply
    for (const { partitions } of (reply as never as ResponseOf<typeof onFetch.api>).responses) {
      for (const { records } of partitions) {
        if (!records || records.length === 0) continue
        spoilt++
        records[70] = (records[70] as number) ^ 1
      }
    }
    return reply
  }
  const waiting = one.produce('whole')
  await cluster.until(() => one.partition().highWatermark === 1)
  t.match(await waiting, { errorCode: 0 })
  t.equal(spoilt, 3)
  await isOne(t, cluster.nodes, 'the same bytes')
  t.ok(cluster.nodes.some(node => node.lines.some(line => line.msg === 'fetched-records-refused')))
  t.equal(two.partition().log.isOffline, false)
})

test("a follower that was away for longer than the records were kept begins at the leader's start", async t => {
  const cluster = await clusterOf(t)
  const [one, , three] = cluster.nodes as [Node, Node, Node]
  await one.produce('1')
  await three.crash()
  cluster.fence(3)
  const whole = one.ask(onFetch.api, 12, { topics: [] } as never)
  await whole
  const four = { name: 'a', partitionData: [{ index: 0, records: batchOf('2', '3', '4', '5') }] }
  const { onProduce } = await import('../../broker/handlers/produce.ts')
  void one.ask(onProduce.api, 12, { acks: -1, timeoutMs: 30_000, topicData: [four] })
  await cluster.until(() => one.partition().highWatermark === 5)
  // Into the middle of the batch 1..4.
  const deleted = one.ask(onDeleteRecords.api, 2, {
    topics: [{ name: 'a', partitions: [{ partitionIndex: 0, offset: 3 }] }],
    timeoutMs: 5_000
  })
  await cluster.until(() => cluster.node(2).partition().logStartOffset === 3)
  t.match((await deleted).topics[0]?.partitions[0], { errorCode: 0, lowWatermark: 3 })
  await cluster.restart(3)
  await cluster.until(() => three.partition().logEndOffset === 5)
  t.equal(three.partition().logStartOffset, 3)
  await cluster.until(() => cluster.registered().isr.length === 3)
  await one.produce('6')
  t.equal(three.partition().log.durableEndOffset, 6)
})

test('a damaged log is kept aside and fetched again, unless nobody else has the records', async t => {
  const cluster = await clusterOf(t)
  const [one, , three] = cluster.nodes as [Node, Node, Node]
  await one.produce('1')
  await one.produce('2')
  const shorten = (node: Node): void => {
    const fd = node.disk.open('/data/a-0/00000000000000000000.log', 'write')
    node.disk.ftruncate(fd, 10)
    node.disk.close(fd)
  }
  await three.stop()
  shorten(three)
  await cluster.restart(3)
  t.ok(three.lines.some(line => line.msg === 'damaged-log-fetched-again'))
  await cluster.until(() => cluster.registered().isr.length === 3)
  await isOne(t, cluster.nodes, 'the same bytes')
  t.equal((await three.disk.readdir('/data')).filter(name => name.endsWith('-stray')).length, 1)
  // Now it is the last one.
  await cluster.fence(2)
  cluster.fence(1)
  t.strictSame([cluster.registered().leader, ...cluster.registered().isr], [3, 3])
  await three.stop()
  shorten(three)
  await cluster.restart(3)
  t.throws(() => three.partition(), 'offline')
  const said = await previousBrokerEpoch(three.disk, three.catalog, true)
  t.equal(said, -1, 'the last stop was in order, and yet something is lost')
  t.equal((await three.disk.readdir('/data')).filter(name => name === 'a-0').length, 1, 'and nothing is deleted')
})

test('a follower that is told late of a new reign asks at once, though it waits at that leader for another', async t => {
  const cluster = await clusterOf(t, { set: ['replica.fetch.wait.max.ms=5000'] })
  await cluster.create('b', [[2, 1, 3]])
  const [one, two, three] = cluster.nodes as [Node, Node, Node]
  await two.produce('b', { topic: 'b' })
  await cluster.pass(100)
  // Both followers of a are waiting at broker 2 for b.
  await one.crash()
  cluster.fence(1)
  await cluster.settled()
  const reply = two.produce('a')
  let acked = false
  void reply.then(() => {
    acked = true
  })
  await cluster.until(() => acked, 'it waits for the long poll', 300)
  t.match(await reply, { errorCode: 0 })
  t.equal(three.partition().log.durableEndOffset, 1)
})
