// Three brokers' worth of partitions, followers and leaders, on disks that lose what was not synced.
import assert from 'node:assert/strict'
import { test } from 'tap'
import { onDeleteRecords } from '../../broker/handlers/delete-records.ts'
import { onDescribeTopicPartitions } from '../../broker/handlers/describe-topic-partitions.ts'
import { onFetch } from '../../broker/handlers/fetch.ts'
import { onListOffsets } from '../../broker/handlers/list-offsets.ts'
import { onOffsetForLeaderEpoch } from '../../broker/handlers/offset-for-leader-epoch.ts'
import { ErrorCode, errorName } from '../../protocol/errors.ts'
import { MoldauError } from '../../protocol/failure.ts'
import { lastOffset, sizeInBytes } from '../../protocol/records/batch.ts'
import type { ResponseOf } from '../../protocol/schema.ts'
import { recordAt } from '../../replication/metadata/records.ts'
import type { Node } from './replication-fixture.ts'
import { clusterOf, isOne } from './replication-story.ts'

test('what is acked is synced on every broker of the in-sync set', async t => {
  const cluster = await clusterOf(t)
  const [one, two, three] = cluster.nodes as [Node, Node, Node]
  t.match(await one.produce('x'), { errorCode: 0, baseOffset: 0 })
  for (const node of cluster.nodes) t.equal(node.partition().log.durableEndOffset, 1)
  two.held.path = '/a-0/'
  let acked = false
  const waiting = one.produce('y').then(reply => {
    acked = true
    return reply
  })
  await cluster.until(() => two.partition().logEndOffset === 2, 'the records come')
  await cluster.until(() => three.partition().log.durableEndOffset === 2)
  await cluster.pass(2_000)
  t.notOk(acked, 'written at broker 2, but not synced')
  t.equal(one.partition().highWatermark, 1)
  two.held.release()
  await cluster.until(() => acked)
  t.match(await waiting, { errorCode: 0, baseOffset: 1 })
  await cluster.until(() => two.partition().highWatermark === 2 && three.partition().highWatermark === 2)
  await isOne(t, cluster.nodes, 'the same bytes')
  t.notOk(two.partition().isLeader)
  t.ok(two.partition().isFollower)
})

test('consumers see what is committed, and followers that part ways count for nothing', async t => {
  const cluster = await clusterOf(t)
  const [one, two, three] = cluster.nodes as [Node, Node, Node]
  await one.produce('x')
  // Broker 2 leads in a second epoch.
  cluster.fence(1)
  cluster.unfence(1)
  await cluster.until(() => cluster.registered().isr.length === 3)
  const { leaderEpoch, leader } = cluster.registered()
  t.equal(leader, 2)
  one.held.path = '/a-0/'
  void two.produce('y')
  await cluster.until(() => three.partition().log.durableEndOffset === 2)
  const { topicId } = two.partition()
  const fetchAs = async (replicaId: number, from: number, lastFetchedEpoch = -1) => {
    const reply = await two.ask(onFetch.api, 18, {
      replicaState: { replicaId, replicaEpoch: cluster.nodes.find(each => each.id === replicaId)?.brokerEpoch ?? -1 },
      ...{ maxWaitMs: 0, minBytes: 0, maxBytes: 10_000, isolationLevel: 0 },
      topics: [
        {
          topicId,
          partitions: [
            {
              partition: 0,
              currentLeaderEpoch: leaderEpoch,
              fetchOffset: from,
              lastFetchedEpoch,
              partitionMaxBytes: 9_999
            }
          ]
        }
      ]
    })
    return reply.responses[0]?.partitions[0]
  }
  const consumer = await fetchAs(-1, 1)
  t.equal(consumer?.highWatermark, 1)
  t.equal(consumer?.records?.length ?? 0, 0, 'not committed')
  t.ok((await fetchAs(3, 1))?.records?.length, 'a follower gets it')
  t.match(await fetchAs(4, 1), { errorCode: ErrorCode.NOT_LEADER_OR_FOLLOWER }, 'no replica')
  t.match(await fetchAs(1, 2, 0), { divergingEpoch: { epoch: 0, endOffset: 1 } })
  for (let i = 0; i < 50; i++) await cluster.pass(20)
  t.equal(two.partition().highWatermark, 1, 'broker 1 claims the offset, but by another log')
  one.held.release()
  await cluster.until(() => two.partition().highWatermark === 2)
})

test('an in-sync set is proposed again when nobody knows what became of it', async t => {
  const cluster = await clusterOf(t, { set: ['replica.lag.time.max.ms=1000'] })
  const [one] = cluster.nodes as [Node]
  let failures = 0
  cluster.onAlter = () => {
    if (failures++ < 3) throw new MoldauError('ERR_TIMEOUT', 'no controller')
  }
  cluster.cuts.add('3>1')
  void one.produce('x', { acks: 1 })
  await cluster.until(() => cluster.registered().isr.length === 2)
  t.equal(failures, 4)
  await cluster.until(() => one.partition().highWatermark === 1)
  t.equal(one.lines.filter(line => line.msg === 'alter-partition-failed').length, 3)
})

test('the own sync of the leader counts as well', async t => {
  const cluster = await clusterOf(t)
  const [one, two, three] = cluster.nodes as [Node, Node, Node]
  one.held.path = '/a-0/'
  const waiting = one.produce('x')
  await cluster.until(() => two.partition().log.durableEndOffset === 1 && three.partition().log.durableEndOffset === 1)
  await cluster.pass(1_000)
  t.equal(one.partition().highWatermark, 0)
  one.held.release()
  t.match(await waiting, { errorCode: 0 })
})

test('an unsynced tail of a leader that died is cut where it was not elected, and its offsets are given anew', async t => {
  const cluster = await clusterOf(t)
  const [one, two, three] = cluster.nodes as [Node, Node, Node]
  await one.produce('kept')
  // Broker 2 gets records that 1 never syncs and 3 never sees.
  cluster.cuts.add('3>1')
  one.held.path = '/a-0/'
  for (const each of ['lost 1', 'lost 2', 'lost 3']) void one.produce(each)
  await cluster.until(() => two.partition().log.durableEndOffset === 4)
  t.equal(one.partition().highWatermark, 1)
  await one.crash()
  cluster.fence(2)
  cluster.fence(1)
  t.equal(cluster.registered().leader, 3)
  cluster.unfence(2)
  await cluster.settled()
  const waiting = three.produce('new')
  await cluster.until(() => three.partition().highWatermark === 2)
  t.match(await waiting, { errorCode: 0, baseOffset: 1 })
  await cluster.until(() => two.partition().log.durableEndOffset === 2, 'broker 2 cuts and follows')
  one.held.release()
  await cluster.restart(1)
  await cluster.until(() => one.partition().log.durableEndOffset === 2)
  await cluster.until(() => cluster.registered().isr.length === 3, 'everybody is in sync again')
  await isOne(t, cluster.nodes, 'the same bytes')
  t.strictSame(
    two.partition().log.epochs.entries.map(each => each.startOffset),
    [0, 1]
  )
  t.ok(two.lines.some(line => line.msg === 'log-cut'))
  t.notOk(two.lines.some(line => line.msg === 'log-cut-below-high-watermark'))
})

test('whoever waits for an ack hears at once that another broker leads, and which', async t => {
  const cluster = await clusterOf(t)
  const [one, two] = cluster.nodes as [Node, Node]
  two.held.path = '/a-0/'
  const waiting = one.produce('x')
  const idle = one.produce('y', { acks: 1 })
  await cluster.until(() => one.partition().logEndOffset === 2)
  t.match(await idle, { errorCode: 0 }, 'acks=1 does not wait for followers')
  cluster.fence(1)
  await cluster.settled()
  const { leader, leaderEpoch } = cluster.registered()
  t.equal(leader, 2)
  t.match(await waiting, {
    ...{ errorCode: ErrorCode.NOT_LEADER_OR_FOLLOWER, baseOffset: -1, currentLeader: { leaderId: 2, leaderEpoch } },
    nodeEndpoints: [{ nodeId: 2, host: 'host-2' }]
  })
  t.match(await one.produce('z'), { errorCode: ErrorCode.NOT_LEADER_OR_FOLLOWER, currentLeader: { leaderId: 2 } })
  two.held.release()
})

test('who goes on leading in a new epoch owes the acks of the last one', async t => {
  const cluster = await clusterOf(t)
  const [one, two] = cluster.nodes as [Node, Node]
  two.held.path = '/a-0/'
  let reply: object | null = null
  void one.produce('1').then(got => {
    reply = got
  })
  await cluster.until(() => two.partition().logEndOffset === 1)
  const { topicId } = one.partition()
  // As when a move of replicas ends.
  const again = { topicId, partitionId: 0, leader: 1 }
  cluster.decide({ records: [recordAt(cluster.on.image.metadataVersion, 'PartitionChangeRecord', again)], reply: null })
  await cluster.settled()
  await cluster.pass(100)
  t.equal(reply, null, 'not sent again: the log has it already')
  t.equal(one.partition().highWatermark, 0)
  two.held.release()
  await cluster.until(() => reply !== null)
  t.match(reply, { errorCode: 0, baseOffset: 0 })
})

test('followers leave the in-sync set when they lag, and come back; below min ISR nothing is taken', async t => {
  const cluster = await clusterOf(t, { min: 2, set: ['replica.lag.time.max.ms=1000'] })
  const [one, two, three] = cluster.nodes as [Node, Node, Node]
  await one.produce('x')
  cluster.cuts.add('3>1')
  void one.produce('y', { acks: 1 })
  await cluster.until(() => cluster.registered().isr.length === 2)
  t.strictSame(cluster.registered().isr, [1, 2])
  await cluster.until(() => one.partition().highWatermark === 2, 'the rest goes on')
  cluster.cuts.add('2>1')
  const waiting = one.produce('z', { timeoutMs: 5_000 })
  await cluster.until(() => cluster.registered().isr.length === 1)
  t.match(await one.produce('refused'), { errorCode: ErrorCode.NOT_ENOUGH_REPLICAS })
  await cluster.pass(6_000)
  t.match(await waiting, { errorCode: ErrorCode.REQUEST_TIMED_OUT }, 'appended, and perhaps committed one day')
  t.equal(one.partition().highWatermark, 2, 'nothing is committed below min ISR')
  cluster.cuts.clear()
  await cluster.until(() => cluster.registered().isr.length === 3)
  await cluster.until(() => one.partition().highWatermark === 3)
  await cluster.until(() => two.partition().highWatermark === 3 && three.partition().highWatermark === 3)
})

test('a leader that was paused does not take back what is fenced or of an earlier life (KIP-903)', async t => {
  const cluster = await clusterOf(t, { set: ['replica.lag.time.max.ms=1000'] })
  const [one, , three] = cluster.nodes as [Node, Node, Node]
  await one.produce('x')
  const old = three.brokerEpoch
  await three.crash()
  await cluster.restart(3)
  await cluster.until(() => cluster.registered().isr.length === 3)
  const { topicId } = one.partition()
  const late = (replicaEpoch: number) =>
    one.ask(onFetch.api, 18, {
      ...{ replicaState: { replicaId: 3, replicaEpoch }, maxWaitMs: 0, minBytes: 1, maxBytes: 1_000 },
      topics: [
        { topicId, partitions: [{ partition: 0, currentLeaderEpoch: 0, fetchOffset: 0, partitionMaxBytes: 99 }] }
      ]
    } as never)
  const refused = await late(old)
  t.equal(refused.responses[0]?.partitions[0]?.errorCode, ErrorCode.NOT_LEADER_OR_FOLLOWER)
  // The leader has not heard that broker 3 is gone.
  one.isDeaf = true
  await three.crash()
  cluster.fence(3)
  t.strictSame(cluster.registered().isr, [1, 2])
  await cluster.pass(600)
  t.strictSame([...(cluster.registered().isr ?? [])], [1, 2])
  one.isDeaf = false
  one.hear()
})

test('DeleteRecords waits until every live replica has followed', async t => {
  const cluster = await clusterOf(t)
  const [one, two, three] = cluster.nodes as [Node, Node, Node]
  for (const each of ['1', '2', '3']) await one.produce(each)
  await cluster.until(() => two.partition().highWatermark === 3 && three.partition().highWatermark === 3)
  cluster.cuts.add('3>1')
  for (const link of three.links) link.drop()
  let answer: ResponseOf<typeof onDeleteRecords.api> | null = null
  const topics = [{ name: 'a', partitions: [{ partitionIndex: 0, offset: 2 }] }]
  void one.ask(onDeleteRecords.api, 2, { topics, timeoutMs: 20_000 }).then(reply => {
    answer = reply
  })
  await cluster.until(() => two.partition().logStartOffset === 2, 'followers hear of it at once', 100)
  await cluster.pass(100)
  t.equal(answer, null)
  cluster.cuts.clear()
  await cluster.until(() => answer !== null)
  t.match(answer, { topics: [{ partitions: [{ errorCode: 0, lowWatermark: 2 }] }] })
  cluster.cuts.add('3>1')
  for (const link of three.links) link.drop()
  topics[0] = { name: 'a', partitions: [{ partitionIndex: 0, offset: 3 }] }
  const late = one.ask(onDeleteRecords.api, 2, { topics, timeoutMs: 500 })
  await cluster.pass(100)
  await cluster.pass(600)
  t.match(await late, { topics: [{ partitions: [{ errorCode: ErrorCode.REQUEST_TIMED_OUT }] }] })
})

test('a new leader does not say where the log ends before its start is committed', async t => {
  const cluster = await clusterOf(t)
  const [one, two, three] = cluster.nodes as [Node, Node, Node]
  await one.produce('1')
  // The followers have the records, but not the news that they are committed.
  cluster.cuts.add('2>1').add('3>1')
  await cluster.until(() => two.partition().logEndOffset === 1 && three.partition().logEndOffset === 1)
  cluster.cuts.add('3>2').add('1>2')
  for (const each of [one, three]) for (const link of each.links) link.drop()
  t.equal(two.partition().highWatermark, 0)
  cluster.fence(1)
  await cluster.settled()
  const latest = async (timestamp: number, replicaId = -1) => {
    const partitions = [{ partitionIndex: 0, timestamp, currentLeaderEpoch: -1 }]
    const reply = await two.ask(onListOffsets.api, 9, { replicaId, topics: [{ name: 'a', partitions }] })
    return reply.topics[0]?.partitions[0]
  }
  t.match(await latest(-1), { errorCode: ErrorCode.OFFSET_NOT_AVAILABLE })
  t.match(await latest(2_000_000_000_000), { errorCode: ErrorCode.OFFSET_NOT_AVAILABLE })
  t.match(await latest(-2), { errorCode: 0, offset: 0 })
  t.match(await latest(-1, 3), { errorCode: 0, offset: 1 }, 'followers are told the end of the log')
  cluster.cuts.clear()
  await cluster.until(() => two.partition().highWatermark === 1)
  t.match(await latest(-1), { errorCode: 0, offset: 1 })
})

test('who does not lead says first that an epoch is wrong, whatever the request', async t => {
  const cluster = await clusterOf(t)
  const [one, two] = cluster.nodes as [Node, Node]
  cluster.fence(1)
  cluster.unfence(1)
  await cluster.settled()
  const { leaderEpoch, leader } = cluster.registered()
  t.equal(leader, 2)
  const { topicId } = two.partition()
  const asks: Record<string, (currentLeaderEpoch: number) => Promise<number | undefined>> = {
    fetch: async currentLeaderEpoch => {
      const partitions = [{ partition: 0, fetchOffset: 0, partitionMaxBytes: 100, currentLeaderEpoch }]
      const reply = await one.ask(onFetch.api, 13, { maxWaitMs: 0, minBytes: 0, topics: [{ topicId, partitions }] })
      return reply.responses[0]?.partitions[0]?.errorCode
    },
    listOffsets: async currentLeaderEpoch => {
      const partitions = [{ partitionIndex: 0, timestamp: -1, currentLeaderEpoch }]
      const reply = await one.ask(onListOffsets.api, 9, { replicaId: -1, topics: [{ name: 'a', partitions }] })
      return reply.topics[0]?.partitions[0]?.errorCode
    },
    offsetForLeaderEpoch: async currentLeaderEpoch => {
      const partitions = [{ partition: 0, leaderEpoch, currentLeaderEpoch }]
      const reply = await one.ask(onOffsetForLeaderEpoch.api, 4, { topics: [{ topic: 'a', partitions }] })
      return reply.topics[0]?.partitions[0]?.errorCode
    }
  }
  for (const [name, ask] of Object.entries(asks)) {
    const answer = async (epoch: number) => errorName((await ask(epoch)) ?? -1)
    t.equal(await answer(leaderEpoch - 1), 'FENCED_LEADER_EPOCH', name)
    t.equal(await answer(leaderEpoch + 1), 'UNKNOWN_LEADER_EPOCH', name)
    t.equal(await answer(leaderEpoch), 'NOT_LEADER_OR_FOLLOWER', name)
    t.equal(await answer(-1), 'NOT_LEADER_OR_FOLLOWER', name)
  }
})

test('DescribeTopicPartitions: without a leader there is none, and no error', async t => {
  const cluster = await clusterOf(t)
  const describe = async () => {
    const reply = await cluster.node(1).ask(onDescribeTopicPartitions.api, 0, { topics: [{ name: 'a' }] })
    return reply.topics[0]?.partitions
  }
  t.match(await describe(), [{ errorCode: 0, leaderId: 1, isrNodes: [1, 2, 3], offlineReplicas: [] }])
  for (const { id } of cluster.nodes) cluster.fence(id)
  await cluster.settled()
  t.match(await describe(), [{ errorCode: 0, leaderId: -1, eligibleLeaderReplicas: [3], offlineReplicas: [1, 2, 3] }])
})

test('a random run', async t => {
  const cluster = await clusterOf(t, { min: 2, set: ['replica.lag.time.max.ms=2000'] })
  let seed = 7
  const below = (limit: number): number => {
    seed = (Math.imul(seed, 1103515245) + 12345) >>> 1
    return seed % limit
  }
  const acked = new Map<number, string>()
  let next = 0
  const down = new Set<number>()
  for (let round = 0; round < 120; round++) {
    const leader = cluster.nodes.find(node => node.isUp && node.partition().isLeader)
    for (let i = below(4); leader && i > 0; i--) {
      const value = `value ${next++}`
      leader.produce(value, { timeoutMs: 2_000 }).then(reply => {
        if (reply.errorCode === 0) acked.set(reply.baseOffset as number, value)
      })
    }
    const id = 1 + below(3)
    const what = below(8)
    if (what === 0 && down.size === 0) {
      down.add(id)
      await cluster.node(id).crash()
      cluster.fence(id)
    } else if (what === 1 && down.size > 0) {
      const [each] = [...down]
      down.clear()
      await cluster.restart(each as number)
    } else if (what === 2) cluster.cuts.add(`${id}>${1 + below(3)}`)
    else if (what === 3) cluster.cuts.clear()
    else if (what === 4) for (const link of cluster.node(id).links) link.drop()
    for (let i = below(40); i > 0; i--) await cluster.pass(1 + below(20))
  }
  cluster.cuts.clear()
  for (const id of down) await cluster.restart(id)
  await cluster.until(() => cluster.registered().isr.length === 3, 'all in sync')
  const leader = cluster.node(cluster.registered().leader)
  await cluster.until(() => leader.partition().highWatermark === leader.partition().logEndOffset)
  t.match(await leader.produce('the last one'), { errorCode: 0 })
  await isOne(t, cluster.nodes, 'the same bytes')
  const values = new Map<number, string>()
  for await (const batch of leader.partition().batches(0, leader.partition().logEndOffset)) {
    for (let at = 0; at < batch.length; at += sizeInBytes(batch, at)) {
      const text = batch.subarray(at, at + sizeInBytes(batch, at)).toString('latin1')
      values.set(lastOffset(batch, at), /value \d+/.exec(text)?.[0] ?? '')
    }
  }
  for (const [offset, value] of acked) assert.equal(values.get(offset), value, `what was acked at ${offset}`)
  t.ok(acked.size > 30, `${acked.size} were acked of ${next}`)
})
