// What __transaction_state holds: one record per transactional id.

import { array, i8, i16, i32, i64, message, text } from '../schema.ts'
import { KeyedCodec, type KeyedDraft, type KeyedRecord } from './keyed.ts'

/** Which transactional id. */
export const transactionLogKey = message({
  name: 'TransactionLogKey',
  versions: [0, 0],
  flexibleFrom: null,
  fields: {
    transactionalId: text
  }
})

/** The state of a transaction. 1 is flexible and serves transaction version 2 (KIP-890). */
export const transactionLogValue = message({
  name: 'TransactionLogValue',
  versions: [0, 1],
  flexibleFrom: 1,
  fields: {
    producerId: i64,
    previousProducerId: i64.tag(0, 1).default(-1),
    nextProducerId: i64.tag(1, 1).default(-1),
    producerEpoch: i16,
    nextProducerEpoch: i16.tag(3, 1).default(-1),
    transactionTimeoutMs: i32,
    transactionStatus: i8,
    transactionPartitions: array({
      topic: text,
      partitionIds: array(i32)
    }).orNull(),
    transactionLastUpdateTimestampMs: i64,
    transactionStartTimestampMs: i64,
    clientTransactionVersion: i16.tag(2, 1)
  }
})

const TYPES = { TransactionLog: { id: 0, key: transactionLogKey, value: transactionLogValue } } as const

export type TransactionRecord = KeyedRecord<typeof TYPES>
export type TransactionDraft = KeyedDraft<typeof TYPES>

const codec = new KeyedCodec(TYPES)

/** Null for a type that is not known: to be skipped. */
export function decodeTransactionRecord(key: Buffer, value: Buffer | null): TransactionRecord | null {
  return codec.decode(key, value)
}

export function encodeTransactionRecord(record: TransactionDraft): { key: Buffer; value: Buffer | null } {
  return codec.encode(record)
}
