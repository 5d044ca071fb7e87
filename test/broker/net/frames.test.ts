// The cutting of a byte stream into frames: whatever the chunks, the frames are the same, and a size that no request
// may have is refused before any memory is taken for it.
import fc from 'fast-check'
import { test } from 'tap'
import { FrameReader } from '../../../broker/net/frames.ts'
import { isFailure } from '../../../protocol/failure.ts'
import { memoryPool } from '../../../protocol/memory-pool.ts'

function framed(body: Buffer): Buffer {
  const size = Buffer.alloc(4)
  size.writeInt32BE(body.length)
  return Buffer.concat([size, body])
}

function drain(reader: FrameReader): Buffer[] {
  const frames: Buffer[] = []
  for (let frame = reader.next(); frame !== null; frame = reader.next()) frames.push(frame)
  return frames
}

test('frames do not depend on how the bytes arrive', async t => {
  const bodies = fc.array(fc.uint8Array({ maxLength: 300, size: 'max' }), { maxLength: 20, size: 'max' })
  const cuts = fc.array(fc.integer({ min: 1, max: 90 }), { minLength: 1, maxLength: 40, size: 'max' })
  fc.assert(
    fc.property(bodies, cuts, (arrays, sizes) => {
      const expected = arrays.map(each => Buffer.from(each))
      const stream = Buffer.concat(expected.map(framed))
      const reader = new FrameReader({ maxBytes: 1000 })
      const seen: Buffer[] = []
      for (let at = 0, turn = 0; at < stream.length; turn++) {
        const size = sizes[turn % sizes.length] as number
        reader.push(stream.subarray(at, at + size))
        at += size
        seen.push(...drain(reader))
      }
      return seen.length === expected.length && seen.every((each, index) => each.equals(expected[index] as Buffer))
    })
  )
  t.pass('all equal')
})

test('a size outside of the limit ends the stream, with a word on what the peer may be', async t => {
  const refusal = (bytes: Buffer): string => {
    const reader = new FrameReader({ maxBytes: 100 })
    reader.push(bytes)
    try {
      reader.next()
    } catch (error) {
      if (isFailure(error, 'ERR_MALFORMED')) return error.message
      throw error
    }
    return 'taken'
  }
  const sized = (size: number): Buffer => {
    const buffer = Buffer.alloc(4)
    buffer.writeInt32BE(size)
    return buffer
  }
  t.match(refusal(sized(101)), /101 bytes.*socket\.request\.max\.bytes/)
  t.match(refusal(sized(-1)), /-1 bytes/)
  t.match(refusal(Buffer.from('GET / HTTP/1.1\r\n')), /HTTP/)
  t.match(refusal(Buffer.from([0x16, 0x03, 0x01, 0x02])), /TLS/)
  t.equal(refusal(sized(100)), 'taken', 'the limit itself is fine')
})

test('a peer that sends byte by byte costs one piece of memory', async t => {
  const reader = new FrameReader({ maxBytes: 1_000_000 })
  const stream = framed(Buffer.alloc(200_000, 'x'))
  for (let at = 0; at < stream.length - 1; at++) {
    reader.push(stream.subarray(at, at + 1))
    t.notOk(reader.next())
    reader.keep()
    if (reader.bufferedBytes !== at + 1 - (at >= 6 ? 4 : at === 5 ? 4 : 0)) t.fail(`${reader.bufferedBytes} at ${at}`)
  }
  reader.push(stream.subarray(-1))
  t.ok(reader.next()?.equals(stream.subarray(4)))
})

test('a pooled frame whose memory grows just when its slab is full stays whole, and leaves nothing held', async t => {
  const slabBytes = 64 * 1024
  memoryPool.renew(slabBytes)
  memoryPool.isPoisonous = true
  let hasRoom = false
  const reader = new FrameReader({ maxBytes: 1_000_000, isPooled: () => true, hasRoom: () => hasRoom })
  const body = Buffer.from(Array.from({ length: 10_000 }, (_, at) => at % 251))
  const stream = framed(body)
  reader.push(stream.subarray(0, 1000))
  t.notOk(reader.next())
  reader.keep()
  const others = () => {
    for (const each of [1, 2, 3, 4].map(() => memoryPool.take(14_000))) memoryPool.letGo(each)
  }
  others()
  hasRoom = true
  reader.push(stream.subarray(1000))
  t.ok(reader.next()?.equals(body))
  reader.keep()
  others()
  t.equal(memoryPool.sizeInBytes - memoryPool.idleBytes, slabBytes, 'the pool itself holds the one that it fills')
  memoryPool.isPoisonous = false
})
