// The metadata log and its controllers. Names, types, defaults and limits are Kafka's.
import { boolean, int, LATER, list, long, text } from './setting.ts'

export const quorumSettings = {
  'controller.quorum.voters': list(
    '',
    'The controllers as id@host:port, the same list on every node, for a quorum whose members do not change; each of several nodes is given its node.id. Empty: this node alone.'
  ),
  'controller.quorum.bootstrap.servers': list(
    '',
    'Addresses at which controllers are found, where controller.quorum.voters is empty: for now nothing but the own controller listener of a node that is alone; any other address is refused at the start.'
  ),
  'controller.quorum.election.timeout.ms': int(1000, 'A voter waits this long for votes before it stands again.', {
    min: 0
  }),
  'controller.quorum.fetch.timeout.ms': int(
    2000,
    'A voter without word from its leader for this long stands for election.',
    { min: 0 }
  ),
  'controller.quorum.election.backoff.max.ms': int(1000, 'The longest wait between two elections.', {
    min: 0
  }),
  'controller.quorum.append.linger.ms': int(25, 'How long the leader collects records before it writes them.', {
    min: 0,
    ignored: 'records of one turn are written together, and nothing waits'
  }),
  'controller.quorum.request.timeout.ms': int(2000, 'Time-out of requests between controllers.', {
    min: 0
  }),
  'controller.quorum.retry.backoff.ms': int(20, 'Wait before a failed request is repeated.', {
    min: 0,
    ignored: '20 ms at first, as its default, and then longer'
  }),
  'controller.quorum.auto.join.enable': boolean(false, 'A new controller adds itself to the voters.', {
    ignored: 'a quorum whose members change is not built yet'
  }),
  'controller.quorum.fetch.max.bytes': int(1048576, 'Bytes of metadata records in one fetch.', {
    min: 1
  }),
  'controller.quorum.fetch.snapshot.max.bytes': int(1048576, 'Bytes of a snapshot in one fetch.', {
    min: 1
  }),
  'controller.performance.sample.period.ms': long(60000, 'How often slow controller events are summed up.', {
    min: 100,
    internal: true,
    ignored: LATER.metrics
  }),
  'controller.performance.always.log.threshold.ms': long(2000, 'A controller event that takes longer is logged.', {
    min: 0,
    internal: true,
    ignored: LATER.metrics
  }),
  'metadata.log.dir': text(null, 'The directory of the metadata log; default: the data directory.'),
  'metadata.log.max.record.bytes.between.snapshots': long(
    20971520,
    'Bytes of metadata records after which a snapshot is written.',
    { min: 1 }
  ),
  'metadata.log.max.snapshot.interval.ms': long(
    3600000,
    'A snapshot is written at least this often, if there is anything new; 0: never by time.',
    { min: 0 }
  ),
  'metadata.log.segment.bytes': int(1073741824, 'Size of a segment of the metadata log.', { min: 8388608 }),
  'metadata.log.segment.ms': long(604800000, 'Age at which a segment of the metadata log is rolled.'),
  'metadata.max.idle.interval.ms': int(500, 'How often an idle controller writes a no-op record; 0: never.', {
    min: 0,
    ignored: 'an idle controller writes nothing; who follows it hears of its high watermark without a record'
  }),
  'metadata.max.retention.bytes': long(104857600, 'Bytes of metadata log and snapshots that are kept.', {
    ignored: 'the metadata log is cut behind its newest snapshot'
  }),
  'metadata.max.retention.ms': long(604800000, 'How long metadata log and snapshots are kept.', {
    ignored: 'the metadata log is cut behind its newest snapshot'
  }),
  'internal.metadata.log.segment.bytes': int(
    null,
    'Overrides metadata.log.segment.bytes in tests, without its lower limit.',
    { internal: true }
  ),
  'internal.metadata.max.batch.size.in.bytes': int(8388608, 'The largest batch of metadata records.', {
    internal: true,
    ignored: '8 MiB, as its default'
  }),
  'internal.metadata.delete.delay.millis': long(60000, 'A deleted file of the metadata log stays this long.', {
    internal: true,
    ignored: 'log.segment.delete.delay.ms holds for all logs'
  })
}
