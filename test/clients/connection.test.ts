// Goal: requests of one connection are answered in order and each by its own response; what is no answer ends it.
import { once } from 'node:events'
import net, { type AddressInfo } from 'node:net'
import { test } from 'tap'
import { FrameReader } from '../../broker/net/frames.ts'
import { connect } from '../../clients/connection.ts'
import { decodeRequest, encodeRequest, encodeResponse, parseRequestHeader } from '../../protocol/frame.ts'
import { heartbeat } from '../../protocol/messages/heartbeat.ts'

/** A server that collects whole request frames and lets the test answer. */
async function serve(onFrame: (frame: Buffer, socket: net.Socket) => void) {
  const server = net.createServer(socket => {
    const reader = new FrameReader({ maxBytes: 1 << 20 })
    socket.on('error', () => {})
    socket.on('data', chunk => {
      reader.push(chunk)
      for (let frame = reader.next(); frame; frame = reader.next()) onFrame(frame, socket)
    })
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  return { port: (server.address() as AddressInfo).port, close: () => server.close() }
}

function answer(frame: Buffer): Buffer {
  const header = parseRequestHeader(frame)
  const request = decodeRequest(heartbeat, header.apiVersion, frame, header.position)
  return Buffer.concat(
    encodeResponse(heartbeat, header.apiVersion, header.correlationId, { errorCode: request.generationId })
  )
}

const request = (generationId: number) => ({ groupId: 'g', generationId, memberId: 'm' })

test('many in flight, each gets its own answer, however the bytes arrive', async t => {
  const received: Buffer[] = []
  const server = await serve((frame, socket) => {
    received.push(Buffer.from(frame))
    if (received.length < 5000) return
    const all = Buffer.concat(received.map(answer))
    for (let from = 0; from < all.length; from += 1009) socket.write(all.subarray(from, from + 1009))
  })
  const connection = await connect('127.0.0.1', server.port, { clientId: 'tester' })
  const answers = Array.from({ length: 5000 }, (_, i) => connection.send(heartbeat, i % 5, request(i % 100)))
  t.equal(connection.inFlight, 5000)
  const codes = (await Promise.all(answers)).map(each => each.errorCode)
  t.same(
    codes,
    Array.from({ length: 5000 }, (_, i) => i % 100)
  )
  t.equal(parseRequestHeader(received[0] as Buffer).clientId, 'tester')
  t.equal(connection.inFlight, 0)
  await connection.close()
  server.close()
})

test('frames made before, and requests without an answer', async t => {
  const server = await serve((frame, socket) => {
    if (parseRequestHeader(frame).correlationId !== 0) socket.write(answer(frame))
  })
  const connection = await connect('127.0.0.1', server.port)
  connection.sendOneWay(heartbeat, 3, request(1))
  const made = Buffer.concat(encodeRequest(heartbeat, 4, 77, null, request(9)))
  t.equal((await connection.exchange(made)).readInt32BE(0), 77)
  t.equal((await connection.send(heartbeat, 4, request(3))).errorCode, 3)
  await connection.drained()
  t.equal(connection.unsentBytes, 0)
  connection.destroy()
  server.close()
})

test('a lost broker, a wrong answer and an unheard one fail what is in flight', async t => {
  const server = await serve((frame, socket) => {
    const asked = parseRequestHeader(frame)
    if (asked.apiVersion === 0) socket.destroy()
    else if (asked.apiVersion === 1) socket.write(Buffer.concat(encodeResponse(heartbeat, 1, 1234, {})))
  })
  const lost = await connect('127.0.0.1', server.port)
  const closed = lost.closed
  await t.rejects(lost.send(heartbeat, 0, request(1)), { code: 'ERR_DISCONNECTED' })
  t.match(await closed, { code: 'ERR_DISCONNECTED' })
  await t.rejects(lost.send(heartbeat, 0, request(1)), { code: 'ERR_DISCONNECTED' }, 'and stays closed')
  const wrong = await connect('127.0.0.1', server.port)
  await t.rejects(wrong.send(heartbeat, 1, request(1)), { code: 'ERR_MALFORMED' })
  const silent = await connect('127.0.0.1', server.port)
  const unheard = t.rejects(silent.send(heartbeat, 2, request(1)), { code: 'ERR_CLOSED' })
  await silent.close()
  await unheard
  const port = server.port
  server.close()
  await t.rejects(connect('127.0.0.1', port), { code: 'ERR_REFUSED', message: /ECONNREFUSED/ })
})
