// Copies of partitions: in-sync replicas, elections, and the links between brokers. Names, types, defaults and limits are Kafka's.
import { boolean, int, LATER, long, text } from './setting.ts'

export const replicationSettings = {
  'min.insync.replicas': int(
    1,
    'Replicas that must have a record before acks=all is answered. What a file, the environment or a flag says counts once, when the cluster first starts: it is committed as the cluster-wide setting then (KIP-966, as in Kafka), and changed with kafka-configs --entity-type brokers --entity-default.',
    { update: 'cluster-wide', min: 1 }
  ),
  'unclean.leader.election.enable': boolean(false, 'Let a replica lead that may lack acknowledged records.', {
    update: 'cluster-wide'
  }),
  'unclean.leader.election.interval.ms': long(
    300000,
    'How often the controller looks for partitions to elect uncleanly.',
    { min: 1, internal: true }
  ),
  'replica.high.watermark.checkpoint.interval.ms': long(5000, 'How often high watermarks are written down.'),
  'replica.lag.time.max.ms': long(30000, 'A follower that did not catch up for this long leaves the in-sync set.'),
  'replica.fetch.backoff.ms': int(1000, 'A follower waits this long after a failed fetch.', {
    min: 0
  }),
  'replica.fetch.max.bytes': int(1048576, 'Bytes that a follower asks for per partition.', {
    min: 0
  }),
  'replica.fetch.min.bytes': int(1, 'Bytes that a follower waits for.'),
  'replica.fetch.response.max.bytes': int(10485760, 'Bytes that a follower asks for in one fetch.', {
    min: 0
  }),
  'replica.fetch.wait.max.ms': int(500, "How long a follower's fetch may wait."),
  'replica.socket.receive.buffer.bytes': int(65536, "SO_RCVBUF of a follower's socket.", {
    ignored: "Node.js has no call for it; the system's own tuning is used"
  }),
  'replica.socket.timeout.ms': int(30000, "Time-out of a follower's request."),
  'replica.selector.class': text(null, 'A Java class that picks the replica to read from.', { ignored: LATER.jvm }),
  'num.replica.fetchers': int(
    1,
    'Connections of a follower to each leader; partitions are divided among them by their number. ' +
      'A change counts for what is followed anew.',
    { update: 'cluster-wide', min: 1 }
  ),
  'auto.leader.rebalance.enable': boolean(true, 'Give leadership back to preferred replicas.'),
  'leader.imbalance.check.interval.seconds': long(300, 'How often leadership is given back to preferred replicas.', {
    min: 1
  }),
  'controller.socket.timeout.ms': int(30000, 'Time-out of requests between broker and controller.', {
    ignored: 'request.timeout.ms and broker.session.timeout.ms bound what is asked of the controller'
  })
}
