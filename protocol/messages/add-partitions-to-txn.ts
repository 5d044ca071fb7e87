// AddPartitionsToTxn, API key 24. 4 and 5 are for brokers: many transactions at once, verification only (KIP-890).

import { api, array, bool, i16, i32, i64, text } from '../schema.ts'

const addPartitionsToTxnTopic = {
  name: text,
  partitions: array(i32)
}

const addPartitionsToTxnPartitionResult = {
  partitionIndex: i32,
  partitionErrorCode: i16
}

const addPartitionsToTxnTopicResult = {
  name: text,
  resultsByPartition: array(addPartitionsToTxnPartitionResult)
}

/** Adds partitions to a transaction. */
export const addPartitionsToTxn = api({
  key: 24,
  name: 'AddPartitionsToTxn',
  versions: [0, 5],
  flexibleFrom: 3,
  listeners: ['broker'],
  request: {
    transactions: array({
      transactionalId: text,
      producerId: i64,
      producerEpoch: i16,
      verifyOnly: bool,
      topics: array(addPartitionsToTxnTopic)
    }).since(4),
    v3AndBelowTransactionalId: text.until(3),
    v3AndBelowProducerId: i64.until(3),
    v3AndBelowProducerEpoch: i16.until(3),
    v3AndBelowTopics: array(addPartitionsToTxnTopic).until(3)
  },
  response: {
    throttleTimeMs: i32,
    errorCode: i16.since(4),
    resultsByTransaction: array({
      transactionalId: text,
      topicResults: array(addPartitionsToTxnTopicResult)
    }).since(4),
    resultsByTopicV3AndBelow: array(addPartitionsToTxnTopicResult).until(3)
  }
})
