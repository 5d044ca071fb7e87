// Every setting that clients and operators of Kafka rely on either has a test that sees its effect, or says in its row why
// it has none. A setting that is in neither list fails here, and so does a test that no longer speaks of it.
import { readFileSync } from 'node:fs'
import { test } from 'tap'
import { settingOf } from '../../broker/config/table.ts'

const CONNECTIONS = 'test/broker/effects-connections.test.ts'
const TOPICS = 'test/broker/effects-topics.test.ts'
const GROUPS = 'test/broker/effects-groups.test.ts'
const CONFIG = 'test/broker/config.test.ts'
const TABLE = 'test/broker/config/table.test.ts'
const CLEANER = 'test/storage/cleaner.test.ts'
const COMPACTION = 'test/broker/effects-compaction.test.ts'

/** Setting -> the test that sees its effect, and by which word the test speaks of it if not by the setting's name. */
const TOPIC_EFFECTS: Record<string, [path: string, word?: string]> = {
  'cleanup.policy': [TOPICS],
  'retention.ms': [TOPICS],
  'retention.bytes': [TOPICS],
  'segment.bytes': [TOPICS],
  'segment.ms': [TOPICS],
  'segment.jitter.ms': [TOPICS],
  'segment.index.bytes': [TOPICS],
  'index.interval.bytes': [TOPICS],
  preallocate: [TOPICS],
  'max.message.bytes': [TOPICS],
  'min.insync.replicas': [TOPICS],
  'unclean.leader.election.enable': ['test/replication/controller/brokers.test.ts', 'unclean'],
  'compression.type': [TOPICS],
  'compression.gzip.level': [TOPICS, "['gzip', '1', '9']"],
  'compression.zstd.level': [TOPICS, "['zstd', '1', '19']"],
  'message.timestamp.type': [TOPICS],
  'message.timestamp.before.max.ms': [TOPICS],
  'message.timestamp.after.max.ms': [TOPICS],
  'flush.messages': [TOPICS],
  'flush.ms': [TOPICS],
  'delete.retention.ms': [COMPACTION],
  'min.cleanable.dirty.ratio': [COMPACTION],
  'min.compaction.lag.ms': [COMPACTION],
  'max.compaction.lag.ms': [COMPACTION],
  'file.delete.delay.ms': [TOPICS],
  'remote.storage.enable': [TABLE]
}

const BROKER_EFFECTS: Record<string, [path: string, word?: string]> = {
  listeners: [CONNECTIONS],
  'advertised.listeners': [CONNECTIONS],
  'listener.security.protocol.map': [CONNECTIONS],
  'num.partitions': [CONNECTIONS],
  'default.replication.factor': [CONNECTIONS],
  'auto.create.topics.enable': [CONNECTIONS],
  'delete.topic.enable': [CONNECTIONS],
  'socket.request.max.bytes': [CONNECTIONS],
  'connections.max.idle.ms': [CONNECTIONS],
  'max.connections': [CONNECTIONS],
  'max.connections.per.ip': [CONNECTIONS],
  'max.connections.per.ip.overrides': [CONNECTIONS],
  'fetch.max.bytes': [CONNECTIONS],
  'max.incremental.fetch.session.cache.slots': [CONNECTIONS],
  'max.request.partition.size.limit': [CONNECTIONS],
  'replica.lag.time.max.ms': ['test/replication/leader.test.ts', 'replicaLagTimeMaxMs'],
  'replica.high.watermark.checkpoint.interval.ms': [TOPICS],
  'log.flush.offset.checkpoint.interval.ms': [TOPICS],
  'log.flush.start.offset.checkpoint.interval.ms': [TOPICS],
  'log.flush.scheduler.interval.ms': [TOPICS],
  'log.retention.hours': [TOPICS],
  'log.retention.minutes': [TABLE],
  'log.retention.ms': [TOPICS],
  'log.roll.hours': [TOPICS],
  'log.roll.ms': [TOPICS],
  'log.roll.jitter.hours': [TABLE],
  'log.retention.check.interval.ms': [TOPICS],
  'log.initial.task.delay.ms': [TOPICS],
  'log.cleaner.dedupe.buffer.size': [CLEANER, 'dedupeBufferBytes'],
  'log.cleaner.io.buffer.size': [CLEANER, 'ioBufferBytes'],
  'log.cleaner.io.buffer.load.factor': [CLEANER, 'dedupeBufferLoadFactor'],
  'log.cleaner.backoff.ms': [COMPACTION],
  'log.cleaner.io.max.bytes.per.second': [CLEANER, 'ioMaxBytesPerSecond'],
  'request.timeout.ms': ['test/broker/forwarding.test.ts'],
  'auto.leader.rebalance.enable': ['test/broker/controller.test.ts'],
  'leader.imbalance.check.interval.seconds': ['test/broker/controller.test.ts'],
  'unclean.leader.election.interval.ms': [
    'test/replication/controller/brokers.test.ts',
    'unclean elections come with the setting'
  ],
  'broker.heartbeat.interval.ms': [CONNECTIONS],
  'broker.session.timeout.ms': [CONNECTIONS],
  'replica.fetch.wait.max.ms': ['test/broker/replica-fetching.test.ts'],
  'num.replica.fetchers': ['test/broker/replica-fetching.test.ts'],
  'controller.quorum.voters': ['test/cluster/cluster.test.ts'],
  'controller.quorum.fetch.timeout.ms': ['test/cluster/in-process.test.ts'],
  'controller.quorum.fetch.max.bytes': ['test/broker/quorum/quorum.test.ts'],
  'controller.quorum.fetch.snapshot.max.bytes': ['test/broker/quorum/quorum-world.ts'],
  'metadata.log.max.snapshot.interval.ms': [TOPICS],
  'metadata.log.max.record.bytes.between.snapshots': [TOPICS],
  'offsets.topic.num.partitions': [CONNECTIONS],
  'offsets.topic.replication.factor': [CONNECTIONS],
  'offsets.topic.segment.bytes': [CONNECTIONS],
  'offsets.retention.minutes': [GROUPS],
  'offsets.retention.check.interval.ms': [GROUPS],
  'offset.metadata.max.bytes': [GROUPS],
  'offsets.commit.timeout.ms': [GROUPS],
  'group.min.session.timeout.ms': [GROUPS],
  'group.max.session.timeout.ms': [GROUPS],
  'group.initial.rebalance.delay.ms': [GROUPS],
  'group.max.size': [GROUPS],
  'group.coordinator.rebalance.protocols': [CONFIG],
  'producer.id.expiration.ms': [GROUPS],
  'telemetry.max.bytes': ['test/broker/handlers/telemetry.test.ts'],
  'moldau.log.flush.policy': [TOPICS],
  'moldau.http.listener': ['test/broker/cli.test.ts'],
  'moldau.log.level': ['test/broker/cli.test.ts'],
  'moldau.disk.reserve.bytes': [TOPICS],
  'moldau.cluster.id': [CONNECTIONS]
}

/** Without effect, and their rows say why. */
const IGNORED_OF_TOPICS = [
  'compression.lz4.level',
  'leader.replication.throttled.replicas',
  'follower.replication.throttled.replicas',
  'local.retention.ms',
  'local.retention.bytes',
  'remote.log.copy.disable',
  'remote.log.delete.on.disable'
]
const IGNORED_OF_BROKERS = `num.network.threads num.io.threads background.threads queued.max.requests
  socket.send.buffer.bytes socket.receive.buffer.bytes
  num.recovery.threads.per.data.dir log.dir.failure.timeout.ms log.cleaner.threads
  controlled.shutdown.enable initial.broker.registration.timeout.ms
  controller.quorum.append.linger.ms controller.quorum.retry.backoff.ms
  controller.quorum.auto.join.enable metadata.max.idle.interval.ms
  group.consumer.session.timeout.ms group.consumer.min.session.timeout.ms group.consumer.max.session.timeout.ms
  group.consumer.heartbeat.interval.ms group.consumer.min.heartbeat.interval.ms group.consumer.max.heartbeat.interval.ms
  group.consumer.assignors group.consumer.migration.policy group.consumer.regex.refresh.interval.ms group.consumer.assignment.interval.ms
  group.coordinator.threads group.coordinator.append.linger.ms
  group.share.record.lock.duration.ms group.share.delivery.count.limit group.share.partition.max.record.locks group.share.max.size
  group.share.session.timeout.ms share.coordinator.state.topic.num.partitions share.coordinator.state.topic.replication.factor
  share.coordinator.state.topic.min.isr share.coordinator.snapshot.update.records.per.snapshot
  transaction.state.log.num.partitions transaction.state.log.replication.factor transaction.state.log.min.isr transaction.max.timeout.ms
  transactional.id.expiration.ms transaction.partition.verification.enable transaction.two.phase.commit.enable
  quota.window.num quota.window.size.seconds sasl.enabled.mechanisms sasl.server.max.receive.size connections.max.reauth.ms
  connection.failed.authentication.delay.ms ssl.client.auth delegation.token.max.lifetime.ms delegation.token.expiry.time.ms`.split(
  /\s+/
)

test('a setting with an effect has a test that speaks of it', async t => {
  const texts = new Map<string, string>()
  const textOf = (path: string): string => {
    const known = texts.get(path) ?? readFileSync(path, 'utf8')
    texts.set(path, known)
    return known
  }
  const wrong: string[] = []
  for (const [scope, effects] of [
    ['topic', TOPIC_EFFECTS],
    ['broker', BROKER_EFFECTS]
  ] as const) {
    for (const [key, [path, word]] of Object.entries(effects)) {
      const setting = settingOf(scope, key)
      if (setting === undefined) wrong.push(`${scope} ${key}: no such setting`)
      else if (setting.ignored !== null) wrong.push(`${scope} ${key}: its row says that it has no effect`)
      else if (!textOf(path).includes(word ?? key)) wrong.push(`${scope} ${key}: ${path} does not speak of it`)
    }
  }
  t.same(wrong, [])
})

test('a setting without effect says why', async t => {
  const silent = (scope: 'topic' | 'broker', keys: readonly string[]) =>
    keys.filter(key => !settingOf(scope, key)?.ignored)
  t.same(silent('topic', IGNORED_OF_TOPICS), [])
  t.same(silent('broker', IGNORED_OF_BROKERS), [])
})
