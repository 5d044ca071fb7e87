// Tiered storage (KIP-405). Names, types, defaults and limits are Kafka's.
import { boolean, double, ignoredRows, int, LATER, long, NEVER, text } from './setting.ts'

export const tieredSettings = ignoredRows(LATER.tiered, {
  'remote.fetch.max.wait.ms': int(500, 'How long a fetch may wait for remote data.', {
    update: 'cluster-wide',
    min: 1
  }),
  'remote.list.offsets.request.timeout.ms': long(30000, 'Time-out of ListOffsets that need remote data.', {
    update: 'cluster-wide',
    min: 1
  }),
  'remote.log.index.file.cache.total.size.bytes': long(1073741824, 'Bytes of cached remote indexes.', {
    update: 'cluster-wide',
    min: 1
  }),
  'remote.log.index.file.cache.ttl.ms': long(900000, 'How long remote indexes stay cached.', {
    min: -1,
    internal: true
  }),
  'remote.log.manager.copier.thread.pool.size': int(10, 'Threads that copy segments away.', {
    update: 'cluster-wide',
    min: 1
  }),
  'remote.log.manager.copy.max.bytes.per.second': long(NEVER, 'Bytes copied away a second.', {
    update: 'cluster-wide',
    min: 1
  }),
  'remote.log.manager.copy.quota.window.num': int(11, 'Samples of that rate.', { min: 1 }),
  'remote.log.manager.copy.quota.window.size.seconds': int(1, 'Time of one such sample.', { min: 1 }),
  'remote.log.manager.expiration.thread.pool.size': int(10, 'Threads that delete remote segments.', {
    update: 'cluster-wide',
    min: 1
  }),
  'remote.log.manager.fetch.max.bytes.per.second': long(NEVER, 'Bytes fetched back a second.', {
    update: 'cluster-wide',
    min: 1
  }),
  'remote.log.manager.fetch.quota.window.num': int(11, 'Samples of that rate.', { min: 1 }),
  'remote.log.manager.fetch.quota.window.size.seconds': int(1, 'Time of one such sample.', { min: 1 }),
  'remote.log.manager.follower.thread.pool.size': int(2, 'Threads of followers.', { update: 'cluster-wide', min: 1 }),
  'remote.log.manager.task.interval.ms': long(30000, 'How often segments are copied and deleted.', { min: 1 }),
  'remote.log.manager.task.retry.backoff.max.ms': long(30000, 'The longest wait before a failed task is repeated.', {
    min: 1,
    internal: true
  }),
  'remote.log.manager.task.retry.backoff.ms': long(500, 'The first wait before a failed task is repeated.', {
    min: 1,
    internal: true
  }),
  'remote.log.manager.task.retry.jitter': double('0.2', 'Random part of that wait.', {
    min: 0,
    max: 0.5,
    internal: true
  }),
  'remote.log.manager.thread.pool.size': int(2, 'Threads that schedule tasks.', { min: 1 }),
  'remote.log.metadata.custom.metadata.max.bytes': int(128, 'Bytes that a plug-in may keep with a segment.', {
    min: 0
  }),
  'remote.log.metadata.manager.class.name': text(
    'org.apache.kafka.server.log.remote.metadata.storage.TopicBasedRemoteLogMetadataManager',
    'The class that keeps remote metadata.'
  ),
  'remote.log.metadata.manager.class.path': text(null, 'Where that class is found.'),
  'remote.log.metadata.manager.impl.prefix': text('rlmm.config.', "Prefix of that class's own settings."),
  'remote.log.metadata.manager.listener.name': text(null, 'The listener that this class connects to.'),
  'remote.log.reader.max.pending.tasks': int(100, 'Remote reads that may wait.', { min: 1 }),
  'remote.log.reader.threads': int(10, 'Threads that read remote data.', { update: 'cluster-wide', min: 1 }),
  'remote.log.storage.manager.class.name': text(null, 'The class that keeps remote segments.'),
  'remote.log.storage.manager.class.path': text(null, 'Where that class is found.'),
  'remote.log.storage.manager.impl.prefix': text('rsm.config.', "Prefix of that class's own settings."),
  'remote.log.storage.system.enable': boolean(false, 'Turn tiered storage on.')
})
