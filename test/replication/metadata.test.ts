// The image of the cluster against what a real Kafka 4.3.1 wrote: its metadata log replayed gives the image of its own
// snapshot, and the image says itself in the same records again. Then what that cluster did not do.
import { readFileSync } from 'node:fs'
import path from 'node:path'
import { test } from 'tap'
import { encodeMetadataRecord } from '../../protocol/cluster/metadata.ts'
import { buildBatch } from '../../protocol/records/builder.ts'
import { checkFeatures, FEATURES } from '../../replication/controller/features.ts'
import {
  leaderChangeBatch,
  metadataBatch,
  metadataBatches,
  parseSnapshotName,
  snapshotBatches,
  snapshotName,
  snapshotRecords
} from '../../replication/metadata/batches.ts'
import { MetadataDelta } from '../../replication/metadata/delta.ts'
import { MetadataImage } from '../../replication/metadata/image.ts'
import { type MetadataRecord, recordAt } from '../../replication/metadata/records.ts'
import { shows } from './controller/cluster.ts'

const GOLDEN = path.join('test', 'golden', 'metadata')
const SNAPSHOT = '00000000000000000089-0000000001.checkpoint'
const LEVEL = 30

const snapshotBytes = readFileSync(path.join(GOLDEN, SNAPSHOT))
const logBytes = readFileSync(path.join(GOLDEN, '00000000000000000000.log'))

function imageOf(records: Iterable<MetadataRecord>, delta?: MetadataDelta): MetadataImage {
  const image = new MetadataImage()
  for (const record of records) image.apply(record, delta)
  return image
}

/** An image as a set of records: in no order, since Java's hash maps come in any. */
function said(image: MetadataImage): string[] {
  return [...image.records()].map(record => encodeMetadataRecord(inOrder(record)).toString('hex')).sort()
}

function inOrder(entry: MetadataRecord): MetadataRecord {
  if (entry.type !== 'RegisterBrokerRecord' && entry.type !== 'RegisterControllerRecord') return entry
  const features = entry.record.features.toSorted((left, right) => (left.name < right.name ? -1 : 1))
  return { ...entry, record: { ...entry.record, features } } as MetadataRecord
}

function logRecords(upto = Number.POSITIVE_INFINITY): MetadataRecord[] {
  return [...metadataBatches(logBytes)].flatMap(batch => (batch.endOffset <= upto ? batch.records : []))
}

test("the image says itself in the records of Kafka's snapshot, byte for byte", async t => {
  const records = snapshotRecords(snapshotBytes, SNAPSHOT)
  const image = imageOf(records)
  t.strictSame(said(image), records.map(record => encodeMetadataRecord(inOrder(record)).toString('hex')).sort())
  t.equal(image.topicsByName.size, 10)
  t.equal(image.topicsByName.get('orders')?.partitions.length, 3)
  t.equal(image.configs(2, 'accounts').get('cleanup.policy'), 'compact')
  t.equal(image.nextProducerId, 1000)
  t.equal(image.scramCredentials.size, 1)
  t.equal(image.acls.size, 1)
})

test("Kafka's log, replayed, gives the image of its snapshot", async t => {
  t.strictSame(said(imageOf(logRecords(89))), said(imageOf(snapshotRecords(snapshotBytes, SNAPSHOT))))
  const whole = imageOf(logRecords())
  t.ok(whole.topicsByName.size > 0)
  t.strictSame(said(whole.copy()), said(whole), 'a copy says the same')
  for (const topic of whole.topicsById.values()) {
    for (const partition of topic.partitions) t.ok(partition.leaderEpoch >= 0 && partition.replicas.length === 1)
  }
})

test('a copy stays as it was', async t => {
  const image = imageOf(snapshotRecords(snapshotBytes, SNAPSHOT))
  const copy = image.copy()
  const before = said(copy)
  const orders = image.topicsByName.get('orders')
  for (const record of [
    recordAt(LEVEL, 'PartitionChangeRecord', { topicId: orders?.topicId, partitionId: 0, leader: -1 }),
    recordAt(LEVEL, 'ConfigRecord', { resourceType: 2, resourceName: 'orders', name: 'retention.ms', value: '7' }),
    recordAt(LEVEL, 'RemoveTopicRecord', { topicId: image.topicsByName.get('empty')?.topicId }),
    recordAt(LEVEL, 'FeatureLevelRecord', { name: 'group.version', featureLevel: 0 }),
    recordAt(LEVEL, 'ClientQuotaRecord', { entity: [{ entityType: 'user', entityName: null }], key: 'k', value: 1 })
  ]) {
    image.apply(record)
  }
  t.strictSame(said(copy), before)
  t.notSame(said(image), before)
})

const TOPIC_ID = 'ik88IBYBTAK5CpjZYPQ6-Q'
const BROKER = { brokerId: 1, incarnationId: TOPIC_ID, brokerEpoch: 5, logDirs: [TOPIC_ID] }

function small(): MetadataImage {
  return imageOf([
    recordAt(LEVEL, 'FeatureLevelRecord', { name: 'metadata.version', featureLevel: LEVEL }),
    recordAt(LEVEL, 'RegisterBrokerRecord', BROKER),
    recordAt(LEVEL, 'TopicRecord', { name: 'orders', topicId: TOPIC_ID }),
    recordAt(LEVEL, 'PartitionRecord', {
      ...{ topicId: TOPIC_ID, partitionId: 0, replicas: [1, 2], directories: [TOPIC_ID, TOPIC_ID], isr: [1, 2] },
      ...{ leader: 1, leaderEpoch: 3, partitionEpoch: 4 }
    })
  ])
}

test('epochs: every change raises the partition epoch, a named leader the leader epoch', async t => {
  const image = small()
  const change = (fields: object) => {
    image.apply(recordAt(LEVEL, 'PartitionChangeRecord', { topicId: TOPIC_ID, partitionId: 0, ...fields }))
    return image.partition(TOPIC_ID, 0)
  }
  shows(t, change({ isr: [1] }), { isr: [1], leader: 1, leaderEpoch: 3, partitionEpoch: 5 })
  shows(t, change({ leader: 1 }), { leader: 1, leaderEpoch: 4, partitionEpoch: 6 })
  shows(t, change({ leader: -1, isr: [], eligibleLeaderReplicas: [1], lastKnownElr: [1] }), {
    ...{ leader: -1, leaderEpoch: 5, partitionEpoch: 7, isr: [], elr: [1], lastKnownElr: [1] }
  })
  image.apply(recordAt(LEVEL, 'ClearElrRecord', { topicName: '' }))
  shows(t, image.partition(TOPIC_ID, 0), { elr: [], lastKnownElr: [], leaderEpoch: 5, partitionEpoch: 8 })
  image.apply(recordAt(LEVEL, 'ClearElrRecord', { topicName: '' }))
  t.equal(image.partition(TOPIC_ID, 0)?.partitionEpoch, 8, 'nothing to clear, nothing changed')
})

test('brokers: fenced, unfenced, shutting down, gone', async t => {
  const image = small()
  const change = (fields: object) => {
    image.apply(recordAt(LEVEL, 'BrokerRegistrationChangeRecord', { brokerId: 1, brokerEpoch: 5, ...fields }))
    return image.brokers.get(1)
  }
  t.equal(image.brokers.get(1)?.fenced, true)
  shows(t, change({ fenced: -1 }), { fenced: false, inControlledShutdown: false, logDirs: [TOPIC_ID] })
  shows(t, change({ inControlledShutdown: 1 }), { fenced: false, inControlledShutdown: true })
  shows(t, change({ fenced: 1 }), { fenced: true, inControlledShutdown: true })
  image.apply(recordAt(LEVEL, 'UnfenceBrokerRecord', { id: 1, epoch: 5 }))
  t.equal(image.brokers.get(1)?.fenced, false, 'older records of the same kind')
  t.throws(() => change({ brokerEpoch: 4 }), { code: 'ERR_LOG_CORRUPT' }, 'of an earlier life')
  image.apply(recordAt(LEVEL, 'UnregisterBrokerRecord', { brokerId: 1, brokerEpoch: 5 }))
  t.equal(image.brokers.size, 0)
})

test('a delta names what changed, and nothing of a topic that is gone', async t => {
  const delta = new MetadataDelta()
  const image = small()
  const twoId = 'TZbz6C0bQ0eHkItsrx7mlA'
  image.apply(recordAt(LEVEL, 'TopicRecord', { name: 'two', topicId: twoId }), delta)
  image.apply(
    recordAt(LEVEL, 'PartitionRecord', { topicId: twoId, partitionId: 0, replicas: [1], directories: [twoId] }),
    delta
  )
  image.apply(recordAt(LEVEL, 'PartitionChangeRecord', { topicId: TOPIC_ID, partitionId: 0, isr: [1] }), delta)
  image.apply(recordAt(LEVEL, 'ConfigRecord', { resourceType: 4, resourceName: '', name: 'a', value: 'b' }), delta)
  t.strictSame([...delta.createdTopics], [twoId])
  t.strictSame([...delta.partitions.keys()], [twoId, TOPIC_ID])
  t.strictSame([...delta.configs], [{ resourceType: 4, resourceName: '' }])
  image.apply(recordAt(LEVEL, 'RemoveTopicRecord', { topicId: twoId }), delta)
  t.strictSame([...delta.createdTopics], [])
  t.strictSame([...delta.partitions.keys()], [TOPIC_ID])
  t.equal(delta.deletedTopics.get(twoId)?.partitions.length, 1)
  t.equal(delta.featuresChanged, false)
})

test('a deleted topic takes its settings with it', async t => {
  const image = small()
  image.apply(recordAt(LEVEL, 'ConfigRecord', { resourceType: 2, resourceName: 'orders', name: 'a', value: 'b' }))
  image.apply(recordAt(LEVEL, 'RemoveTopicRecord', { topicId: TOPIC_ID }))
  image.apply(recordAt(LEVEL, 'TopicRecord', { name: 'orders', topicId: TOPIC_ID }))
  t.equal(image.configs(2, 'orders').size, 0)
})

test('records of a metadata transaction count from its end, or never (KIP-868)', async t => {
  const image = small()
  const begin = recordAt(LEVEL, 'BeginTransactionRecord', { name: 'x' })
  const remove = recordAt(LEVEL, 'RemoveTopicRecord', { topicId: TOPIC_ID })
  image.apply(begin)
  image.apply(remove)
  t.equal(image.topicsById.size, 1)
  image.apply(recordAt(LEVEL, 'AbortTransactionRecord', { reason: 'y' }))
  t.equal(image.topicsById.size, 1)
  image.apply(begin)
  image.apply(remove)
  image.apply(recordAt(LEVEL, 'EndTransactionRecord', {}))
  t.equal(image.topicsById.size, 0)
})

test('records that contradict those before them are a corrupt log', async t => {
  const unknown = { topicId: 'TZbz6C0bQ0eHkItsrx7mlA', partitionId: 0 }
  for (const record of [
    recordAt(LEVEL, 'TopicRecord', { name: 'orders', topicId: unknown.topicId }),
    recordAt(LEVEL, 'PartitionRecord', unknown),
    recordAt(LEVEL, 'PartitionChangeRecord', unknown),
    recordAt(LEVEL, 'PartitionChangeRecord', { topicId: TOPIC_ID, partitionId: 1 }),
    recordAt(LEVEL, 'RemoveTopicRecord', unknown)
  ]) {
    t.throws(() => small().apply(record), { code: 'ERR_LOG_CORRUPT' }, record.type)
  }
})

test('older metadata versions get older records', async t => {
  t.equal(recordAt(7, 'RegisterBrokerRecord', BROKER).version, 1)
  t.equal(recordAt(17, 'PartitionRecord', {}).version, 1)
  t.equal(recordAt(23, 'PartitionChangeRecord', {}).version, 2)
  t.equal(recordAt(LEVEL, 'RegisterBrokerRecord', BROKER).version, 4)
  const old = recordAt(7, 'RegisterBrokerRecord', BROKER)
  t.strictSame(old.type === 'RegisterBrokerRecord' && old.record.logDirs, [], 'what cannot be written is not pretended')
})

test('snapshots: whole or refused', async t => {
  const image = imageOf(snapshotRecords(snapshotBytes, SNAPSHOT))
  const o = { epoch: 4, lastContainedLogTimestamp: 1000, nowMs: 2000 }
  const pieces = [...snapshotBatches(image.records(), o)]
  const bytes = Buffer.concat(pieces)
  t.strictSame(said(imageOf(snapshotRecords(bytes, 'x'))), said(image))
  const batches = [...metadataBatches(bytes)]
  t.strictSame(
    batches.map(batch => [batch.baseOffset, batch.leaderEpoch]),
    [
      [0, 4],
      [1, 4],
      [73, 4]
    ]
  )
  for (const cut of [pieces.slice(0, -1), pieces.slice(1)]) {
    t.throws(() => snapshotRecords(Buffer.concat(cut), 'x'), { code: 'ERR_LOG_CORRUPT' })
  }
  t.throws(() => snapshotRecords(bytes.subarray(0, -1), 'x'), { code: 'ERR_LOG_CORRUPT' }, 'torn')
  const flipped = Buffer.from(bytes)
  flipped[500] = (flipped[500] as number) ^ 1
  t.throws(() => snapshotRecords(flipped, 'x'), { code: 'ERR_CORRUPT_BATCH' })
  t.equal(snapshotName({ endOffset: 89, epoch: 1 }), SNAPSHOT)
  t.strictSame(parseSnapshotName(SNAPSHOT), { endOffset: 89, epoch: 1 })
  t.equal(parseSnapshotName('bootstrap.checkpoint'), null)
})

test("the first batch of an epoch is Kafka's, byte for byte", async t => {
  const own = leaderChangeBatch({ leaderId: 1, voters: [1], grantingVoters: [1] }, 1, 1795247806616)
  t.strictSame(own, logBytes.subarray(0, own.length))
  const [batch] = metadataBatches(metadataBatch(logRecords(10), 9, 5))
  shows(t, batch, { baseOffset: 0, endOffset: 9, leaderEpoch: 9, maxTimestamp: 5 })
})

test('voters that change at run time are refused, naming the feature', async t => {
  const control = (type: number, value: string) => {
    const key = Buffer.from([0, 0, 0, type])
    return buildBatch({ control: true, records: [{ timestamp: 0, key, value: Buffer.from(value, 'hex') }] })
  }
  t.doesNotThrow(() => [...metadataBatches(control(5, '0000000000'))], 'kraft.version 0')
  for (const batch of [control(5, '0000000100'), control(6, '00000100')]) {
    t.throws(() => [...metadataBatches(batch)], { code: 'ERR_WRONG_DIRECTORY', message: /kraft\.version at 1/ })
  }
})

test('features beyond what is supported are refused, naming the feature', async t => {
  t.throws(() => checkFeatures(imageOf(snapshotRecords(snapshotBytes, SNAPSHOT))), {
    ...{ code: 'ERR_WRONG_DIRECTORY', message: /group\.version at 1, outside of the supported range 0-0/ }
  })
  for (const { name, minVersion, maxVersion } of FEATURES) {
    const at = (featureLevel: number) =>
      checkFeatures(imageOf([recordAt(LEVEL, 'FeatureLevelRecord', { name, featureLevel })]))
    if (maxVersion > 0) t.doesNotThrow(() => at(maxVersion), `${name} ${maxVersion}`)
    t.throws(() => at(maxVersion + 1), { message: new RegExp(name) })
    if (minVersion > 1) t.throws(() => at(minVersion - 1), { message: new RegExp(name) })
  }
  t.throws(() =>
    checkFeatures(imageOf([recordAt(LEVEL, 'FeatureLevelRecord', { name: 'unheard.of', featureLevel: 1 })]))
  )
})
