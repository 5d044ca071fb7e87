// A producer snapshot file (`.snapshot` beside a segment): int16 version, uint32 CRC-32C of all that follows it, entries.

import { codecOf } from '../compile.ts'
import { Cursor, malformed } from '../cursor.ts'
import { encodeBody } from '../frame.ts'
import { crc32c } from '../records/crc32c.ts'
import { array, i16, i32, i64, isKnownVersion, message, type RecordOf, u32 } from '../schema.ts'

/** A producer snapshot file. */
export const producerSnapshot = message({
  name: 'ProducerSnapshot',
  versions: [1, 1],
  flexibleFrom: null,
  fields: {
    crc: u32,
    producerEntries: array({
      producerId: i64,
      epoch: i16,
      lastSequence: i32,
      lastOffset: i64,
      offsetDelta: i32,
      timestamp: i64,
      coordinatorEpoch: i32,
      currentTxnFirstOffset: i64
    })
  }
})

export type ProducerEntry = RecordOf<typeof producerSnapshot>['producerEntries'][number]

const AFTER_CRC = 6

/** Anything wrong with the bytes is ERR_MALFORMED (Kafka's CorruptSnapshotException): the file is to be rebuilt. */
export function decodeProducerSnapshot(file: Buffer): ProducerEntry[] {
  const cursor = new Cursor(file)
  const version = cursor.i16()
  if (!isKnownVersion(producerSnapshot, version)) throw malformed(`a producer snapshot of version ${version}`, 0)
  const { crc, producerEntries } = codecOf(producerSnapshot, version).read(cursor)
  if (crc !== crc32c(file.subarray(AFTER_CRC))) throw malformed('a producer snapshot with a wrong checksum', 2)
  if (cursor.remaining > 0) throw malformed('bytes after a producer snapshot', cursor.position)
  return producerEntries
}

export function encodeProducerSnapshot(producerEntries: readonly ProducerEntry[]): Buffer {
  const version = producerSnapshot.versions[1]
  const file = encodeBody(codecOf(producerSnapshot, version), { producerEntries }, sink => sink.i16(version))
  file.writeUInt32BE(crc32c(file.subarray(AFTER_CRC)), 2)
  return file
}
