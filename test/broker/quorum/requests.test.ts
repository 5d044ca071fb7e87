// Goal: what voters and tools ask of a member of the quorum is refused and answered as KafkaRaftClient.java does it, and
// the leader tells how far everybody is.
import { test } from 'tap'
import { QuorumServer } from '../../../broker/quorum/serve-fetch.ts'
import { type Connection, connect } from '../../../clients/connection.ts'
import { SimProcess } from '../../../clients/simulate/sim-process.ts'
import { errorName } from '../../../protocol/errors.ts'
import { completed } from '../../../protocol/frame.ts'
import { beginQuorumEpoch } from '../../../protocol/messages/begin-quorum-epoch.ts'
import { describeQuorum } from '../../../protocol/messages/describe-quorum.ts'
import { endQuorumEpoch } from '../../../protocol/messages/end-quorum-epoch.ts'
import { fetch } from '../../../protocol/messages/fetch.ts'
import { fetchSnapshot } from '../../../protocol/messages/fetch-snapshot.ts'
import { vote } from '../../../protocol/messages/vote.ts'
import { METADATA_TOPIC, METADATA_TOPIC_ID } from '../../../replication/controller/topic-names.ts'
import { metadataBatches, parseSnapshotName, snapshotRecords } from '../../../replication/metadata/batches.ts'
import { METADATA, PORT, type QuorumNode, QuorumWorld } from './quorum-world.ts'

const SMALL = ['metadata.log.max.record.bytes.between.snapshots=1000', 'internal.metadata.log.segment.bytes=1000']

class Tool {
  readonly world: QuorumWorld
  readonly #process: SimProcess
  readonly #open = new Map<number, Connection>()

  constructor(world: QuorumWorld) {
    this.world = world
    const { agenda, trace, dice } = world
    world.network.addHost('tool')
    this.#process = new SimProcess({ agenda, trace, dice: dice.of('tool'), skewMs: () => 0, id: 77 })
  }

  async to(node: QuorumNode): Promise<Connection> {
    const known = this.#open.get(node.id)
    if (known) return known
    const network = this.world.network.attach('tool', this.#process)
    const made = await this.world.until(connect(`node-${node.id}`, PORT, { network }))
    this.#open.set(node.id, made)
    return made
  }

  async fetch(node: QuorumNode, o: FetchDraft = {}) {
    return this.world.until(this.asking(await this.to(node), node, o))
  }

  /** Answered as the world goes on. */
  async asking(link: Connection, node: QuorumNode, o: FetchDraft) {
    const { currentLeaderEpoch = node.epoch, fetchOffset = 0, lastFetchedEpoch = 0, highWatermark = -1n } = o
    const partition = { partition: 0, currentLeaderEpoch, fetchOffset, lastFetchedEpoch, partitionMaxBytes: 1 << 20 }
    const topicId = o.topicId ?? METADATA_TOPIC_ID
    const request = {
      ...{ clusterId: o.clusterId ?? null, replicaState: { replicaId: o.replicaId ?? -1, replicaEpoch: -1 } },
      ...{ maxWaitMs: o.maxWaitMs ?? 0, minBytes: 0, sessionId: 0, sessionEpoch: -1, isolationLevel: 0 },
      ...{ forgottenTopicsData: [], rackId: '' },
      topics: [{ topicId, partitions: [{ ...partition, highWatermark: Number(highWatermark) }] }]
    }
    const reply = await link.send(fetch, 18, request)
    const answer = reply.responses[0]?.partitions[0]
    return { ...answer, topLevel: errorName(reply.errorCode), error: errorName(answer?.errorCode ?? -1) }
  }

  async snapshot(node: QuorumNode, endOffset: number, epoch: number, o: SnapshotDraft = {}) {
    const { position = 0, currentLeaderEpoch = node.epoch, clusterId = null, name = METADATA_TOPIC } = o
    const partition = { partition: 0, currentLeaderEpoch, snapshotId: { endOffset, epoch }, position }
    const request = {
      clusterId,
      replicaId: -1,
      maxBytes: o.maxBytes ?? 1 << 20,
      topics: [{ name, partitions: [partition] }]
    }
    const link = await this.to(node)
    const reply = await this.world.until(link.send(fetchSnapshot, 1, request))
    const answer = reply.topics[0]?.partitions[0]
    return { ...answer, topLevel: errorName(reply.errorCode), error: errorName(answer?.errorCode ?? -1) }
  }

  async vote(node: QuorumNode, o: VoteDraft = {}) {
    const { epoch = node.epoch, lastOffset = 0, lastOffsetEpoch = 0, preVote = false, voterId = node.id } = o
    const partition = { partitionIndex: 0, replicaEpoch: epoch, replicaId: 2, lastOffset, lastOffsetEpoch, preVote }
    const topics = [{ topicName: o.topicName ?? METADATA_TOPIC, partitions: [partition] }]
    const link = await this.to(node)
    const reply = await this.world.until(link.send(vote, 2, { clusterId: o.clusterId ?? null, voterId, topics }))
    const answer = reply.topics[0]?.partitions[0]
    return { ...answer, topLevel: errorName(reply.errorCode), error: errorName(answer?.errorCode ?? -1) }
  }
}

interface FetchDraft {
  currentLeaderEpoch?: number
  fetchOffset?: number
  lastFetchedEpoch?: number
  highWatermark?: bigint
  clusterId?: string
  topicId?: string
  replicaId?: number
  maxWaitMs?: number
}

interface SnapshotDraft {
  position?: number
  currentLeaderEpoch?: number
  clusterId?: string
  name?: string
  maxBytes?: number
}

interface VoteDraft {
  epoch?: number
  lastOffset?: number
  lastOffsetEpoch?: number
  preVote?: boolean
  voterId?: number
  topicName?: string
  clusterId?: string
}

async function formed(o: ConstructorParameters<typeof QuorumWorld>[0] = {}) {
  const world = new QuorumWorld(o)
  await world.startAll()
  await world.waitFor(() => world.isInStep() && world.nodes.every(node => node.log?.isCaughtUp))
  const leader = world.leader as QuorumNode
  return { world, leader, follower: world.followers[0] as QuorumNode, tool: new Tool(world) }
}

test('Fetch: who may not, and what is told instead', async t => {
  const { world, leader, follower, tool } = await formed({ seed: 21 })
  const { epoch } = leader
  const current = { leaderId: leader.id, leaderEpoch: epoch }
  t.match(await tool.fetch(leader, { clusterId: 'elsewhere' }), { topLevel: 'INCONSISTENT_CLUSTER_ID' })
  t.match(await tool.fetch(leader, { clusterId: leader.log?.clusterId ?? '' }), { topLevel: 'NONE', error: 'NONE' })
  t.match(await tool.fetch(leader, { topicId: 'AAAAAAAAAAAAAAAAAAfoRQ' }), { topLevel: 'INVALID_REQUEST' })
  for (const [node, o, error] of [
    [leader, { currentLeaderEpoch: epoch - 1 }, 'FENCED_LEADER_EPOCH'],
    [leader, { currentLeaderEpoch: epoch + 1 }, 'UNKNOWN_LEADER_EPOCH'],
    [follower, {}, 'NOT_LEADER_OR_FOLLOWER']
  ] as const) {
    t.match(await tool.fetch(node, o), { topLevel: 'NONE', error, currentLeader: current, highWatermark: -1 }, error)
  }
  for (const o of [{ fetchOffset: -1 }, { lastFetchedEpoch: -1 }, { lastFetchedEpoch: epoch + 1 }, { maxWaitMs: -1 }]) {
    t.match(await tool.fetch(leader, o), { error: 'INVALID_REQUEST' })
  }
  world.end()
})

test('Fetch: records, where to cut, and waiting', async t => {
  const { world, leader, tool } = await formed({ seed: 22 })
  const end = leader.append('orders')
  await world.waitFor(() => world.isInStep())
  const { epoch } = leader
  const all = await tool.fetch(leader)
  t.match(all, { error: 'NONE', highWatermark: end, logStartOffset: 0, currentLeader: { leaderId: leader.id } })
  t.equal([...metadataBatches(all.records as Buffer)].at(-1)?.endOffset, end)
  const beyond = { fetchOffset: end + 5, lastFetchedEpoch: epoch }
  t.match(await tool.fetch(leader, beyond), { error: 'NONE', divergingEpoch: { epoch, endOffset: end } })
  const other = await tool.fetch(leader, { fetchOffset: 1, lastFetchedEpoch: 0 })
  t.match(other, { error: 'NONE', divergingEpoch: { epoch: 0 } }, 'no record of that epoch is here')
  const tail = { fetchOffset: end, lastFetchedEpoch: epoch, maxWaitMs: 60_000 }
  const before = world.agenda.nowUs
  t.match(await tool.fetch(leader, tail), { error: 'NONE' }, 'it knows no high watermark: that is news')
  t.ok(world.agenda.nowUs - before < 10_000)
  t.match(await tool.fetch(leader, { ...tail, highWatermark: BigInt(end) }), { error: 'NONE', highWatermark: end })
  const waitedMs = (world.agenda.nowUs - before) / 1000
  t.ok(waitedMs > 490 && waitedMs < 520, `half a second at most, was ${waitedMs} ms`)
  const link = await tool.to(leader)
  const waiting = tool.asking(link, leader, { ...tail, highWatermark: BigInt(end) })
  await world.run(100)
  world.network.isolate(`node-${leader.id}`)
  world.network.heal('tool', `node-${leader.id}`)
  world.network.heal(`node-${leader.id}`, 'tool')
  t.equal(leader.append('alone'), end + 1)
  const told = await world.until(waiting)
  t.equal(
    [...metadataBatches(told.records as Buffer)].length,
    1,
    'uncommitted records go to whom they may help to commit'
  )
  t.equal(told.highWatermark, end)
  const [voter] = world.followers.map(node => node.id)
  for (const o of [
    { fetchOffset: end + 1, lastFetchedEpoch: epoch - 1 },
    { fetchOffset: end + 9, lastFetchedEpoch: epoch }
  ]) {
    t.match((await tool.fetch(leader, { ...o, replicaId: voter ?? 0 })).divergingEpoch?.endOffset, /\d/)
    t.equal(leader.log?.highWatermark, end, 'a log that differs counts for nothing')
  }
  const last = tool.asking(link, leader, { ...tail, fetchOffset: end + 1, highWatermark: BigInt(end) })
  await world.run(10)
  const handedOver = leader.log?.handOver()
  t.match(await world.until(last), { error: 'NOT_LEADER_OR_FOLLOWER' }, 'who waits is told at once')
  await world.until(handedOver ?? Promise.reject())
  world.end()
})

test('FetchSnapshot: pieces of what is there, and what is not', async t => {
  const { world, leader, follower, tool } = await formed({ seed: 23, set: SMALL })
  for (let i = 0; i < 40; i++) {
    leader.append(`topic-${i}`, 2)
    if (i % 5 === 4) await world.run(600)
  }
  await world.waitFor(() => world.isInStep())
  const { epoch } = leader
  const behind = await tool.fetch(leader)
  const { endOffset, epoch: snapshotEpoch } = behind.snapshotId ?? { endOffset: -1, epoch: -1 }
  t.ok(endOffset > 0, 'who has nothing is sent to the snapshot')
  t.match(await tool.fetch(leader, { fetchOffset: 3, lastFetchedEpoch: snapshotEpoch }), { snapshotId: { endOffset } })
  const pieces: Buffer[] = []
  let size = 1
  for (let position = 0; position < size; position += pieces.at(-1)?.length ?? 1) {
    const piece = await tool.snapshot(leader, endOffset, snapshotEpoch, { position, maxBytes: 100 })
    t.match(piece, { error: 'NONE', position, snapshotId: { endOffset, epoch: snapshotEpoch } })
    size = piece.size ?? 0
    pieces.push(piece.unalignedRecords as Buffer)
  }
  t.ok(snapshotRecords(Buffer.concat(pieces), 'fetched').length > 10)
  const refused = (o: SnapshotDraft, at = endOffset) => tool.snapshot(leader, at, snapshotEpoch, o)
  t.match(await refused({ position: size }), { error: 'POSITION_OUT_OF_RANGE' })
  t.match(await refused({ position: -1 }), { error: 'POSITION_OUT_OF_RANGE' })
  t.match(await refused({}, endOffset + 1), { error: 'SNAPSHOT_NOT_FOUND', currentLeader: { leaderId: leader.id } })
  t.match(await refused({ currentLeaderEpoch: epoch - 1 }), { error: 'FENCED_LEADER_EPOCH' })
  t.match(await refused({ currentLeaderEpoch: epoch + 1 }), { error: 'UNKNOWN_LEADER_EPOCH' })
  t.match(await refused({ name: 'orders' }), { error: 'UNKNOWN_TOPIC_OR_PARTITION' })
  t.match(await refused({ clusterId: 'elsewhere' }), { topLevel: 'INCONSISTENT_CLUSTER_ID' })
  t.match(await tool.snapshot(follower, endOffset, snapshotEpoch), { error: 'NOT_LEADER_OR_FOLLOWER' })
  follower.kill()
  const kept = (await follower.names(METADATA)).map(parseSnapshotName).filter(id => id !== null)
  t.equal(kept.length, 2, 'a follower keeps two of its own')
  world.end()
})

test('no fetch takes more memory than one of a node may, whatever it asks for', async t => {
  const read: number[] = []
  const snapshots = {
    sizeOf: () => 1 << 30,
    isSound: () => Promise.resolve(true),
    read: (_id: object, _position: number, maxBytes: number) => {
      read.push(maxBytes)
      return Promise.resolve(Buffer.alloc(1))
    }
  }
  const log = {
    ...{ logEndOffset: 100, logStartOffset: 0 },
    read: (_from: number, { maxBytes }: { maxBytes: number }) => {
      read.push(maxBytes)
      return { records: [] }
    }
  }
  const server = new QuorumServer({
    ...{ quorum: { role: { kind: 'unattached' } }, runner: { take() {} }, clock: { monotonicMs: () => 0 } },
    log: { log, snapshots, validate: () => ({ kind: 'valid' }) },
    ...{ clusterId: () => null, view: () => ({ epoch: 1, leaderId: 1, isLeader: true }), onOwn() {} }
  } as unknown as ConstructorParameters<typeof QuorumServer>[0])
  const [maxBytes, currentLeaderEpoch] = [0x7fffffff, 1]
  const piece = { partition: 0, currentLeaderEpoch, snapshotId: { endOffset: 5, epoch: 1 }, position: 0 }
  const topics = [{ name: METADATA_TOPIC, partitions: [piece] }]
  await server.fetchSnapshot(completed(fetchSnapshot.request, 1, { clusterId: null, maxBytes, topics }))
  const part = { partition: 0, currentLeaderEpoch, fetchOffset: 1, lastFetchedEpoch: 1, partitionMaxBytes: maxBytes }
  const all = { clusterId: null, maxBytes, topics: [{ topicId: METADATA_TOPIC_ID, partitions: [part] }] }
  await server.fetch(completed(fetch.request, 17, all), new AbortController().signal)
  t.strictSame(read, [8 << 20, 8 << 20])
})

test('Vote, BeginQuorumEpoch and EndQuorumEpoch: what is not for this voter', async t => {
  const { world, leader, follower, tool } = await formed({ seed: 24 })
  const { epoch } = leader
  t.match(await tool.vote(follower, { clusterId: 'elsewhere' }), { topLevel: 'INCONSISTENT_CLUSTER_ID' })
  t.match(await tool.vote(follower, { topicName: 'orders' }), { topLevel: 'INVALID_REQUEST' })
  const known = { leaderId: leader.id, leaderEpoch: epoch, voteGranted: false }
  t.match(await tool.vote(follower, { epoch: epoch + 1, lastOffset: -1 }), { error: 'INVALID_REQUEST', ...known })
  t.match(await tool.vote(follower, { epoch, lastOffsetEpoch: epoch }), { error: 'INVALID_REQUEST', ...known })
  t.match(await tool.vote(follower, { epoch: epoch + 1, voterId: 9 }), { error: 'INVALID_VOTER_KEY', ...known })
  // Of a first epoch only a pre-vote can be late: a vote in none is not a vote.
  t.match(await tool.vote(follower, { epoch: epoch - 1, preVote: true }), { error: 'FENCED_LEADER_EPOCH', ...known })
  const pre = { epoch, lastOffset: 1000, lastOffsetEpoch: epoch, preVote: true }
  t.match(await tool.vote(follower, pre), { error: 'NONE', voteGranted: false }, 'its leader lives')
  const link = await tool.to(follower)
  const topics = (leaderEpoch: number, leaderId = 2) => [
    { topicName: METADATA_TOPIC, partitions: [{ partitionIndex: 0, leaderId, leaderEpoch }] }
  ]
  const begin = async (clusterId: string | null, leaderEpoch: number) => {
    const reply = await world.until(
      link.send(beginQuorumEpoch, 1, {
        clusterId,
        topics: topics(leaderEpoch),
        voterId: follower.id,
        leaderEndpoints: []
      })
    )
    return [errorName(reply.errorCode), errorName(reply.topics[0]?.partitions[0]?.errorCode ?? -1)]
  }
  t.same(await begin('elsewhere', epoch), ['INCONSISTENT_CLUSTER_ID', 'UNKNOWN_SERVER_ERROR'])
  t.same(await begin(null, epoch - 1), ['NONE', 'FENCED_LEADER_EPOCH'])
  const end = async (clusterId: string | null, leaderEpoch: number) => {
    const reply = await world.until(
      link.send(endQuorumEpoch, 1, { clusterId, topics: topics(leaderEpoch), leaderEndpoints: [] })
    )
    return [errorName(reply.errorCode), errorName(reply.topics[0]?.partitions[0]?.errorCode ?? -1)]
  }
  t.same(await end('elsewhere', epoch), ['INCONSISTENT_CLUSTER_ID', 'UNKNOWN_SERVER_ERROR'])
  t.same(await end(null, epoch - 1), ['NONE', 'FENCED_LEADER_EPOCH'])
  t.equal(world.leader, leader, 'nothing of it did any harm')
  t.equal(leader.epoch, epoch)
  world.end()
})

test('DescribeQuorum: how far everybody is; whenKnown: who is not asked for ever', async t => {
  const { world, leader, follower, tool } = await formed({ seed: 25 })
  const ask = async (node: QuorumNode) => {
    const link = await tool.to(node)
    const topics = [{ topicName: METADATA_TOPIC, partitions: [{ partitionIndex: 0 }] }]
    return (await world.until(link.send(describeQuorum, 2, { topics }))).topics[0]?.partitions[0]
  }
  t.match(await ask(follower), { errorCode: 6 }, 'NOT_LEADER_OR_FOLLOWER')
  await world.run(2000)
  const silent = world.followers[1] as QuorumNode
  world.network.isolate(`node-${silent.id}`)
  const before = leader.log?.logEndOffset
  const end = leader.append('orders')
  const began = world.agenda.nowUs
  await world.until(leader.log?.whenKnown(end, 3000) ?? Promise.reject())
  t.ok(follower.topics.includes('orders'))
  const ms = (world.agenda.nowUs - began) / 1000
  t.ok(ms > 400 && ms < 1200, `a silent follower is waited for only as long as it may live: ${ms} ms`)
  await world.until(leader.log?.whenKnown(leader.append('more'), 3000) ?? Promise.reject())
  t.ok(world.agenda.nowUs - began < (ms + 50) * 1000, 'then no more')
  await tool.fetch(leader, { replicaId: 9, fetchOffset: 0 })
  await world.run(1000)
  const described = await ask(leader)
  t.match(described, { errorCode: 0, leaderId: leader.id, leaderEpoch: leader.epoch, highWatermark: end + 1 })
  const voters = new Map(described?.currentVoters.map(each => [each.replicaId, each]))
  t.same([...voters.keys()], [1, 2, 3])
  const nowMs = leader.process?.clock.nowMs() ?? 0
  t.equal(voters.get(leader.id)?.logEndOffset, end + 1)
  const ago = (ms: number | undefined) => nowMs - (ms ?? 0)
  t.ok(ago(voters.get(leader.id)?.lastCaughtUpTimestamp) <= 20)
  t.equal(voters.get(follower.id)?.logEndOffset, end + 1)
  t.ok(ago(voters.get(follower.id)?.lastCaughtUpTimestamp) <= 600)
  t.equal(voters.get(silent.id)?.logEndOffset, before)
  const silentAgo = ago(voters.get(silent.id)?.lastFetchTimestamp)
  t.ok(silentAgo >= 1400 && silentAgo < 3000, `${silentAgo} ms ago`)
  t.same(
    described?.observers.map(({ replicaId, logEndOffset }) => [replicaId, logEndOffset]),
    [[9, 0]]
  )
  world.end()
})
