// What reaches a Kafka port without being a request: each gets the end that a Kafka user expects and one clear line in
// the log, and nobody else notices.
import { connect, type Socket } from 'node:net'
import { test } from 'tap'
import type { Connection } from '../../../clients/connection.ts'
import { ErrorCode } from '../../../protocol/errors.ts'
import { decodeResponse, encodeRequest } from '../../../protocol/frame.ts'
import { apiVersions } from '../../../protocol/messages/api-versions.ts'
import { metadata } from '../../../protocol/messages/metadata.ts'
import { until, type World, worldOf } from '../broker-fixture.ts'

const int16 = (value: number): Buffer => {
  const bytes = Buffer.alloc(2)
  bytes.writeInt16BE(value)
  return bytes
}

const int32 = (value: number): Buffer => {
  const bytes = Buffer.alloc(4)
  bytes.writeInt32BE(value)
  return bytes
}

/** A request header of the version that has a client id. */
const header = (apiKey: number, version: number, clientId = 'bad'): Buffer =>
  Buffer.concat([int16(apiKey), int16(version), int32(1), int16(clientId.length), Buffer.from(clientId)])

const framed = (...parts: Buffer[]): Buffer => {
  const body = Buffer.concat(parts)
  return Buffer.concat([int32(body.length), body])
}

const good = Buffer.concat(encodeRequest(metadata, 12, 7, 'good', { topics: [] }))

/** What is sent, and what the log says of it. */
const ENDED: [what: string, bytes: Buffer, line: RegExp][] = [
  ['an API that nobody knows', framed(header(999, 0)), /API key 999 is not served here/],
  ['a negative API key', framed(header(-1, 0)), /API key -1 is not served here/],
  ['an API of ZooKeeper days', framed(header(4, 0)), /API key 4 is not served here/],
  ['an API between controllers', framed(header(52, 0), Buffer.from([0])), /API key 52 is not served here/],
  ['a version from the future', framed(header(3, 99)), /Metadata version 99 is not served here/],
  ['a negative version', framed(header(3, -1)), /Metadata version -1 is not served here/],
  ['a version that is only shown', framed(header(0, 0)), /Produce version 0 is not served here/],
  ['a version that is gone', framed(header(1, 3)), /Fetch version 3 is not served here/],
  ['a frame without a header', framed(Buffer.alloc(3)), /header of a request cannot be read/],
  ['an empty frame', int32(0), /header of a request cannot be read/],
  ['a client id beyond the end', framed(header(3, 1).subarray(0, 8), int16(100)), /header of a request cannot be read/],
  ['a body that ends too early', framed(header(3, 12), Buffer.from([0])), /Metadata request 12: .*at byte/],
  ['more elements than bytes', framed(header(3, 1), int32(0x7fffffff)), /more elements than the bytes left/],
  ['a larger frame than allowed', int32(1_000_001), /1000001 bytes.*socket\.request\.max\.bytes/],
  ['a negative size', int32(-2), /-2 bytes.*socket\.request\.max\.bytes/],
  ['HTTP', Buffer.from('GET / HTTP/1.1\r\nHost: here\r\n\r\n'), /speaks HTTP, not Kafka's protocol/],
  ['HTTP/2', Buffer.from('PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n'), /speaks HTTP, not Kafka's protocol/],
  ['TLS', Buffer.from('16030100c8010000c40303', 'hex'), /speaks TLS, not Kafka's protocol/],
  ['SSH', Buffer.from('SSH-2.0-OpenSSH_9.6\r\n'), /socket\.request\.max\.bytes/]
]

async function open(world: World): Promise<Socket> {
  const socket = connect({ port: world.broker.listeners[0]?.port ?? 0, host: '127.0.0.1' })
  await new Promise((resolve, reject) => socket.once('connect', resolve).once('error', reject))
  return socket
}

/** Sends these bytes, and gives everything that comes back until the broker hangs up. */
async function untilEnd(world: World, bytes: Buffer): Promise<Buffer> {
  const socket = await open(world)
  const received: Buffer[] = []
  socket.on('data', chunk => received.push(chunk as Buffer))
  socket.on('error', () => {})
  const closed = new Promise(resolve => socket.once('close', resolve))
  socket.write(bytes)
  await closed
  return Buffer.concat(received)
}

const isServed = async (connection: Connection): Promise<boolean> =>
  (await connection.send(metadata, 12, { topics: [] })).brokers.length === 1

const ends = (world: World) => world.lines.filter(each => each.msg === 'connection-ended')

test('what is no request ends its connection with one line, and harms nobody', async t => {
  const world = await worldOf(t, 'socket.request.max.bytes=1000000')
  const other = await world.connect()
  for (const [what, bytes, line] of ENDED) {
    const before = ends(world).length
    t.equal((await untilEnd(world, bytes)).length, 0, `${what}: no answer`)
    await until(() => ends(world).length > before, 'a line')
    t.equal(ends(world).length, before + 1, `${what}: one line`)
    t.match(ends(world).at(-1), { level: 'warn', reason: line, client: /^127\.0\.0\.1:\d+$/ })
    t.ok(await isServed(other), 'another connection is served')
  }
  t.equal(world.lines.filter(each => each.level === 'error').length, 0)
})

test('the requests before it are answered', async t => {
  const world = await worldOf(t)
  for (const [what, bytes] of ENDED) {
    if (bytes.length < 10) continue
    const answer = await untilEnd(world, Buffer.concat([good, good, bytes]))
    const size = answer.readInt32BE(0)
    t.equal(answer.length, 2 * (4 + size), `${what}: two answers`)
    t.match(decodeResponse(metadata, 12, answer.subarray(4, 4 + size)), { correlationId: 7, body: { errorCode: 0 } })
  }
})

test('ApiVersions of an unknown version: an answer in version 0, and the connection lives', async t => {
  const world = await worldOf(t)
  for (const version of [5, 99, -1]) {
    const client = await world.connect()
    const answer = await client.exchange(framed(header(18, version), Buffer.from([0, 5, 6, 7])))
    const { body } = decodeResponse(apiVersions, 0, answer)
    t.same(body.apiKeys, [{ apiKey: 18, minVersion: 0, maxVersion: 4 }])
    t.equal(body.errorCode, ErrorCode.UNSUPPORTED_VERSION)
    const next = await client.send(apiVersions, 3, { clientSoftwareName: 'test', clientSoftwareVersion: '1' })
    t.equal(next.errorCode, 0)
    t.ok(next.apiKeys.length > 30)
  }
})

test('bytes behind a request body are let be, as Kafka does', async t => {
  const world = await worldOf(t)
  const client = await world.connect()
  const answer = await client.exchange(framed(good.subarray(4), Buffer.from([1, 2, 3])))
  t.equal(decodeResponse(metadata, 12, answer).body.brokers.length, 1)
})

test('half a frame, and silence: the idle limit ends it without a word', async t => {
  const world = await worldOf(t, 'connections.max.idle.ms=5000')
  const [silent, slow] = [await open(world), await open(world)]
  let isClosed = false
  silent.once('close', () => {
    isClosed = true
  })
  silent.resume()
  silent.write(good.subarray(0, 10))
  const answer = new Promise<Buffer>(resolve => slow.once('data', resolve))
  for (const byte of good) {
    slow.write(Buffer.from([byte]))
    await new Promise(resolve => setImmediate(resolve))
    world.clock.advance(100)
  }
  t.ok((await answer).length > 0, 'who sends byte by byte is served')
  await until(() => {
    world.clock.advance(100)
    return isClosed
  }, 'the silent one is gone')
  t.equal(ends(world).length, 0)
  slow.destroy()
})

test('hundreds of connections that come, say half a word and go leave nothing behind', async t => {
  const world = await worldOf(t, 'max.connections=310')
  const other = await world.connect()
  for (let round = 0; round < 3; round++) {
    const sockets = await Promise.all(Array.from({ length: 300 }, () => open(world)))
    for (const [index, socket] of sockets.entries()) {
      socket.on('error', () => {})
      if (index % 3 > 0) socket.write(good.subarray(0, index % 40))
      if (index % 2 === 0) socket.resetAndDestroy()
      else socket.end()
    }
    t.ok(await isServed(other))
    await Promise.all(
      sockets.filter((_, index) => index % 2 === 1).map(each => new Promise(done => each.resume().once('close', done)))
    )
  }
  t.equal(world.lines.filter(each => each.msg === 'connection-refused').length, 0, 'every place is free again')
})
