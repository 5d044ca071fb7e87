// Share groups (KIP-932) and their coordinator. Names, types, defaults and limits are Kafka's.
import { ignoredRows, int, LATER, list, short, text } from './setting.ts'

export const sharesSettings = ignoredRows(LATER.share, {
  'group.share.assignment.interval.ms': int(1000, 'Time between two assignments of one group.', {
    update: 'cluster-wide',
    min: 0
  }),
  'group.share.assignors': list('simple', 'The assignors of share groups.'),
  'group.share.delivery.count.limit': int(5, 'How often a record is delivered before it is given up.', {
    min: 2,
    max: 10
  }),
  'group.share.heartbeat.interval.ms': int(5000, 'How often members report.', { min: 1 }),
  'group.share.initialize.retry.interval.ms': int(
    30000,
    'Wait before the state of a share partition is initialised again.',
    { min: 1, internal: true }
  ),
  'group.share.max.assignment.interval.ms': int(15000, 'The longest assignment interval that a group may set.', {
    min: 0
  }),
  'group.share.max.delivery.count.limit': int(10, 'The highest delivery count that a group may set.', {
    min: 5,
    max: 25
  }),
  'group.share.max.heartbeat.interval.ms': int(15000, 'The longest heartbeat interval that a group may set.', {
    min: 1
  }),
  'group.share.max.partition.max.record.locks': int(4000, 'The most record locks that a group may set.', {
    min: 2000,
    max: 10000
  }),
  'group.share.max.record.lock.duration.ms': int(60000, 'The longest record lock that a group may set.', {
    min: 30000,
    max: 3600000
  }),
  'group.share.max.session.timeout.ms': int(60000, 'The longest session time-out that a group may set.', { min: 1 }),
  'group.share.max.share.sessions': int(2000, 'Share sessions at the same time.', { min: 1 }),
  'group.share.max.size': int(200, 'Members that a group may have.', { min: 1, max: 1000 }),
  'group.share.min.assignment.interval.ms': int(0, 'The shortest assignment interval that a group may set.', {
    min: 0
  }),
  'group.share.min.delivery.count.limit': int(2, 'The lowest delivery count that a group may set.', { min: 2, max: 5 }),
  'group.share.min.heartbeat.interval.ms': int(5000, 'The shortest heartbeat interval that a group may set.', {
    min: 1
  }),
  'group.share.min.partition.max.record.locks': int(100, 'The fewest record locks that a group may set.', {
    min: 100,
    max: 2000
  }),
  'group.share.min.record.lock.duration.ms': int(15000, 'The shortest record lock that a group may set.', {
    min: 1000,
    max: 30000
  }),
  'group.share.min.session.timeout.ms': int(45000, 'The shortest session time-out that a group may set.', { min: 1 }),
  'group.share.partition.max.record.locks': int(2000, 'Records of one partition that are locked at the same time.', {
    min: 100,
    max: 10000
  }),
  'group.share.persister.class.name': text(
    'org.apache.kafka.server.share.persister.DefaultStatePersister',
    'The class that keeps the state of share groups.',
    { internal: true }
  ),
  'group.share.record.lock.duration.ms': int(30000, 'How long a delivered record stays locked.', {
    min: 1000,
    max: 3600000
  }),
  'group.share.session.timeout.ms': int(45000, 'A member that was silent this long is removed.', { min: 1 }),
  'share.coordinator.append.linger.ms': int(-1, 'How long the coordinator collects records; -1: adaptive.', {
    min: -1
  }),
  'share.coordinator.cached.buffer.max.bytes': int(1048588, 'The largest write buffer that the coordinator keeps.', {
    update: 'cluster-wide',
    min: 524288
  }),
  'share.coordinator.cold.partition.snapshot.interval.ms': int(
    300000,
    'How often partitions without traffic are written as snapshots.',
    { min: 1, internal: true }
  ),
  'share.coordinator.load.buffer.size': int(5242880, 'Bytes that are read at a time while state is loaded.', {
    min: 1
  }),
  'share.coordinator.snapshot.update.records.per.snapshot': int(
    500,
    "Updates between two snapshots of one partition's state.",
    { min: 0, max: 500 }
  ),
  'share.coordinator.state.topic.compression.codec': int(0, 'Compression of the state topic by number.'),
  'share.coordinator.state.topic.min.isr': short(2, 'The min.insync.replicas of the state topic.', { min: 1 }),
  'share.coordinator.state.topic.num.partitions': int(50, 'Partitions of the state topic.', { min: 1 }),
  'share.coordinator.state.topic.prune.interval.ms': int(300000, 'How often old state is deleted.', {
    min: 1,
    internal: true
  }),
  'share.coordinator.state.topic.replication.factor': short(3, 'Replicas of the state topic.', { min: 1 }),
  'share.coordinator.state.topic.segment.bytes': int(104857600, 'Size of a segment of the state topic.', { min: 1 }),
  'share.coordinator.threads': int(1, 'Threads of the share coordinator.', { min: 1 }),
  'share.coordinator.write.timeout.ms': int(5000, 'Time-out of a write of state.', { min: 1 }),
  'share.fetch.purgatory.purge.interval.requests': int(1000, 'Parked share fetches between two sweeps.')
})
