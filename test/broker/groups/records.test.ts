// Records of __consumer_offsets: Kafka's own bytes, and what is left alone.
import { test } from 'tap'
import { decodeRecord, encodeRecord, type GroupRecord } from '../../../broker/groups/records.ts'
import { ZERO_UUID } from '../../../protocol/types.ts'

test('records are Kafka 4.3.1 bytes', async t => {
  // Taken from the log of a real broker: key, value.
  const known: [string, string, GroupRecord][] = [
    [
      '0002000f62696c6c696e672d636c6173736963',
      '00030008636f6e73756d657200000002ffffffff000001a1fd1bcfc100000000',
      {
        kind: 'group',
        group: 'billing-classic',
        value: {
          protocolType: 'consumer',
          generation: 2,
          protocol: null,
          leader: null,
          currentStateTimestamp: 1795247820737,
          members: []
        }
      }
    ],
    [
      '000100066d616e75616c0005617564697400000000',
      '00040000000000000003ffffffff01000001a1fd1be9030100103dfc2fc347f44094b3d35deb7db9844f',
      {
        kind: 'offset',
        group: 'manual',
        topic: 'audit',
        partition: 0,
        value: {
          offset: 3,
          leaderEpoch: -1,
          metadata: '',
          commitTimestamp: 1795247827203,
          expireTimestamp: -1,
          topicId: 'Pfwvw0f0QJSz013rfbmETw'
        }
      }
    ]
  ]
  for (const [key, value, record] of known) {
    const bytes = encodeRecord(record)
    t.equal(bytes.key.toString('hex'), key)
    t.equal(bytes.value?.toString('hex'), value)
    t.same(decodeRecord(Buffer.from(key, 'hex'), Buffer.from(value, 'hex')), record)
    t.match(decodeRecord(Buffer.from(key, 'hex'), null), { kind: record.kind, value: null }, 'a tombstone')
  }
  const expiring = encodeRecord({
    kind: 'offset',
    group: 'g',
    topic: 't',
    partition: 0,
    value: { offset: 1, leaderEpoch: 4, metadata: 'm', commitTimestamp: 2, expireTimestamp: 3, topicId: ZERO_UUID }
  } as GroupRecord)
  t.equal(expiring.value?.readInt16BE(0), 1, 'only version 1 can hold an expiry')
  t.match(decodeRecord(expiring.key, expiring.value), { value: { offset: 1, leaderEpoch: -1, expireTimestamp: 3 } })
})

test('records that are not known are left alone', async t => {
  const unknown: [number[], number[] | null][] = [
    [[], null],
    [
      [0, 99, 0, 1, 97],
      [0, 0]
    ],
    [
      [0, 5, 0, 1, 97, 0, 1, 98],
      [0, 0]
    ],
    [
      [0, 2, 0, 1, 97],
      [0, 9, 1, 2, 3]
    ],
    [
      [0, 2, 0, 1, 97],
      [0, 3, 0]
    ],
    [[0, 2, 0, 1, 97], []]
  ]
  for (const [key, value] of unknown) t.equal(decodeRecord(Buffer.from(key), value && Buffer.from(value)), null)
  t.same(decodeRecord(Buffer.from([0, 3, 0, 1, 97]), Buffer.from([0, 0])), {
    kind: 'foreign',
    group: 'a',
    protocol: 'consumer',
    exists: true
  })
  t.same(decodeRecord(Buffer.from([0, 17, 0, 1, 97]), null), {
    kind: 'foreign',
    group: 'a',
    protocol: 'streams',
    exists: false
  })
})
