// Streams groups (KIP-1071). Names, types, defaults and limits are Kafka's.
import { ignoredRows, int, LATER } from './setting.ts'

export const streamsGroupsSettings = ignoredRows(LATER.streams, {
  'group.streams.assignment.interval.ms': int(1000, 'Time between two assignments of one group.', {
    update: 'cluster-wide',
    min: 0
  }),
  'group.streams.heartbeat.interval.ms': int(5000, 'How often members report.', { min: 1 }),
  'group.streams.initial.rebalance.delay.ms': int(3000, 'How long an empty group waits for further members.', {
    min: 0
  }),
  'group.streams.max.assignment.interval.ms': int(15000, 'The longest assignment interval that a group may set.', {
    min: 0
  }),
  'group.streams.max.heartbeat.interval.ms': int(15000, 'The longest heartbeat interval that a group may set.', {
    min: 1
  }),
  'group.streams.max.session.timeout.ms': int(60000, 'The longest session time-out that a group may set.', { min: 1 }),
  'group.streams.max.size': int(2147483647, 'Members that a group may have.', { min: 1 }),
  'group.streams.max.standby.replicas': int(2, 'The most standby copies that a group may set.', { min: 0 }),
  'group.streams.min.assignment.interval.ms': int(0, 'The shortest assignment interval that a group may set.', {
    min: 0
  }),
  'group.streams.min.heartbeat.interval.ms': int(5000, 'The shortest heartbeat interval that a group may set.', {
    min: 1
  }),
  'group.streams.min.session.timeout.ms': int(45000, 'The shortest session time-out that a group may set.', { min: 1 }),
  'group.streams.num.standby.replicas': int(0, 'Standby copies of each task.', { min: 0 }),
  'group.streams.session.timeout.ms': int(45000, 'A member that was silent this long is removed.', { min: 1 })
})
