// Records of the cluster's own topics and files against bytes that Kafka 4.3.1 wrote.

import { test } from 'tap'
import * as consumerProtocol from '../../protocol/cluster/consumer-protocol.ts'
import { decodeControlRecord, encodeControlRecord } from '../../protocol/cluster/control.ts'
import { decodeMetadataRecord, encodeMetadataRecord } from '../../protocol/cluster/metadata.ts'
import * as nodes from '../../protocol/cluster/metadata-nodes.ts'
import * as topics from '../../protocol/cluster/metadata-topics.ts'
import { decodeOffsetsKey, decodeOffsetsRecord, encodeOffsetsRecord } from '../../protocol/cluster/offsets.ts'
import * as classic from '../../protocol/cluster/offsets-classic.ts'
import * as consumer from '../../protocol/cluster/offsets-consumer.ts'
import * as share from '../../protocol/cluster/offsets-share.ts'
import * as streams from '../../protocol/cluster/offsets-streams.ts'
import { decodePrincipal, encodePrincipal } from '../../protocol/cluster/principal.ts'
import { decodeProducerSnapshot, encodeProducerSnapshot } from '../../protocol/cluster/producer-snapshot.ts'
import { formatQuorumState, parseQuorumState } from '../../protocol/cluster/quorum-state.ts'
import * as shareLog from '../../protocol/cluster/share-log.ts'
import * as transactionLog from '../../protocol/cluster/transaction-log.ts'
import { compile } from '../../protocol/compile.ts'
import { Cursor } from '../../protocol/cursor.ts'
import { encodeBody } from '../../protocol/frame.ts'
import { interpret } from '../../protocol/interpret.ts'
import type { Message } from '../../protocol/schema.ts'
import { golden, type RecordVector } from './golden.ts'
import { fromKafkaJson, toKafkaJson } from './kafka-json.ts'

type Values = Record<string, unknown>
const schemas = new Map<string, Message>()
for (const room of [nodes, topics, classic, consumer, share, streams, shareLog, transactionLog, consumerProtocol]) {
  for (const each of Object.values(room)) if (typeof each === 'object') schemas.set(each.name, each)
}

test('__cluster_metadata', async t => {
  const seen = new Set<string>()
  for (const line of golden<RecordVector>('cluster-records.jsonl.br')) {
    const { type, version, record } = decodeMetadataRecord(Buffer.from(line.hex, 'hex'))
    const { fields } = schemas.get(type) as Message
    t.same([type, version], [line.record, line.version])
    t.same(toKafkaJson(fields, record as Values, version), line.json, `${type} ${version} ${line.case}`)
    seen.add(type)
    if (line.case === 'default') {
      const bare = { type, version, record: {} } as Parameters<typeof encodeMetadataRecord>[0]
      t.equal(encodeMetadataRecord(bare).toString('hex'), line.hex, 'all defaults')
    }
    if (line.case === 'unknown-tags') continue
    const draft = { type, version, record: fromKafkaJson(fields, line.json) } as Parameters<
      typeof encodeMetadataRecord
    >[0]
    t.equal(encodeMetadataRecord(draft).toString('hex'), line.hex)
  }
  t.equal(seen.size, 26, 'all types')
})

test('__cluster_metadata: what must be refused', async t => {
  const record = encodeMetadataRecord({ type: 'NoOpRecord', record: {} })
  t.throws(() => decodeMetadataRecord(Buffer.concat([record, Buffer.alloc(1)])), { code: 'ERR_MALFORMED' }, 'garbage')
  t.throws(() => decodeMetadataRecord(Buffer.alloc(0)), { code: 'ERR_MALFORMED' })
  const unsupported = { code: 'ERR_UNSUPPORTED_VERSION' }
  t.throws(() => decodeMetadataRecord(Buffer.from('00140000', 'hex')), unsupported, 'frame version')
  t.throws(() => decodeMetadataRecord(Buffer.from('01630000', 'hex')), unsupported, 'type')
  t.throws(() => decodeMetadataRecord(Buffer.from('01140900', 'hex')), unsupported, 'version')
})

const KEYED = {
  __consumer_offsets: [decodeOffsetsRecord, encodeOffsetsRecord],
  __transaction_state: [transactionLog.decodeTransactionRecord, transactionLog.encodeTransactionRecord],
  __share_group_state: [shareLog.decodeShareRecord, shareLog.encodeShareRecord]
} as const
type Decode = (
  key: Buffer,
  value: Buffer | null
) => { type: string; version: number; key: Values; value: Values | null } | null
type Encode = (record: object) => { key: Buffer; value: Buffer | null }

test("the coordinators' topics", async t => {
  const keys = new Map<string, Buffer>()
  for (const line of golden<RecordVector>('coordinator-records.jsonl.br')) {
    const [decode, encode] = KEYED[line.topic as keyof typeof KEYED] as unknown as [Decode, Encode]
    const bytes = Buffer.from(line.hex, 'hex')
    const { fields } = schemas.get(line.record) as Message
    const id = `${line.topic} ${line.type}`
    if (line.part === 'key') {
      const read = decode(bytes, null)
      t.same(toKafkaJson(fields, read?.key as Values, 0), line.json, `${line.record} ${line.case}`)
      t.match(read, { type: line.record.slice(0, -3), version: -1, value: null })
      t.equal(encode(read as object).key.toString('hex'), line.hex)
      keys.set(id, bytes)
      continue
    }
    const read = decode(keys.get(id) as Buffer, bytes)
    t.same(
      toKafkaJson(fields, read?.value as Values, line.version),
      line.json,
      `${line.record} ${line.version} ${line.case}`
    )
    if (line.case !== 'unknown-tags') t.equal(encode(read as object).value?.toString('hex'), line.hex)
  }
  t.equal(keys.size, 25, 'all types')
})

test('the interpreter agrees on the records', async t => {
  for (const line of [
    ...golden<RecordVector>('coordinator-records.jsonl.br'),
    ...golden<RecordVector>('cluster-records.jsonl.br')
  ]) {
    const of = schemas.get(line.record) as Message
    // Behind the type or version of a coordinator's record, behind the three varints of a metadata record.
    const body = Buffer.from(line.hex, 'hex').subarray(line.topic === undefined ? 3 : 2)
    const [slow, fast] = [interpret(of, line.version), compile(of, line.version)]
    const value = slow.read(new Cursor(body))
    t.same(value, fast.read(new Cursor(body)), `${line.record} ${line.version} ${line.case}`)
    t.same(encodeBody(slow, value), encodeBody(fast, value))
  }
})

test('a record of an unknown type is passed over, one of a later version is not', async t => {
  t.equal(decodeOffsetsRecord(Buffer.from('006300', 'hex'), Buffer.alloc(4)), null)
  t.equal(decodeOffsetsKey(Buffer.from('0063', 'hex')), null)
  const { key } = encodeOffsetsRecord({
    type: 'OffsetCommit',
    key: { group: 'g', topic: 't', partition: 1 },
    value: null
  })
  t.same(decodeOffsetsKey(key), { type: 'OffsetCommit', key: { group: 'g', topic: 't', partition: 1 } })
  t.throws(() => decodeOffsetsRecord(key, Buffer.from('0063', 'hex')), { code: 'ERR_UNSUPPORTED_VERSION' })
  t.throws(() => decodeOffsetsRecord(key, Buffer.alloc(1)), { code: 'ERR_MALFORMED' })
  t.throws(() => decodeOffsetsRecord(Buffer.alloc(1), null), { code: 'ERR_MALFORMED' })
})

test('a version left out is the one that Kafka 4.3 writes, and hashes keep their 64 bits', async t => {
  const group = encodeOffsetsRecord({ type: 'GroupMetadata', key: { group: 'g' }, value: { protocolType: 'consumer' } })
  t.equal(group.value?.readInt16BE(0), 3)
  const commit = encodeOffsetsRecord({ type: 'OffsetCommit', key: {}, value: { offset: 5 } })
  t.equal(commit.value?.readInt16BE(0), 4)
  const metadataHash = 4016122738759897024n + 1n
  const hashed = encodeOffsetsRecord({
    type: 'ConsumerGroupMetadata',
    key: { groupId: 'g' },
    value: { epoch: 2, metadataHash }
  })
  t.match(decodeOffsetsRecord(hashed.key, hashed.value), {
    type: 'ConsumerGroupMetadata',
    value: { epoch: 2, metadataHash }
  })
})

test('control records', async t => {
  const endpoints = [{ name: 'CONTROLLER', host: 'a', port: 65535 }]
  const voters = [{ voterId: 1, endpoints, kRaftVersionFeature: { minSupportedVersion: 0, maxSupportedVersion: 1 } }]
  const drafts = [
    { type: 'COMMIT', record: { coordinatorEpoch: 7 } },
    { type: 'ABORT', record: { coordinatorEpoch: 8 } },
    { type: 'LEADER_CHANGE', record: { leaderId: 1, voters: [{ voterId: 1 }], grantingVoters: [{ voterId: 2 }] } },
    { type: 'SNAPSHOT_HEADER', record: { lastContainedLogTimestamp: 9 } },
    { type: 'SNAPSHOT_FOOTER', record: {} },
    { type: 'KRAFT_VERSION', record: { kRaftVersion: 1 } },
    { type: 'KRAFT_VOTERS', record: { voters } }
  ] as const
  for (const draft of drafts) {
    const { key, value } = encodeControlRecord(draft)
    t.match(decodeControlRecord(key, value), draft)
  }
  const marker = encodeControlRecord(drafts[0])
  t.equal(marker.key.toString('hex'), '00000001')
  t.equal(marker.value.toString('hex'), '000000000007', 'int16 version, int32 coordinator epoch')
  t.equal(decodeControlRecord(Buffer.from('00000063', 'hex'), Buffer.alloc(0)), null, 'an unknown type')
  t.throws(() => decodeControlRecord(marker.key, Buffer.alloc(3)), { code: 'ERR_MALFORMED' })
})

test('the embedded consumer protocol', async t => {
  for (const line of golden<{ message: string; version: number; case: string; hex: string; json: Values }>(
    'consumer-protocol.jsonl'
  )) {
    const bytes = Buffer.from(line.hex, 'hex')
    const { fields } = schemas.get(line.message) as Message
    const at = Math.min(line.version, 3)
    if (line.message === 'ConsumerProtocolSubscription') {
      const { version, subscription } = consumerProtocol.decodeSubscription(bytes)
      t.equal(version, line.version)
      t.same(toKafkaJson(fields, subscription, at), line.json)
      if (line.case !== 'future')
        t.equal(consumerProtocol.encodeSubscription(version, subscription).toString('hex'), line.hex)
    } else {
      const { version, assignment } = consumerProtocol.decodeAssignment(bytes)
      t.same(toKafkaJson(fields, assignment, at), line.json)
      if (line.case !== 'future')
        t.equal(consumerProtocol.encodeAssignment(version, assignment).toString('hex'), line.hex)
    }
  }
  t.throws(() => consumerProtocol.decodeSubscription(Buffer.from('ffff', 'hex')), { code: 'ERR_UNSUPPORTED_VERSION' })
})

test('quorum-state', async t => {
  for (const line of golden<{ name: string; text: string; json: Values }>('quorum-state.jsonl')) {
    const state = parseQuorumState(line.text)
    t.equal(formatQuorumState(state), line.text, line.name)
    t.equal(state.leaderId, line.json.leaderId)
    t.equal(state.votedId, line.json.votedId)
    t.equal(state.version, line.json.data_version)
  }
  const broken = [
    '',
    '[]',
    'null',
    '{"data_version":0}',
    '{"data_version":1,"leaderId":1,"leaderEpoch":1.5,"votedId":1}'
  ]
  for (const text of broken) t.throws(() => parseQuorumState(text), { name: 'MoldauError' }, text)
})

test('producer snapshots', async t => {
  for (const line of golden<{ name: string; hex: string; error?: string; json?: { producerEntries: Values[] } }>(
    'producer-snapshots.jsonl'
  )) {
    const file = Buffer.from(line.hex, 'hex')
    if (line.error !== undefined) {
      t.throws(() => decodeProducerSnapshot(file), { code: 'ERR_MALFORMED' }, line.name)
      continue
    }
    const entries = decodeProducerSnapshot(file)
    t.same(entries, line.json?.producerEntries)
    t.equal(encodeProducerSnapshot(entries).toString('hex'), line.hex, line.name)
  }
})

test('the principal of an envelope', async t => {
  const principal = { type: 'User', name: 'alice', tokenAuthenticated: true }
  const bytes = encodePrincipal(principal)
  t.equal(bytes.toString('hex'), '00000555736572' + '06616c696365' + '0100')
  t.same(decodePrincipal(bytes), principal)
})
