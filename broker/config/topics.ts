// Settings of one topic. Names, types, defaults and limits are Kafka's.
import { boolean, double, int, LATER, list, long, NEVER, word } from './setting.ts'

const MINUTE_MS = 60_000
const HOUR_MS = 3_600_000
const THROTTLED = {
  like: /^(\*|(\d+:\d+(,\d+:\d+)*)?)$/,
  says: 'partition:broker,partition:broker,... or *'
}

export const topicSettings = {
  'cleanup.policy': list(
    'delete',
    'What happens to old records: delete, compact, both, or (empty) nothing (KIP-1161).',
    { oneOf: ['compact', 'delete'] }
  ),
  'compression.gzip.level': int(-1, 'Level of gzip, where compression.type is gzip.', { min: 1, max: 9, or: -1 }),
  'compression.lz4.level': int(9, 'Level of lz4, where compression.type is lz4.', {
    min: 1,
    max: 17,
    ignored: 'the library for lz4 has one level'
  }),
  'compression.type': word(
    'producer',
    ['uncompressed', 'zstd', 'lz4', 'snappy', 'gzip', 'producer'],
    'How records are compressed on disk; producer: as they come.'
  ),
  'compression.zstd.level': int(3, 'Level of zstd, where compression.type is zstd.', { min: -131072, max: 22 }),
  'delete.retention.ms': long(86400000, 'How long tombstones and markers of a compacted topic stay.', { min: 0 }),
  'file.delete.delay.ms': long(60000, 'A deleted file stays on disk this long, for readers that still use it.', {
    min: 0
  }),
  'flush.messages': long(NEVER, 'Sync the log after this many records.', { min: 1 }),
  'flush.ms': long(NEVER, 'Sync the log at the latest this long after an append.', { min: 0 }),
  'follower.replication.throttled.replicas': list(
    '',
    'Replicas whose followers are throttled: partition:broker, comma-separated, or *.',
    { pattern: THROTTLED, ignored: LATER.quotas }
  ),
  'index.interval.bytes': int(4096, 'Bytes of records between two entries of an index.', { min: 0 }),
  'internal.segment.bytes': int(null, 'Overrides segment.bytes in tests, without its lower limit.', { internal: true }),
  'leader.replication.throttled.replicas': list(
    '',
    'Replicas whose leaders are throttled: partition:broker, comma-separated, or *.',
    { pattern: THROTTLED, ignored: LATER.quotas }
  ),
  'local.retention.bytes': long(-2, 'How many bytes stay on local disk; -2: as retention.bytes.', {
    min: -2,
    ignored: LATER.tiered
  }),
  'local.retention.ms': long(-2, 'How long records stay on local disk; -2: as retention.ms.', {
    min: -2,
    ignored: LATER.tiered
  }),
  'max.compaction.lag.ms': long(NEVER, 'A record is compacted at the latest after this time.', { min: 1 }),
  'max.message.bytes': int(1048588, 'The largest record batch that is taken, after compression.', { min: 0 }),
  'message.timestamp.after.max.ms': long(3600000, "How far a record's timestamp may lie in the future.", { min: 0 }),
  'message.timestamp.before.max.ms': long(NEVER, "How far a record's timestamp may lie in the past.", { min: 0 }),
  'message.timestamp.type': word(
    'CreateTime',
    ['CreateTime', 'LogAppendTime'],
    "Whose clock stamps records: the producer's (CreateTime) or the broker's (LogAppendTime)."
  ),
  'min.cleanable.dirty.ratio': double(
    '0.5',
    'The part of the log that must be uncompacted before it is compacted again.',
    { min: 0, max: 1 }
  ),
  'min.compaction.lag.ms': long(0, 'A record stays uncompacted at least this long.', { min: 0 }),
  'min.insync.replicas': int(1, 'Replicas that must have a record before acks=all is answered.', { min: 1 }),
  preallocate: boolean(false, "Reserve a segment's bytes on disk when it is created."),
  'remote.log.copy.disable': boolean(false, 'Stop copying to remote storage.', { ignored: LATER.tiered }),
  'remote.log.delete.on.disable': boolean(false, 'Delete remote data when remote storage is turned off.', {
    ignored: LATER.tiered
  }),
  'remote.storage.enable': boolean(false, 'Copy segments to remote storage; cannot be true here.'),
  'retention.bytes': long(-1, 'How many bytes of one partition are kept; -1: no limit.'),
  'retention.ms': long(604800000, 'How long records are kept; -1: for ever.', { min: -1 }),
  'segment.bytes': int(1073741824, 'A segment that would grow beyond this is followed by a new one.', { min: 1048576 }),
  'segment.index.bytes': int(10485760, 'A segment whose index would grow beyond this is followed by a new one.', {
    min: 4
  }),
  'segment.jitter.ms': long(0, 'A random time up to this is taken off the age at which a segment is rolled.', {
    min: 0
  }),
  'segment.ms': long(604800000, 'A segment older than this is followed by a new one.', { min: 1 }),
  'unclean.leader.election.enable': boolean(false, 'Let a replica lead that may lack acknowledged records.')
}

export type TopicKey = keyof typeof topicSettings

/** The broker settings behind a topic setting, the first one that is set wins; the factor turns its unit into ours
 *  (ServerTopicConfigSynonyms.java). Topic settings that are not here have no broker-wide value. */
export const TOPIC_SYNONYMS = {
  'cleanup.policy': [['log.cleanup.policy', 1]],
  'compression.gzip.level': [['compression.gzip.level', 1]],
  'compression.lz4.level': [['compression.lz4.level', 1]],
  'compression.type': [['compression.type', 1]],
  'compression.zstd.level': [['compression.zstd.level', 1]],
  'delete.retention.ms': [['log.cleaner.delete.retention.ms', 1]],
  'file.delete.delay.ms': [['log.segment.delete.delay.ms', 1]],
  'flush.messages': [['log.flush.interval.messages', 1]],
  'flush.ms': [
    ['log.flush.interval.ms', 1],
    ['log.flush.scheduler.interval.ms', 1]
  ],
  'index.interval.bytes': [['log.index.interval.bytes', 1]],
  'local.retention.bytes': [['log.local.retention.bytes', 1]],
  'local.retention.ms': [['log.local.retention.ms', 1]],
  'max.compaction.lag.ms': [['log.cleaner.max.compaction.lag.ms', 1]],
  'max.message.bytes': [['message.max.bytes', 1]],
  'message.timestamp.after.max.ms': [['log.message.timestamp.after.max.ms', 1]],
  'message.timestamp.before.max.ms': [['log.message.timestamp.before.max.ms', 1]],
  'message.timestamp.type': [['log.message.timestamp.type', 1]],
  'min.cleanable.dirty.ratio': [['log.cleaner.min.cleanable.ratio', 1]],
  'min.compaction.lag.ms': [['log.cleaner.min.compaction.lag.ms', 1]],
  'min.insync.replicas': [['min.insync.replicas', 1]],
  preallocate: [['log.preallocate', 1]],
  'retention.bytes': [['log.retention.bytes', 1]],
  'retention.ms': [
    ['log.retention.ms', 1],
    ['log.retention.minutes', MINUTE_MS],
    ['log.retention.hours', HOUR_MS]
  ],
  'segment.bytes': [['log.segment.bytes', 1]],
  'segment.index.bytes': [['log.index.size.max.bytes', 1]],
  'segment.jitter.ms': [
    ['log.roll.jitter.ms', 1],
    ['log.roll.jitter.hours', HOUR_MS]
  ],
  'segment.ms': [
    ['log.roll.ms', 1],
    ['log.roll.hours', HOUR_MS]
  ],
  'unclean.leader.election.enable': [['unclean.leader.election.enable', 1]]
} as const satisfies Partial<Record<TopicKey, readonly (readonly [string, number])[]>>
