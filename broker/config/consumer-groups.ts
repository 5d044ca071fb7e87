// The consumer group protocol (KIP-848). Names, types, defaults and limits are Kafka's.
import { ignoredRows, int, LATER, list, text } from './setting.ts'

export const consumerGroupsSettings = ignoredRows(LATER.consumer, {
  'group.consumer.assignment.interval.ms': int(1000, 'Time between two assignments of one group.', {
    update: 'cluster-wide',
    min: 0
  }),
  'group.consumer.assignors': list('uniform,range', 'The assignors, the default one first.'),
  'group.consumer.heartbeat.interval.ms': int(5000, 'How often members report.', { min: 1 }),
  'group.consumer.max.assignment.interval.ms': int(15000, 'The longest assignment interval that a group may set.', {
    min: 0
  }),
  'group.consumer.max.heartbeat.interval.ms': int(15000, 'The longest heartbeat interval that a group may set.', {
    min: 1
  }),
  'group.consumer.max.session.timeout.ms': int(60000, 'The longest session time-out that a group may set.', { min: 1 }),
  'group.consumer.max.size': int(2147483647, 'Members that a group may have.', { min: 1 }),
  'group.consumer.migration.policy': text(
    'bidirectional',
    'Whether groups may move between the classic and the consumer protocol, and which way.',
    { ignoreCase: true, oneOf: ['DISABLED', 'DOWNGRADE', 'UPGRADE', 'BIDIRECTIONAL'] }
  ),
  'group.consumer.min.assignment.interval.ms': int(0, 'The shortest assignment interval that a group may set.', {
    min: 0
  }),
  'group.consumer.min.heartbeat.interval.ms': int(5000, 'The shortest heartbeat interval that a group may set.', {
    min: 1
  }),
  'group.consumer.min.session.timeout.ms': int(45000, 'The shortest session time-out that a group may set.', {
    min: 1
  }),
  'group.consumer.regex.refresh.interval.ms': int(600000, 'How often subscriptions by pattern are resolved again.', {
    min: 10000,
    internal: true
  }),
  'group.consumer.session.timeout.ms': int(45000, 'A member that was silent this long is removed.', { min: 1 })
})
