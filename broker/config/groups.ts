// Classic consumer groups, and the offsets that groups commit. Names, types, defaults and limits are Kafka's.
import { int, LATER, list, long, short } from './setting.ts'

export const groupsSettings = {
  'group.min.session.timeout.ms': int(6000, 'The shortest session time-out that a member may ask for.'),
  'group.max.session.timeout.ms': int(1800000, 'The longest session time-out that a member may ask for.'),
  'group.initial.rebalance.delay.ms': int(
    3000,
    'How long an empty group waits for further members before its first rebalance.'
  ),
  'group.max.size': int(2147483647, 'Members that a group may have.', { min: 1 }),
  'group.coordinator.append.linger.ms': int(
    -1,
    'How long the coordinator collects records before it writes them; -1: adaptive.',
    { min: -1, ignored: 'records of one turn are written together, and nothing waits' }
  ),
  'group.coordinator.threads': int(4, 'Threads of the group coordinator.', { min: 1, ignored: LATER.threads }),
  'group.coordinator.background.threads': int(2, 'Threads of the group coordinator for long jobs.', {
    min: 1,
    ignored: LATER.threads
  }),
  'group.coordinator.cached.buffer.max.bytes': int(1048588, 'The largest write buffer that the coordinator keeps.', {
    update: 'cluster-wide',
    min: 524288,
    ignored: 'buffers are not kept between writes'
  }),
  'group.coordinator.rebalance.protocols': list('classic,consumer,streams', 'The group protocols that are offered.', {
    oneOf: ['consumer', 'classic', 'share', 'streams']
  }),
  'offset.metadata.max.bytes': int(4096, 'The longest text that a commit may carry with an offset.'),
  'offsets.commit.timeout.ms': int(5000, 'A commit that is not on the replicas after this time fails.', { min: 1 }),
  'offsets.load.buffer.size': int(5242880, 'Bytes that are read at a time while offsets are loaded.', {
    min: 1,
    ignored: 'offsets are read in pieces of their own size'
  }),
  'offsets.retention.check.interval.ms': long(600000, 'How often expired offsets are looked for.', { min: 1 }),
  'offsets.retention.minutes': int(
    10080,
    'An offset is dropped this long after its last commit, or after its group became empty.',
    { min: 1 }
  ),
  'offsets.topic.compression.codec': int(
    0,
    'Compression of the offsets topic by number: 0 none, 1 gzip, 2 snappy, 3 lz4, 4 zstd.',
    { min: 0, max: 4, ignored: 'commits are small, and compaction keeps the newest only' }
  ),
  'offsets.topic.num.partitions': int(50, 'Partitions of the offsets topic when it is created.', { min: 1 }),
  'offsets.topic.replication.factor': short(
    3,
    'Replicas of the offsets topic when it is created; as many as there are brokers, if those are fewer.',
    { min: 1 }
  ),
  'offsets.topic.segment.bytes': int(104857600, 'Size of a segment of the offsets topic.', { min: 1 })
}
