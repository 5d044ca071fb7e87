// Settings of one group (the GROUP resource), of one client metrics subscription (CLIENT_METRICS, KIP-714), and per-broker throttles. Names, types, defaults and limits are Kafka's.
import { boolean, ignoredRows, int, LATER, list, long, NEVER, text, word } from './setting.ts'

export const groupSettings = {
  ...ignoredRows(LATER.consumer, {
    'consumer.assignment.interval.ms': int(1000, 'Time between two assignments.', { min: 0 }),
    'consumer.heartbeat.interval.ms': int(5000, 'How often members report.', { min: 1 }),
    'consumer.session.timeout.ms': int(45000, 'A member that was silent this long is removed.', { min: 1 })
  }),
  ...ignoredRows(LATER.share, {
    'share.assignment.interval.ms': int(1000, 'Time between two assignments.', { min: 0 }),
    'share.auto.offset.reset': text(
      'latest',
      'Where a new share group begins: earliest, latest, or by_duration: and an ISO 8601 duration.',
      {
        pattern: {
          like: /^(latest|earliest|by_duration:P(?=[\dT])(\d+D)?(T(?=\d)(\d+H)?(\d+M)?(\d+(\.\d+)?S)?)?)$/i,
          says: 'latest, earliest, or by_duration:PnDTnHnMn.nS'
        }
      }
    ),
    'share.delivery.count.limit': int(5, 'How often a record is delivered before it is given up.', { min: 2 }),
    'share.heartbeat.interval.ms': int(5000, 'How often members report.', { min: 1 }),
    'share.isolation.level': word(
      'read_uncommitted',
      ['read_committed', 'read_uncommitted'],
      'Whether records of open and aborted transactions are delivered.'
    ),
    'share.partition.max.record.locks': int(2000, 'Records of one partition that are locked at the same time.', {
      min: 100
    }),
    'share.record.lock.duration.ms': int(30000, 'How long a delivered record stays locked.', { min: 1000 }),
    'share.renew.acknowledge.enable': boolean(true, 'Let consumers renew the lock of a record.'),
    'share.session.timeout.ms': int(45000, 'A member that was silent this long is removed.', { min: 1 })
  }),
  ...ignoredRows(LATER.streams, {
    'streams.assignment.interval.ms': int(1000, 'Time between two assignments.', { min: 0 }),
    'streams.heartbeat.interval.ms': int(5000, 'How often members report.', { min: 1 }),
    'streams.initial.rebalance.delay.ms': int(3000, 'How long an empty group waits for further members.', { min: 0 }),
    'streams.num.standby.replicas': int(0, 'Standby copies of each task.', { min: 0 }),
    'streams.session.timeout.ms': int(45000, 'A member that was silent this long is removed.', { min: 1 })
  })
}

/** The broker setting behind a group setting. */
export const GROUP_SYNONYMS: Readonly<Record<string, string>> = {
  'consumer.assignment.interval.ms': 'group.consumer.assignment.interval.ms',
  'consumer.heartbeat.interval.ms': 'group.consumer.heartbeat.interval.ms',
  'consumer.session.timeout.ms': 'group.consumer.session.timeout.ms',
  'share.assignment.interval.ms': 'group.share.assignment.interval.ms',
  'share.delivery.count.limit': 'group.share.delivery.count.limit',
  'share.heartbeat.interval.ms': 'group.share.heartbeat.interval.ms',
  'share.partition.max.record.locks': 'group.share.partition.max.record.locks',
  'share.record.lock.duration.ms': 'group.share.record.lock.duration.ms',
  'share.session.timeout.ms': 'group.share.session.timeout.ms',
  'streams.assignment.interval.ms': 'group.streams.assignment.interval.ms',
  'streams.heartbeat.interval.ms': 'group.streams.heartbeat.interval.ms',
  'streams.initial.rebalance.delay.ms': 'group.streams.initial.rebalance.delay.ms',
  'streams.num.standby.replicas': 'group.streams.num.standby.replicas',
  'streams.session.timeout.ms': 'group.streams.session.timeout.ms'
}

export const clientMetricsSettings = ignoredRows('clients are asked for no metrics yet', {
  'interval.ms': int(300000, 'How often clients push, in milliseconds.', { min: 100, max: 3600000 }),
  match: list('', 'Which clients push: name=pattern, comma-separated.'),
  metrics: list('', 'Prefixes of the metrics that are pushed.')
})

/** Dynamic settings of a broker that no file knows (server-common/.../config/QuotaConfig.java). */
export const brokerQuotaSettings = ignoredRows(LATER.quotas, {
  'leader.replication.throttled.rate': long(NEVER, 'Bytes a second that leaders send to throttled replicas.', {
    update: 'per-broker',
    min: 0
  }),
  'follower.replication.throttled.rate': long(NEVER, 'Bytes a second that throttled followers fetch.', {
    update: 'per-broker',
    min: 0
  }),
  'replica.alter.log.dirs.io.max.bytes.per.second': long(NEVER, 'Bytes a second that are moved between directories.', {
    update: 'per-broker',
    min: 0
  })
})
