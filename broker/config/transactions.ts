// Transactions and their coordinator. Names, types, defaults and limits are Kafka's.
import { boolean, ignoredRows, int, LATER, short } from './setting.ts'

export const transactionsSettings = ignoredRows(LATER.transactions, {
  'add.partitions.to.txn.retry.backoff.max.ms': int(
    100,
    'The longest wait before a partition is added to a transaction again.',
    { min: 0 }
  ),
  'add.partitions.to.txn.retry.backoff.ms': int(
    20,
    'The first wait before a partition is added to a transaction again.',
    { min: 1 }
  ),
  'transaction.abort.timed.out.transaction.cleanup.interval.ms': int(
    10000,
    'How often timed-out transactions are aborted.',
    { min: 1 }
  ),
  'transaction.max.timeout.ms': int(900000, 'The longest transaction time-out that a producer may ask for.', {
    min: 1
  }),
  'transaction.partition.verification.enable': boolean(
    true,
    'Check that a partition belongs to the transaction before it is written (KIP-890).',
    { update: 'cluster-wide' }
  ),
  'transaction.remove.expired.transaction.cleanup.interval.ms': int(
    3600000,
    'How often expired transactional ids are looked for.',
    { min: 1 }
  ),
  'transaction.state.log.load.buffer.size': int(5242880, 'Bytes that are read at a time while state is loaded.', {
    min: 1
  }),
  'transaction.state.log.min.isr': int(2, 'The min.insync.replicas of the transaction topic.', { min: 1 }),
  'transaction.state.log.num.partitions': int(50, 'Partitions of the transaction topic.', { min: 1 }),
  'transaction.state.log.replication.factor': short(3, 'Replicas of the transaction topic.', { min: 1 }),
  'transaction.state.log.segment.bytes': int(104857600, 'Size of a segment of the transaction topic.', { min: 1 }),
  'transaction.two.phase.commit.enable': boolean(false, 'Let external coordinators prepare transactions (KIP-939).'),
  'transactional.id.expiration.ms': int(604800000, 'A transactional id without use for this long is forgotten.', {
    min: 1
  })
})
