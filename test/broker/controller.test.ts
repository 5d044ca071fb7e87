// The controller as a whole, on a disk in memory: what it answered is there after any crash, nothing is answered or seen
// before it is synced, each life leads in a new epoch, and snapshots let the log be cut.
import assert from 'node:assert/strict'
import { type Test, test } from 'tap'
import { type BrokerConfig, loadConfig } from '../../broker/config.ts'
import type { Controller } from '../../broker/controller.ts'
import { bootstrapCheckpoint, openController } from '../../broker/controller-open.ts'
import { createLogger } from '../../broker/log.ts'
import { ProducerIds } from '../../broker/producer-ids.ts'
import { Registration } from '../../broker/registration.ts'
import { parseQuorumState } from '../../protocol/cluster/quorum-state.ts'
import { ErrorCode, errorName } from '../../protocol/errors.ts'
import { ZERO_UUID } from '../../protocol/types.ts'
import { metadataBatch, parseSnapshotName, snapshotBatches } from '../../replication/metadata/batches.ts'
import { recordAt } from '../../replication/metadata/records.ts'
import { Catalog } from '../../storage/catalog.ts'
import { MemoryFiles } from '../../storage/files-memory.ts'
import { MemoryKeyStores } from '../../storage/snapshot-cache.ts'
import { chance, shows } from '../replication/controller/cluster.ts'
import { CatalogClock, settings } from '../storage/catalog-fixture.ts'

const DIRECTORY = '/data'
const METADATA = `${DIRECTORY}/__cluster_metadata-0`

/** What survives a life: the disk, the time, and chance. */
class Node {
  files = new MemoryFiles()
  readonly clock = new CatalogClock()
  readonly random: ReturnType<typeof chance>
  readonly stores = new MemoryKeyStores()
  readonly lines: string[] = []
  readonly config: BrokerConfig
  readonly #bootstrap: () => Uint8Array

  constructor(o: { seed?: number; set?: string[]; bootstrap?: () => Uint8Array } = {}) {
    this.random = chance(o.seed)
    this.config = loadConfig({ set: o.set ?? [] }).config
    this.#bootstrap = o.bootstrap ?? (() => bootstrapCheckpoint(this.clock.nowMs()))
  }

  async begin(): Promise<Life> {
    const { files, clock, random, config } = this
    const logger = createLogger({ level: 'info', to: { write: line => this.lines.push(line) } })
    let controller: Controller | null = null
    const catalog = await Catalog.open({
      ...{
        files,
        clock,
        random,
        settings,
        logger,
        directory: DIRECTORY,
        nodeId: 1,
        clusterId: null,
        policy: 'page-cache'
      },
      ...{ tailCacheBytes: 1 << 20, bootstrapCheckpoint: this.#bootstrap, openKeyStore: this.stores.open },
      onEvent: () => {},
      onOffline: error => controller?.stop(error)
    })
    controller = await openController({
      ...{ catalog, files, clock, random, config, logger, nodeId: 1, incarnationId: random.uuid() },
      ...{ controllerEndPoints: [], settled: () => Promise.resolve() }
    })
    return new Life(this, catalog, controller)
  }

  /** Begins a life and lets its broker in. */
  async start(): Promise<Life> {
    const life = await this.begin()
    await life.start()
    return life
  }

  async names(): Promise<string[]> {
    return (await this.files.readdir(METADATA)).sort()
  }
}

class Life {
  readonly node: Node
  readonly catalog: Catalog
  readonly controller: Controller
  readonly registration: Registration

  constructor(node: Node, catalog: Catalog, controller: Controller) {
    const { clock, random, config } = node
    this.node = node
    this.catalog = catalog
    this.controller = controller
    const endpoint = { name: 'PLAINTEXT', host: 'localhost', port: 9092, securityProtocol: 0 }
    this.registration = new Registration({
      ...{ controller, nodeId: 1, clusterId: catalog.clusterId, incarnationId: random.uuid(), endpoints: [endpoint] },
      ...{ rack: null, logDirs: [catalog.directoryId], previousBrokerEpoch: () => Promise.resolve(-1), clock },
      heartbeatIntervalMs: () => config.get('broker.heartbeat.interval.ms'),
      logger: createLogger({ level: 'silent' }),
      onRegistered: () => {}
    })
  }

  get image() {
    return this.controller.metadata.image
  }

  async start(): Promise<void> {
    await this.controller.start()
    await this.registration.register()
    await this.registration.unfence()
  }

  async stop(): Promise<void> {
    await this.registration.stop()
    this.controller.stop()
    await this.catalog.close({ brokerEpoch: this.registration.brokerEpoch })
  }

  /** The power is cut. */
  crash(kind: 'keep' | 'drop' | 'mixed' = 'drop'): void {
    const { node } = this
    node.files = node.files.crash({ below: node.random.below }, kind)
    node.clock.forget()
    node.stores.crash(count => count)
  }

  async create(name: string, numPartitions = 1): Promise<string> {
    const topic = { name, numPartitions, replicationFactor: 1, assignments: [], configs: [] }
    const [made] = await this.controller.createTopics({ topics: [topic], validateOnly: false })
    return errorName(made?.errorCode ?? -2)
  }

  async remove(name: string): Promise<string> {
    const [gone] = await this.controller.deleteTopics([{ name, topicId: ZERO_UUID }])
    return errorName(gone?.errorCode ?? -2)
  }
}

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

test('a lost quorum-state file does not lead to a second reign in one epoch', async t => {
  const node = new Node()
  await (await node.start()).stop()
  await node.files.unlink(`${METADATA}/quorum-state`)
  const life = await node.start()
  t.equal(life.controller.metadataLog.leaderEpoch, 2)
  await life.stop()
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

const turns = async (count = 5): Promise<void> => {
  for (let turn = 0; turn < count; turn++) await new Promise<void>(resolve => setImmediate(resolve))
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
  await t.rejects(life.create('c'), { code: 'ERR_NOT_LEADER' })
  t.strictSame([...life.image.topicsByName.keys()], ['a'])
  t.equal(life.controller.activeControllerId, -1)
  life.crash('keep')
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

const snapshotsOf = (names: string[]) => names.map(parseSnapshotName).filter(id => id !== null)

test('snapshots: the log is cut behind them, and a damaged one is passed over', async t => {
  const node = new Node({
    set: ['metadata.log.max.record.bytes.between.snapshots=2000', 'internal.metadata.log.segment.bytes=3000']
  })
  const life = await node.start()
  for (let index = 0; index < 60; index++) {
    await life.create(`topic-${index}`)
    await life.controller.metadataLog.maybeSnapshot()
  }
  const { metadataLog } = life.controller
  const snapshots = snapshotsOf(await node.names())
  t.equal(snapshots.length, 2)
  t.equal(metadataLog.logStartOffset, snapshots[0]?.endOffset, 'the log begins where the older one ends')
  t.ok(metadataLog.logStartOffset > 0)
  life.crash()
  const next = await node.start()
  t.equal(next.image.topicsByName.size, 60)
  next.crash()
  const newest = (await node.names()).filter(name => name.endsWith('.checkpoint')).at(-1)
  const bytes = (await node.files.readFile(`${METADATA}/${newest}`)) as Buffer
  await node.files.writeFileAtomically(`${METADATA}/${newest}`, bytes.subarray(0, -20))
  const third = await node.start()
  t.equal(third.image.topicsByName.size, 60)
  t.match(node.lines.join(''), /metadata-snapshot-damaged/)
  third.crash()
  for (const { endOffset } of snapshotsOf(await node.names())) {
    for (const name of await node.names())
      if (name.includes(String(endOffset)) && name.endsWith('.checkpoint'))
        await node.files.unlink(`${METADATA}/${name}`)
  }
  await t.rejects(node.begin(), { code: 'ERR_LOG_CORRUPT' }, 'a log without its beginning is not guessed at')
})

test('a snapshot is due by time too', async t => {
  const node = new Node({ set: ['metadata.log.max.snapshot.interval.ms=10000'] })
  const life = await node.start()
  node.clock.advance(9_000)
  await turns()
  t.equal(snapshotsOf(await node.names()).length, 0)
  node.clock.advance(1_500)
  await turns(20)
  t.equal(snapshotsOf(await node.names()).length, 1)
  await life.stop()
})

test('a cluster with more than is supported is refused, naming the feature', async t => {
  const rich = recordAt(30, 'FeatureLevelRecord', { name: 'group.version', featureLevel: 1 })
  const level = recordAt(30, 'FeatureLevelRecord', { name: 'metadata.version', featureLevel: 30 })
  const o = { epoch: 0, lastContainedLogTimestamp: 0, nowMs: 0 }
  const formatted = new Node({ bootstrap: () => Buffer.concat([...snapshotBatches([level, rich], o)]) })
  const life = await formatted.begin()
  await t.rejects(life.controller.start(), { code: 'ERR_WRONG_DIRECTORY', message: /group\.version/ })
  const used = new Node()
  ;(await used.start()).crash('keep')
  const log = `${METADATA}/00000000000000000000.log`
  const bytes = (await used.files.readFile(log)) as Buffer
  const more = metadataBatch([rich], 1, 0)
  more.writeBigInt64BE(BigInt(lastOf(bytes)), 0)
  await used.files.writeFileAtomically(log, Buffer.concat([bytes, more]))
  await t.rejects(used.begin(), { code: 'ERR_WRONG_DIRECTORY', message: /group\.version at 1/ })
})

function lastOf(log: Buffer): number {
  let end = 0
  for (let at = 0; at < log.length; at += 12 + log.readInt32BE(at + 8)) {
    end = Number(log.readBigInt64BE(at)) + log.readInt32BE(at + 23) + 1
  }
  return end
}

async function otherBroker(t: Test, life: Life, brokerId: number): Promise<number> {
  const self = life.image.brokers.get(1)
  const reply = await life.controller.registerBroker({
    ...{ brokerId, clusterId: life.catalog.clusterId, incarnationId: life.node.random.uuid(), rack: null },
    ...{ listeners: [], features: self?.features ?? [], isMigratingZkBroker: false, previousBrokerEpoch: -1 },
    logDirs: [life.node.random.uuid()]
  })
  t.equal(errorName(reply.errorCode), 'NONE')
  return reply.brokerEpoch
}

test('a broker that falls silent is fenced; its neighbour with the same id is turned away', async t => {
  const node = new Node()
  const life = await node.start()
  const brokerEpoch = await otherBroker(t, life, 2)
  const beat = (wantFence = false) =>
    life.controller.heartbeat({
      ...{ brokerId: 2, brokerEpoch, currentMetadataOffset: life.controller.metadata.endOffset - 1, wantFence },
      ...{ wantShutDown: false, offlineLogDirs: [], cordonedLogDirs: null }
    })
  t.match(await beat(), { errorCode: 0, isFenced: false })
  const other = await life.controller.registerBroker({
    ...{ brokerId: 2, clusterId: life.catalog.clusterId, incarnationId: node.random.uuid(), rack: null, listeners: [] },
    ...{ features: [], isMigratingZkBroker: false, previousBrokerEpoch: -1, logDirs: [node.random.uuid()] }
  })
  t.equal(errorName(other.errorCode), 'DUPLICATE_BROKER_REGISTRATION')
  const pass = async (ms: number) => {
    for (let left = ms; left > 0; left -= 500) {
      node.clock.advance(500)
      await turns()
    }
  }
  await pass(8_500)
  t.equal(life.image.brokers.get(2)?.fenced, false, 'a session lasts 9 seconds')
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

test('leadership goes back to preferred replicas at its interval, unless that is off', async t => {
  for (const isOn of [true, false]) {
    const set = [`auto.leader.rebalance.enable=${isOn}`, 'leader.imbalance.check.interval.seconds=20']
    const node = new Node({ set })
    const life = await node.start()
    const brokerEpoch = await otherBroker(t, life, 2)
    const beat = (wantFence: boolean) =>
      life.controller.heartbeat({
        ...{ brokerId: 2, brokerEpoch, currentMetadataOffset: life.controller.metadata.endOffset - 1, wantFence },
        ...{ wantShutDown: false, offlineLogDirs: [], cordonedLogDirs: null }
      })
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
    life.controller.apply(recordAt(30, 'PartitionChangeRecord', joined), life.controller.metadataLog.logEndOffset)
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
  const refusing = new ProducerIds(() =>
    Promise.resolve({ errorCode: 77, errorMessage: null, producerIdStart: -1, producerIdLen: 0 })
  )
  t.match(await refusing.next(), { errorCode: 77 })
})

test('topics that nobody creates by hand', async t => {
  const node = new Node()
  const life = await node.start()
  const [first, second] = await Promise.all([
    life.controller.autoCreate(['clicks', '__consumer_offsets']),
    life.controller.autoCreate(['clicks'])
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
