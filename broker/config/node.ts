// Who this node is, and what it does in the cluster. Names, types, defaults and limits are Kafka's.
import { boolean, className, int, LATER, list, long, NEVER, text } from './setting.ts'

export const nodeSettings = {
  'node.id': int(
    1,
    'The id of this node in its cluster. Kafka: required; here only where controller.quorum.voters names several, since a node that is alone meets no other id.',
    { min: 0 }
  ),
  'broker.id': int(-1, 'The older name of node.id.'),
  'broker.rack': text(null, 'The rack, as told to clients and used to spread replicas.'),
  'process.roles': list(
    'broker,controller',
    'What this node does: broker, controller, or both. Kafka: required; here a node is always both for now.',
    { oneOf: ['broker', 'controller'] }
  ),
  'broker.heartbeat.interval.ms': int(
    500,
    'How often a broker reports to the controller. Kafka: 2000; a report is small, and makes the shorter session safe.'
  ),
  'broker.session.timeout.ms': int(
    6000,
    'A broker that was silent this long is fenced. Kafka: 9000; twelve reports fit in, and a killed process is seen at once, by its connections.'
  ),
  'initial.broker.registration.timeout.ms': int(
    60000,
    'How long a starting broker tries to register before it gives up.',
    { ignored: 'a starting broker tries until it is stopped' }
  ),
  'controlled.shutdown.enable': boolean(true, 'Hand leaderships over before stopping.', {
    ignored: 'leaderships are always handed over'
  }),
  'server.max.startup.time.ms': long(NEVER, 'A start that takes longer is given up.', {
    min: 0,
    internal: true,
    ignored: 'a start is not limited in time'
  }),
  'auto.create.topics.enable': boolean(true, 'Create a topic when a client asks for one that does not exist.'),
  'delete.topic.enable': boolean(true, 'Whether DeleteTopics works.'),
  'num.partitions': int(1, 'Partitions of a topic that is created without a count.', { min: 1 }),
  'default.replication.factor': int(1, 'Replicas of a topic that is created without a count.'),
  'create.topic.policy.class.name': className(null, 'A Java class that may refuse topics.', { ignored: LATER.jvm }),
  'alter.config.policy.class.name': className(null, 'A Java class that may refuse changes of settings.', {
    ignored: LATER.jvm
  }),
  'config.providers': list('', 'Java classes that fetch values named by placeholders.', {
    update: 'cluster-wide',
    ignored: LATER.jvm
  }),
  'kafka.metrics.polling.interval.secs': int(10, "How often Kafka's own reporters poll.", {
    min: 1,
    ignored: LATER.jvm
  }),
  'kafka.metrics.reporters': list('', 'Java classes that report metrics.', { ignored: LATER.jvm }),
  'metric.reporters': list('org.apache.kafka.common.metrics.JmxReporter', 'Java classes that report metrics.', {
    update: 'cluster-wide',
    ignored: LATER.jvm
  }),
  'metrics.num.samples': int(2, 'Samples behind a rate.', { min: 1, ignored: LATER.metrics }),
  'metrics.recording.level': text('INFO', 'How much is measured.', { ignored: LATER.metrics }),
  'metrics.sample.window.ms': long(30000, 'Time of one sample.', { min: 1, ignored: LATER.metrics }),
  'unstable.api.versions.enable': boolean(false, 'Offer API versions that are still changing.', {
    internal: true,
    ignored: 'there are none here'
  }),
  'unstable.feature.versions.enable': boolean(false, 'Allow feature levels that are still changing.', {
    internal: true,
    ignored: 'there are none here'
  }),
  'client.quota.callback.class': className(null, 'A Java class that decides on quotas.', { ignored: LATER.jvm })
}
