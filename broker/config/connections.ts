// The door: listeners, sockets, and what one client may take. Names, types, defaults and limits are Kafka's.
import { int, LATER, list, long, text } from './setting.ts'

export const connectionsSettings = {
  listeners: list(
    'PLAINTEXT://:9092',
    'Where to listen: NAME://host:port, comma-separated. An empty host means every address, IPv6 included; port 0 any free port.'
  ),
  'advertised.listeners': list(
    null,
    "The addresses given to clients and, in a cluster, to the other brokers, who replicate through them; default: those of listeners. One without a host: a node that is alone answers with the local address of the client's own connection; in a cluster it is this machine's host name, so name there a host that clients and brokers resolve."
  ),
  'listener.security.protocol.map': text(
    'SASL_SSL:SASL_SSL,PLAINTEXT:PLAINTEXT,SSL:SSL,SASL_PLAINTEXT:SASL_PLAINTEXT',
    'Which security protocol each listener name speaks.'
  ),
  'controller.listener.names': list(
    '',
    'The listeners that serve controllers; they are not advertised to clients. Kafka: required; here only where controller.quorum.voters names several, since a controller that is alone is asked by nobody else.'
  ),
  'inter.broker.listener.name': text(
    null,
    'The listener that brokers use between each other; default: the first that speaks security.inter.broker.protocol.'
  ),
  'early.start.listeners': list(null, 'Listeners that open before the node has joined its cluster.', {
    ignored: 'here all listeners open at the same time'
  }),
  'socket.listen.backlog.size': int(50, 'How many connections may wait to be accepted.', {
    min: 1,
    ignored: '1024 connections may wait'
  }),
  'socket.request.max.bytes': int(104857600, 'The largest request that is taken; a larger one closes its connection.', {
    min: 1
  }),
  'socket.receive.buffer.bytes': int(102400, "SO_RCVBUF of server sockets, -1 for the system's default.", {
    ignored: "Node.js has no call for it; the system's own tuning is used"
  }),
  'socket.send.buffer.bytes': int(102400, "SO_SNDBUF of server sockets, -1 for the system's default.", {
    ignored: "Node.js has no call for it; the system's own tuning is used"
  }),
  'connections.max.idle.ms': long(600000, 'A connection without a request for this long is closed.'),
  'max.connections': int(
    2147483647,
    'Connections that the broker keeps open at the same time; further ones are closed at once.',
    { update: 'cluster-wide', min: 0 }
  ),
  'max.connections.per.ip': int(2147483647, 'Connections from one address at the same time.', {
    update: 'cluster-wide',
    min: 0
  }),
  'max.connections.per.ip.overrides': text('', 'Other limits for single addresses: host:count, comma-separated.', {
    pattern: { like: /^(\s*[^\s,]+:\d+\s*(,\s*[^\s,]+:\d+\s*)*)?$/, says: 'host:count,host:count,...' },
    update: 'cluster-wide'
  }),
  'max.connection.creation.rate': int(2147483647, 'New connections a second.', {
    update: 'cluster-wide',
    min: 0,
    ignored: LATER.quotas
  }),
  'queued.max.requests': int(500, 'Requests that wait between network and request threads.', {
    min: 1,
    ignored: LATER.threads
  }),
  'queued.max.request.bytes': long(
    -1,
    'Bytes of requests that were read and are not yet answered, on all connections; -1: no limit.',
    { ignored: 'moldau.memory.bytes bounds answers too' }
  ),
  'num.network.threads': int(3, 'Threads that read and write sockets.', {
    update: 'cluster-wide',
    min: 1,
    ignored: LATER.threads
  }),
  'num.io.threads': int(8, 'Threads that work on requests.', {
    update: 'cluster-wide',
    min: 1,
    ignored: LATER.threads
  }),
  'background.threads': int(10, 'Threads for small jobs.', { update: 'cluster-wide', min: 1, ignored: LATER.threads }),
  'request.timeout.ms': int(
    30000,
    'How long this broker asks the active controller, for itself (in-sync sets, producer ids, new topics) or for a client whose request it forwards.'
  ),
  'socket.connection.setup.timeout.ms': long(10000, 'First time-out for a connection to another broker.', {
    ignored: 'the time-out of a request holds for its connection too'
  }),
  'socket.connection.setup.timeout.max.ms': long(
    30000,
    'The time-out for a connection to another broker grows up to this.',
    { ignored: 'the time-out of a request holds for its connection too' }
  ),
  'connections.max.reauth.ms': long(0, 'A SASL connection must authenticate again within this time.', {
    ignored: LATER.security
  }),
  'connection.failed.authentication.delay.ms': int(
    100,
    'A connection that failed to authenticate is closed after this time.',
    { min: 0, ignored: LATER.security }
  ),
  'fetch.max.bytes': int(57671680, 'The most that one Fetch answer carries, whatever the client asks for.', {
    min: 1024
  }),
  'max.incremental.fetch.session.cache.slots': int(1000, 'Fetch sessions (KIP-227) that are kept at the same time.', {
    min: 0
  }),
  'max.request.partition.size.limit': int(2000, 'Partitions in one DescribeTopicPartitions answer.', { min: 1 }),
  'fetch.purgatory.purge.interval.requests': int(1000, 'Parked fetches between two sweeps.', {
    ignored: 'a parked request is forgotten as soon as it is answered'
  }),
  'producer.purgatory.purge.interval.requests': int(1000, 'Parked produces between two sweeps.', {
    ignored: 'a parked request is forgotten as soon as it is answered'
  }),
  'delete.records.purgatory.purge.interval.requests': int(1, 'Parked DeleteRecords between two sweeps.', {
    ignored: 'a parked request is forgotten as soon as it is answered'
  }),
  'telemetry.max.bytes': int(1048576, 'The largest telemetry push (KIP-714) that is taken, uncompressed.', { min: 1 })
}
