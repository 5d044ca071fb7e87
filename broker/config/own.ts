// Settings that Kafka does not have; their names begin with `moldau.`.
import { long, text, word } from './setting.ts'

export const ownSettings = {
  'moldau.log.flush.policy': word(
    'group-commit',
    ['group-commit', 'page-cache'],
    'When an append counts as durable: group-commit, when it is synced to disk; page-cache, when it is written (as in Kafka).'
  ),
  'moldau.disk.reserve.bytes': long(
    -1,
    'Free bytes below which clients may not append; -1: one hundredth of the disk, at most 256 MiB.',
    { min: -1 }
  ),
  'moldau.tail.cache.bytes': long(67108864, 'Memory for the newest records of all partitions.', { min: 0 }),
  'moldau.memory.bytes': long(
    268435456,
    'Memory for requests and answers that are under way on all connections, and for the newest records.',
    { min: 0 }
  ),
  'moldau.cluster.id': text(null, 'The cluster id of a new data directory; default: a random one.', {
    pattern: { like: /^[\w-]{1,64}$/, says: 'letters, digits, _ and -, best 22 of them as Kafka makes them' }
  }),
  'moldau.http.listener': text('off', 'Where /livez, /readyz and /metrics are answered: host:port, or off.', {
    pattern: { like: /^(off|\[[\da-fA-F:.]+\]:\d+|[^\s:]*:\d+)$/, says: 'host:port or off' }
  }),
  'moldau.log.level': word(
    'info',
    ['trace', 'debug', 'info', 'warn', 'error', 'fatal', 'silent'],
    'The least important log lines that are written.',
    { update: 'per-broker' }
  )
}
