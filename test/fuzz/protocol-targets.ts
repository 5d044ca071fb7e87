// Fuzz targets of protocol/: messages by both codecs, which must agree, frames, and the records of the cluster's topics.

import assert from 'node:assert/strict'
import { apiByKey } from '../../protocol/apis.ts'
import { decodeAssignment, decodeSubscription } from '../../protocol/cluster/consumer-protocol.ts'
import { decodeControlRecord, encodeControlRecord } from '../../protocol/cluster/control.ts'
import { decodeMetadataRecord } from '../../protocol/cluster/metadata.ts'
import { decodeOffsetsRecord } from '../../protocol/cluster/offsets.ts'
import { decodePrincipal, encodePrincipal } from '../../protocol/cluster/principal.ts'
import { decodeProducerSnapshot } from '../../protocol/cluster/producer-snapshot.ts'
import { parseQuorumState } from '../../protocol/cluster/quorum-state.ts'
import { decodeShareRecord } from '../../protocol/cluster/share-log.ts'
import { decodeTransactionRecord } from '../../protocol/cluster/transaction-log.ts'
import { codecOf } from '../../protocol/compile.ts'
import { Cursor } from '../../protocol/cursor.ts'
import { isFailure } from '../../protocol/failure.ts'
import {
  decodeRequest,
  decodeResponse,
  encodeRequest,
  encodeResponse,
  parseRequestHeader
} from '../../protocol/frame.ts'
import { interpret } from '../../protocol/interpret.ts'
import type { Api, Codec } from '../../protocol/schema.ts'
import { golden, type MessageVector, type RecordVector } from '../protocol/golden.ts'
import type { Target } from './targets.ts'

const fromHex = (line: { hex: string }): Buffer => Buffer.from(line.hex, 'hex')

export function protocolTargets(): Target[] {
  return [...messages(), frames(), ...records(), ...files()]
}

/** One target per API, direction and version. */
function messages(): Target[] {
  const groups = new Map<string, MessageVector[]>()
  for (const vector of golden<MessageVector>('messages.jsonl.br')) {
    const name = `${apiByKey(vector.key)?.name} ${vector.type} ${vector.version}`
    groups.set(name, [...(groups.get(name) ?? []), vector])
  }
  return [...groups].map(([name, vectors]) => {
    const { key, type, version } = vectors[0] as MessageVector
    const of = (apiByKey(key) as Api)[type]
    const slow = interpret(of, version)
    // The longest samples make the deepest mutants, but most of their bytes are alike: up to 4 KiB is enough.
    const samples = vectors.map(fromHex).filter(bytes => bytes.length <= 4096)
    return { name, samples, decode: bytes => agreed(codecOf(of, version), slow, bytes) }
  })
}

/** Both codecs must refuse, or give the same and end at the same byte. */
function agreed(fast: Codec, slow: Codec, bytes: Buffer): unknown {
  const [a, b] = [outcome(fast, bytes), outcome(slow, bytes)]
  assert.deepEqual(a, b)
  return a
}

function outcome(codec: Codec, bytes: Buffer): unknown {
  const cursor = new Cursor(bytes)
  try {
    return { value: codec.read(cursor), position: cursor.position }
  } catch (error) {
    if (!isFailure(error, 'ERR_MALFORMED')) throw error
    return 'refused'
  }
}

function frames(): Target {
  const samples: Buffer[] = []
  for (const key of [0, 1, 3, 18, 36]) {
    const one = apiByKey(key) as Api
    for (const version of one.versions) {
      samples.push(Buffer.concat(encodeRequest(one, version, 7, 'client', {})).subarray(4))
      samples.push(Buffer.concat(encodeResponse(one, version, 7, {})).subarray(4))
    }
  }
  const decode = (bytes: Buffer): unknown => {
    const { apiKey, apiVersion, position } = parseRequestHeader(bytes)
    const one = apiByKey(apiKey) ?? (apiByKey(3) as Api)
    return [decodeRequest(one, apiVersion, bytes, position), decodeResponse(one, apiVersion, bytes)]
  }
  return { name: 'frames', samples, decode }
}

function records(): Target[] {
  const coordinators = golden<RecordVector>('coordinator-records.jsonl.br')
  const keyed = {
    __consumer_offsets: decodeOffsetsRecord,
    __transaction_state: decodeTransactionRecord,
    __share_group_state: decodeShareRecord
  }
  const made = Object.entries(keyed).flatMap(([topic, decode]): Target[] => {
    const lines = coordinators.filter(line => line.topic === topic)
    const keys = new Map(lines.filter(line => line.part === 'key').map(line => [line.type, fromHex(line)]))
    return [...keys].map(([type, key]) => {
      const samples = lines.filter(line => line.type === type).map(fromHex)
      // The bytes stand for the key and for the value by turns.
      return { name: `${topic} ${type}`, samples, decode: bytes => [decode(bytes, null), decode(key, bytes)] }
    })
  })
  const metadata = golden<RecordVector>('cluster-records.jsonl.br').map(fromHex)
  made.push({ name: '__cluster_metadata', samples: metadata, decode: decodeMetadataRecord })
  const types = ['COMMIT', 'LEADER_CHANGE', 'KRAFT_VOTERS'] as const
  for (const type of types) {
    const { key, value } = encodeControlRecord({ type, record: {} })
    made.push({
      name: `control ${type}`,
      samples: [value],
      decode: bytes => [decodeControlRecord(key, bytes), decodeControlRecord(bytes, value)]
    })
  }
  return made
}

function files(): Target[] {
  const embedded = golden<{ hex: string }>('consumer-protocol.jsonl').map(fromHex)
  const snapshots = golden<{ hex: string }>('producer-snapshots.jsonl').map(fromHex)
  const states = golden<{ text: string }>('quorum-state.jsonl').map(line => Buffer.from(line.text))
  const principal = encodePrincipal({ type: 'User', name: 'alice', tokenAuthenticated: false })
  return [
    { name: 'subscription', samples: embedded, decode: decodeSubscription },
    { name: 'assignment', samples: embedded, decode: decodeAssignment },
    { name: 'principal', samples: [principal], decode: decodePrincipal },
    { name: 'producer snapshot', samples: snapshots, decode: decodeProducerSnapshot },
    { name: 'quorum-state', samples: states, decode: bytes => parseQuorumState(bytes.toString()) }
  ]
}
