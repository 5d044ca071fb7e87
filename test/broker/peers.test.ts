// Goal: a link to another broker pipelines, opens itself again, and tells every end by the right word; silence is never
// taken for a refusal.

import { once } from 'node:events'
import net, { type AddressInfo, type Socket } from 'node:net'
import { type Test, test } from 'tap'
import { type Clock, systemClock } from '../../broker/clock.ts'
import { FrameReader } from '../../broker/net/frames.ts'
import { type Address, nodeNetwork } from '../../broker/net/network.ts'
import { type LinkEnd, PeerLink, probe } from '../../broker/peers.ts'
import { decodeRequest, encodeResponse, parseRequestHeader } from '../../protocol/frame.ts'
import { heartbeat } from '../../protocol/messages/heartbeat.ts'

/** A peer on a real port: answers with the generation it is asked with; 1000 and above are left to the test. */
async function peer(onOdd: (generation: number, socket: Socket) => void = () => {}, port = 0) {
  const sockets = new Set<Socket>()
  const server = net.createServer(socket => {
    sockets.add(socket)
    const reader = new FrameReader({ maxBytes: 1 << 20 })
    socket.on('error', () => {})
    socket.on('data', chunk => {
      reader.push(chunk)
      for (let frame = reader.next(); frame; frame = reader.next()) {
        const { apiVersion, correlationId, position } = parseRequestHeader(frame)
        const { generationId } = decodeRequest(heartbeat, apiVersion, frame, position)
        if (generationId >= 1000) onOdd(generationId, socket)
        else
          for (const part of encodeResponse(heartbeat, apiVersion, correlationId, { errorCode: generationId }))
            socket.write(part)
      }
    })
  })
  server.listen(port, '127.0.0.1')
  await once(server, 'listening')
  const address: Address = { host: '127.0.0.1', port: (server.address() as AddressInfo).port }
  const stop = async () => {
    for (const each of sockets) each.destroy()
    await new Promise(resolve => server.close(resolve))
  }
  return { address, sockets, stop }
}

/** A clock whose timers fire when the test says so. */
function handClock() {
  const timers = new Set<() => void>()
  const clock: Clock = {
    ...systemClock,
    after(_ms, fn) {
      timers.add(fn)
      return { cancel: () => timers.delete(fn) }
    }
  }
  /** The oldest. */
  const fire = () => {
    const [first] = timers
    timers.delete(first as () => void)
    first?.()
  }
  return { clock, timers, fire }
}

function linkTo(t: Test, address: () => Address | null, clock: Clock = systemClock) {
  const ends: LinkEnd[] = []
  const onDown = (how: LinkEnd) => ends.push(how)
  const link = new PeerLink({
    network: nodeNetwork,
    clock,
    clientId: 'broker-1',
    address,
    timeoutMs: () => 5000,
    onDown
  })
  t.teardown(() => link.close())
  return {
    link,
    ends,
    ask: (generationId: number) => link.send(heartbeat, 4, { groupId: 'g', generationId, memberId: 'm' })
  }
}

test('pipelined over one connection, opened when it is needed', async t => {
  const server = await peer()
  const { clock, timers } = handClock()
  const { link, ends, ask } = linkTo(t, () => server.address, clock)
  t.equal(server.sockets.size, 0)
  t.notOk(link.isConnected)
  const answers = await Promise.all(Array.from({ length: 500 }, (_, i) => ask(i)))
  t.same(
    answers.map(each => each.errorCode),
    Array.from({ length: 500 }, (_, i) => i)
  )
  t.ok(link.isConnected)
  t.equal(server.sockets.size, 1)
  t.equal(timers.size, 0, 'no deadline is left behind')
  link.close()
  t.same(ends, [], 'our own end is nobody’s news')
  await t.rejects(ask(1), { code: 'ERR_CLOSED' })
  await server.stop()
})

test('lost: ended by the peer in order, or reset; the next request opens another connection', async t => {
  const server = await peer((generation, socket) => (generation === 1000 ? socket.end() : socket.resetAndDestroy()))
  const { link, ends, ask } = linkTo(t, () => server.address)
  const [answered, ...failed] = await Promise.allSettled([ask(7), ask(1000), ask(8)])
  t.match(answered, { value: { errorCode: 7 } })
  t.match(failed, [{ reason: { code: 'ERR_DISCONNECTED' } }, { reason: { code: 'ERR_DISCONNECTED' } }])
  t.same(ends, ['lost'])
  t.notOk(link.isConnected)
  await t.rejects(ask(1001), { code: 'ERR_DISCONNECTED' })
  t.same(ends, ['lost', 'lost'])
  t.equal((await ask(9)).errorCode, 9)
  t.equal(server.sockets.size, 3)
  for (const each of server.sockets) each.destroy()
  while (ends.length < 3) await new Promise(resolve => setImmediate(resolve))
  t.same(ends, ['lost', 'lost', 'lost'], 'told at once, though nothing was in flight')
  await server.stop()
})

test('refused, no address yet, and back again', async t => {
  const server = await peer()
  let address: Address | null = null
  const { ends, ask } = linkTo(t, () => address)
  await t.rejects(ask(1), { code: 'ERR_DISCONNECTED' }, 'not to know where is no refusal')
  t.same(ends, [])
  address = server.address
  await server.stop()
  await t.rejects(Promise.all([ask(1), ask(2)]), { code: 'ERR_REFUSED' })
  t.same(ends, ['refused'], 'once for a connection')
  t.equal(await probe(nodeNetwork, systemClock, server.address, 5000), 'refused')
  const again = await peer(() => {}, server.address.port)
  t.equal((await ask(3)).errorCode, 3)
  t.equal(await probe(nodeNetwork, systemClock, server.address, 5000), 'accepted')
  await again.stop()
})

test('silence: the late request times out, those beside it are disconnected, and it is no refusal', async t => {
  const server = await peer(() => {})
  const { clock, fire } = handClock()
  const { link, ends, ask } = linkTo(t, () => server.address, clock)
  await ask(1)
  const late = ask(1000)
  const beside = ask(2)
  fire()
  await t.rejects(late, { code: 'ERR_TIMEOUT', message: /Heartbeat/i })
  await t.rejects(beside, { code: 'ERR_DISCONNECTED' })
  t.same(ends, ['silent'])
  t.notOk(link.isConnected)
  t.equal((await ask(5)).errorCode, 5, 'over a new connection')
  const held = handClock()
  const answer = probe({ ...nodeNetwork, connect: () => new net.Socket() }, held.clock, server.address, 100)
  held.fire()
  t.equal(await answer, 'silent')
  const broken = () => {
    const socket = new net.Socket()
    setImmediate(() => socket.destroy(Object.assign(new Error('connect EHOSTUNREACH'), { code: 'EHOSTUNREACH' })))
    return socket
  }
  t.equal(await probe({ ...nodeNetwork, connect: broken }, systemClock, server.address, 5000), 'silent')
  await server.stop()
})
