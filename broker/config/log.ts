// Logs on disk. Most of these are the defaults of topic settings. Names, types, defaults and limits are Kafka's.
import { boolean, double, int, LATER, list, long, NEVER, word } from './setting.ts'

export const logSettings = {
  'log.dir': list('/tmp/kafka-logs', 'The data directory; log.dirs goes first.'),
  'log.dirs': list(null, 'The data directory (one for now).'),
  'cordoned.log.dirs': list('', 'Directories that get no new replicas.', {
    update: 'per-broker',
    ignored: 'there is one log directory'
  }),
  'log.segment.bytes': int(1073741824, 'A segment that would grow beyond this is followed by a new one.', {
    update: 'cluster-wide',
    min: 1048576
  }),
  'log.roll.ms': long(null, 'A segment older than this is followed by a new one; goes before log.roll.hours.', {
    update: 'cluster-wide'
  }),
  'log.roll.hours': int(168, 'The same in hours.', { min: 1 }),
  'log.roll.jitter.ms': long(
    null,
    'A random time up to this is taken off the age at which a segment is rolled; goes before log.roll.jitter.hours.',
    { update: 'cluster-wide' }
  ),
  'log.roll.jitter.hours': int(0, 'The same in hours.', { min: 0 }),
  'log.retention.ms': long(null, 'How long records are kept (-1: for ever); goes before minutes and hours.', {
    update: 'cluster-wide',
    min: 1,
    or: -1
  }),
  'log.retention.minutes': int(null, 'The same in minutes; goes before hours.', { min: 1, or: -1 }),
  'log.retention.hours': int(168, 'The same in hours.', { min: 1, or: -1 }),
  'log.retention.bytes': long(-1, 'How many bytes of one partition are kept; -1: no limit.', {
    update: 'cluster-wide'
  }),
  'log.retention.check.interval.ms': long(300000, 'How often old segments are looked for.', { min: 1 }),
  'log.initial.task.delay.ms': long(30000, 'The first look for old segments comes this long after the start.', {
    min: 0,
    internal: true
  }),
  'log.segment.delete.delay.ms': long(60000, 'A deleted file stays on disk this long, for readers that still use it.', {
    update: 'cluster-wide',
    min: 0
  }),
  'log.index.size.max.bytes': int(10485760, 'A segment whose index would grow beyond this is followed by a new one.', {
    update: 'cluster-wide',
    min: 4
  }),
  'log.index.interval.bytes': int(4096, 'Bytes of records between two entries of an index.', {
    update: 'cluster-wide',
    min: 0
  }),
  'log.preallocate': boolean(false, "Reserve a segment's bytes on disk when it is created.", {
    update: 'cluster-wide'
  }),
  'log.flush.interval.messages': long(NEVER, 'Sync a log after this many records.', { update: 'cluster-wide', min: 1 }),
  'log.flush.interval.ms': long(
    null,
    'Sync a log at the latest this long after an append; default: log.flush.scheduler.interval.ms.',
    { update: 'cluster-wide' }
  ),
  'log.flush.scheduler.interval.ms': long(NEVER, 'How often logs are looked at for log.flush.interval.ms.'),
  'log.flush.offset.checkpoint.interval.ms': int(60000, 'How often recovery points are written down.', { min: 0 }),
  'log.flush.start.offset.checkpoint.interval.ms': int(60000, 'How often log start offsets are written down.', {
    min: 0
  }),
  'log.cleanup.policy': list(
    'delete',
    'What happens to old records: delete, compact, both, or (empty) nothing (KIP-1161).',
    { update: 'cluster-wide', oneOf: ['compact', 'delete'] }
  ),
  'log.cleaner.enable': boolean(true, 'Deprecated: compaction always runs.', {
    ignored: 'compaction always runs, as in Kafka 4'
  }),
  'log.cleaner.threads': int(1, 'Threads that compact.', { update: 'cluster-wide', min: 0, ignored: LATER.threads }),
  'log.cleaner.backoff.ms': long(15000, 'How long the compactor sleeps when nothing is to be done.', {
    update: 'cluster-wide',
    min: 0
  }),
  'log.cleaner.dedupe.buffer.size': long(134217728, 'Memory for the keys of one compaction, in bytes.', {
    update: 'cluster-wide'
  }),
  'log.cleaner.io.buffer.size': int(524288, 'Bytes that compaction reads at a time.', {
    update: 'cluster-wide',
    min: 0
  }),
  'log.cleaner.io.buffer.load.factor': double('0.9', 'How full the key map may get.', { update: 'cluster-wide' }),
  'log.cleaner.io.max.bytes.per.second': double(
    '1.7976931348623157E308',
    'Bytes that compaction reads and writes a second.',
    { update: 'cluster-wide' }
  ),
  'log.cleaner.min.cleanable.ratio': double(
    '0.5',
    'The part of a log that must be uncompacted before it is compacted again.',
    { update: 'cluster-wide', min: 0, max: 1 }
  ),
  'log.cleaner.min.compaction.lag.ms': long(0, 'A record stays uncompacted at least this long.', {
    update: 'cluster-wide',
    min: 0
  }),
  'log.cleaner.max.compaction.lag.ms': long(NEVER, 'A record is compacted at the latest after this time.', {
    update: 'cluster-wide',
    min: 1
  }),
  'log.cleaner.delete.retention.ms': long(86400000, 'How long tombstones and markers of compacted topics stay.', {
    update: 'cluster-wide',
    min: 0
  }),
  'log.message.timestamp.type': word(
    'CreateTime',
    ['CreateTime', 'LogAppendTime'],
    "Whose clock stamps records: the producer's (CreateTime) or the broker's (LogAppendTime).",
    { update: 'cluster-wide' }
  ),
  'log.message.timestamp.before.max.ms': long(NEVER, "How far a record's timestamp may lie in the past.", {
    update: 'cluster-wide',
    min: 0
  }),
  'log.message.timestamp.after.max.ms': long(3600000, "How far a record's timestamp may lie in the future.", {
    update: 'cluster-wide',
    min: 0
  }),
  'log.dir.failure.timeout.ms': long(30000, 'A broker that cannot report a failed directory for this long stops.', {
    min: 1,
    ignored: 'there is one log directory, and losing it ends the process'
  }),
  'message.max.bytes': int(1048588, 'The largest record batch that is taken, after compression.', {
    update: 'cluster-wide',
    min: 0
  }),
  'compression.type': word(
    'producer',
    ['uncompressed', 'zstd', 'lz4', 'snappy', 'gzip', 'producer'],
    'How records are compressed on disk; producer: as they come.',
    { update: 'cluster-wide' }
  ),
  'compression.gzip.level': int(-1, 'Level of gzip.', { update: 'cluster-wide', min: 1, max: 9, or: -1 }),
  'compression.lz4.level': int(9, 'Level of lz4.', {
    update: 'cluster-wide',
    min: 1,
    max: 17,
    ignored: 'the library for lz4 has one level'
  }),
  'compression.zstd.level': int(3, 'Level of zstd.', { update: 'cluster-wide', min: -131072, max: 22 }),
  'num.recovery.threads.per.data.dir': int(2, 'Logs that are recovered at the same time.', {
    update: 'cluster-wide',
    min: 1,
    ignored: LATER.threads
  }),
  'num.replica.alter.log.dirs.threads': int(null, 'Threads that move replicas between directories.', {
    ignored: LATER.threads
  }),
  'producer.id.expiration.ms': int(86400000, 'A producer id without appends for this long is forgotten.', {
    update: 'cluster-wide',
    min: 1
  }),
  'producer.id.expiration.check.interval.ms': int(600000, 'How often silent producer ids are looked for.', {
    min: 1,
    internal: true
  }),
  'log.local.retention.bytes': long(-2, 'How many bytes stay on local disk.', {
    update: 'cluster-wide',
    min: -2,
    ignored: LATER.tiered
  }),
  'log.local.retention.ms': long(-2, 'How long records stay on local disk.', {
    update: 'cluster-wide',
    min: -2,
    ignored: LATER.tiered
  }),
  'follower.fetch.last.tiered.offset.enable': boolean(false, 'New followers begin at the last tiered offset.', {
    update: 'cluster-wide',
    ignored: LATER.tiered
  })
}
