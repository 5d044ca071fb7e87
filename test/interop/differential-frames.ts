// Frames that no client should send, for the comparison with Apache Kafka: whether the connection is closed, and what
// comes back before. After each the broker must still serve others.
import assert from 'node:assert/strict'
import net from 'node:net'
import { apiVersions } from '../../protocol/messages/api-versions.ts'
import { Stage } from './differential-stage.ts'
import type { Checks } from './suite.ts'

const frame = (body: Buffer): Buffer => {
  const size = Buffer.alloc(4)
  size.writeInt32BE(body.length)
  return Buffer.concat([size, body])
}

const header = (key: number, version: number, rest: Buffer | string = '', clientId = 'raw'): Buffer => {
  const head = Buffer.alloc(10)
  head.writeInt16BE(key, 0)
  head.writeInt16BE(version, 2)
  head.writeInt32BE(7, 4)
  head.writeInt16BE(clientId.length, 8)
  return Buffer.concat([head, Buffer.from(clientId), Buffer.from(rest)])
}

const sized = (size: number, body = ''): Buffer => {
  const bytes = Buffer.alloc(4)
  bytes.writeInt32BE(size)
  return Buffer.concat([bytes, Buffer.from(body)])
}

const frames: [what: string, bytes: Buffer][] = [
  ['ApiVersions of a version to come', frame(header(18, 99, Buffer.from([0])))],
  ['ApiVersions of a negative version', frame(header(18, -1))],
  ['Metadata of a version to come', frame(header(3, 99))],
  ['Produce of a version that is gone', frame(header(0, 1))],
  ['an API that does not exist', frame(header(999, 0))],
  ['an API of brokers and controllers', frame(header(62, 0))],
  ['an API that is gone (LeaderAndIsr)', frame(header(4, 0))],
  ['a header that ends early', frame(Buffer.from([0, 18, 0]))],
  ['a Metadata request that ends early', frame(header(3, 1, Buffer.from([0, 0, 0, 9, 0])))],
  ['a Metadata request with bytes behind it', frame(header(3, 1, Buffer.from([0, 0, 0, 0, 1, 2, 3])))],
  ['an array of two thousand million', frame(header(3, 1, Buffer.from([0x7f, 0xff, 0xff, 0xff])))],
  ['a frame of no bytes', sized(0)],
  ['a frame of a negative size', sized(-5)],
  ['a frame beyond socket.request.max.bytes', sized(200_000_000, 'x')],
  ['HTTP', Buffer.from('GET / HTTP/1.1\r\nHost: x\r\n\r\n')],
  ['TLS', Buffer.from('16030100f5010000f10303', 'hex')],
  ['nothing, and then the end', Buffer.alloc(0)]
]

/** What comes back for these bytes: the first bytes of the answer, and whether the broker closed. */
function reaction(bootstrap: string, bytes: Buffer): Promise<string> {
  const [host = '', port = ''] = bootstrap.split(':')
  return new Promise((resolve, reject) => {
    let received = Buffer.alloc(0)
    const socket = net.connect(Number(port), host, () => socket.write(bytes))
    const finish = (how: string): void => {
      socket.destroy()
      // Size, correlation id and the first two bytes, an error code in most answers; the size depends on what is offered.
      resolve(`${how}, answer ${received.subarray(4, 10).toString('hex') || 'none'}`)
    }
    socket.setTimeout(1500, () => finish('left open'))
    socket.on('data', chunk => {
      received = Buffer.concat([received, chunk])
    })
    socket.on('close', () => finish('closed'))
    socket.on('error', cause => ('code' in cause && cause.code === 'ECONNRESET' ? finish('closed') : reject(cause)))
  })
}

export async function compareFrames(target: string, kafka: string, checks: Checks): Promise<void> {
  for (const [what, bytes] of frames) {
    await checks.check(`frames: ${what}`, async () => {
      const [expected, actual] = await Promise.all([reaction(kafka, bytes), reaction(target, bytes)])
      assert.equal(actual, expected)
      const stage = new Stage(target, '')
      const after = await stage.ask(apiVersions, 0, {})
      await stage.close()
      assert.notEqual(typeof after, 'string', 'the broker serves others')
    })
  }
}
