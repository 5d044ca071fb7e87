// What __cluster_metadata holds (KIP-631). A record's value opens with three unsigned varints: frame version (1), type,
// version; the body follows, and nothing after it. Keys are null.

import { codecOf } from '../compile.ts'
import { Cursor, malformed } from '../cursor.ts'
import { MoldauError } from '../failure.ts'
import { encodeBody } from '../frame.ts'
import type { Message, RecordDraft, RecordOf } from '../schema.ts'
import * as nodes from './metadata-nodes.ts'
import * as topics from './metadata-topics.ts'

const FRAME_VERSION = 1

const TYPES = {
  RegisterBrokerRecord: { id: 0, of: nodes.registerBrokerRecord },
  UnregisterBrokerRecord: { id: 1, of: nodes.unregisterBrokerRecord },
  TopicRecord: { id: 2, of: topics.topicRecord },
  PartitionRecord: { id: 3, of: topics.partitionRecord },
  ConfigRecord: { id: 4, of: topics.configRecord },
  PartitionChangeRecord: { id: 5, of: topics.partitionChangeRecord },
  FenceBrokerRecord: { id: 7, of: nodes.fenceBrokerRecord },
  UnfenceBrokerRecord: { id: 8, of: nodes.unfenceBrokerRecord },
  RemoveTopicRecord: { id: 9, of: topics.removeTopicRecord },
  DelegationTokenRecord: { id: 10, of: topics.delegationTokenRecord },
  UserScramCredentialRecord: { id: 11, of: topics.userScramCredentialRecord },
  FeatureLevelRecord: { id: 12, of: nodes.featureLevelRecord },
  ClientQuotaRecord: { id: 14, of: topics.clientQuotaRecord },
  ProducerIdsRecord: { id: 15, of: topics.producerIdsRecord },
  BrokerRegistrationChangeRecord: { id: 17, of: nodes.brokerRegistrationChangeRecord },
  AccessControlEntryRecord: { id: 18, of: topics.accessControlEntryRecord },
  RemoveAccessControlEntryRecord: { id: 19, of: topics.removeAccessControlEntryRecord },
  NoOpRecord: { id: 20, of: nodes.noOpRecord },
  ZkMigrationStateRecord: { id: 21, of: nodes.zkMigrationStateRecord },
  RemoveUserScramCredentialRecord: { id: 22, of: topics.removeUserScramCredentialRecord },
  BeginTransactionRecord: { id: 23, of: nodes.beginTransactionRecord },
  EndTransactionRecord: { id: 24, of: nodes.endTransactionRecord },
  AbortTransactionRecord: { id: 25, of: nodes.abortTransactionRecord },
  RemoveDelegationTokenRecord: { id: 26, of: topics.removeDelegationTokenRecord },
  RegisterControllerRecord: { id: 27, of: nodes.registerControllerRecord },
  ClearElrRecord: { id: 28, of: topics.clearElrRecord }
} as const satisfies { readonly [name: string]: { readonly id: number; readonly of: Message } }

type Types = typeof TYPES
export type MetadataType = keyof Types

/** A record as read: `type` tells which fields `record` has. */
export type MetadataRecord = {
  [N in MetadataType]: { readonly type: N; readonly version: number; readonly record: RecordOf<Types[N]['of']> }
}[MetadataType]

/** A record to write; without a version it is the highest, which Kafka 4.3 writes at its own metadata.version. */
export type MetadataDraft = {
  [N in MetadataType]: { readonly type: N; readonly version?: number; readonly record: RecordDraft<Types[N]['of']> }
}[MetadataType]

const typeOf = new Map<number, MetadataType>()
for (const [type, { id }] of Object.entries(TYPES)) typeOf.set(id, type as MetadataType)

/** An unknown type or version is ERR_UNSUPPORTED_VERSION: skipping it would make this node's image another one. */
export function decodeMetadataRecord(value: Buffer): MetadataRecord {
  const cursor = new Cursor(value)
  const frame = cursor.uvarint()
  if (frame !== FRAME_VERSION) {
    throw new MoldauError('ERR_UNSUPPORTED_VERSION', `a metadata record of frame version ${frame}`)
  }
  const id = cursor.uvarint()
  const version = cursor.uvarint()
  const type = typeOf.get(id)
  if (type === undefined) throw new MoldauError('ERR_UNSUPPORTED_VERSION', `a metadata record of type ${id}`)
  const record = codecOf(TYPES[type].of as Message, version).read(cursor)
  // As AbstractApiMessageSerde: what follows the body would be lost unseen.
  if (cursor.remaining > 0) throw malformed(`${type}: ${cursor.remaining} bytes follow the record`, cursor.position)
  return { type, version, record } as MetadataRecord
}

export function encodeMetadataRecord(draft: MetadataDraft): Buffer {
  const { id, of } = TYPES[draft.type]
  const version = draft.version ?? of.versions[1]
  return encodeBody(codecOf(of as Message, version), draft.record, sink => {
    sink.uvarint(FRAME_VERSION)
    sink.uvarint(id)
    sink.uvarint(version)
  })
}
