// Goal: what one kind of question to the controller costs, no other kind pays: a link that is given up for want of an
// answer takes along only what may be asked twice.
import { once } from 'node:events'
import net, { type AddressInfo, type Socket } from 'node:net'
import { test } from 'tap'
import { type Clock, systemClock } from '../../broker/clock.ts'
import { Channel, type ChannelOptions } from '../../broker/controller-channel.ts'
import type { RequestContext } from '../../broker/handlers/handler.ts'
import { FrameReader } from '../../broker/net/frames.ts'
import { nodeNetwork } from '../../broker/net/network.ts'
import { ErrorCode } from '../../protocol/errors.ts'
import { encodeResponse, parseRequestHeader } from '../../protocol/frame.ts'
import { createTopics } from '../../protocol/messages/create-topics.ts'
import { envelope } from '../../protocol/messages/envelope.ts'
import { MetadataImage } from '../../replication/metadata/image.ts'

interface Asked {
  readonly apiKey: number
  readonly correlationId: number
  readonly socket: Socket
}

/** A controller on a real port that answers when the test says so. */
async function controllerPeer() {
  const asked: Asked[] = []
  const waiting: { count: number; resolve: () => void }[] = []
  const server = net.createServer(socket => {
    const reader = new FrameReader({ maxBytes: 1 << 20 })
    socket.on('error', () => {})
    socket.on('data', chunk => {
      reader.push(chunk)
      for (let frame = reader.next(); frame; frame = reader.next()) {
        const { apiKey, correlationId } = parseRequestHeader(frame)
        asked.push({ apiKey, correlationId, socket })
      }
      for (const each of waiting) if (asked.length >= each.count) each.resolve()
    })
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address() as AddressInfo
  const hasAsked = (count: number) =>
    new Promise<void>(resolve => {
      waiting.push({ count, resolve })
      if (asked.length >= count) resolve()
    })
  const stop = () => {
    for (const { socket } of asked) socket.destroy()
    server.close()
  }
  return { address: { host: '127.0.0.1', port }, asked, hasAsked, stop }
}

test('a topic that takes too long to be made on the way costs no client’s request its link', async t => {
  const peer = await controllerPeer()
  t.teardown(peer.stop)
  const timers = new Map<() => void, number>()
  const clock: Clock = {
    ...systemClock,
    after(ms, fn) {
      timers.set(fn, ms)
      return { cancel: () => timers.delete(fn) }
    }
  }
  const settings = { offsetsPartitions: 1, offsetsReplicationFactor: 1, offsetsSegmentBytes: 1, brokersMeant: 3 }
  const metadataLog = { hasEnded: false, voters: [1, 2], onLeaderChange: () => () => {} }
  const channel = new Channel({
    ...{ network: nodeNetwork, clock, nodeId: 1, autoCreation: () => settings },
    ...{ requestTimeoutMs: () => 30_000, sessionTimeoutMs: () => 9000, settled: () => Promise.resolve() },
    controller: {
      ...{ isActive: false, activeControllerId: 2, onActivation: () => () => {} },
      metadata: { image: new MetadataImage() },
      metadataLog: { ...metadataLog, controllerAddress: () => peer.address }
    }
  } as unknown as ChannelOptions)
  t.teardown(() => channel.close())
  const context = { principal: 'User:ANONYMOUS', clientHost: '127.0.0.1' } as RequestContext
  const forwarded = channel.forward(Buffer.from('a create of a client'), context, () =>
    Promise.reject(new Error('here'))
  )
  await peer.hasAsked(1)
  const made = channel.autoCreate(['wanted'])
  await peer.hasAsked(2)
  t.strictSame(
    peer.asked.map(({ apiKey }) => apiKey),
    [envelope.key, createTopics.key]
  )
  const late = [...timers].filter(([, ms]) => ms <= 2000)
  t.equal(late.length, 1)
  for (const [fire] of late) fire()
  const [first, second] = peer.asked as [Asked, Asked]
  await once(second.socket, 'close')
  if (first.socket.destroyed) return t.fail('one link for both')
  const responseData = Buffer.from('created')
  for (const part of encodeResponse(envelope, 0, first.correlationId, { errorCode: 0, responseData })) {
    first.socket.write(part)
  }
  t.same(Buffer.concat(await forwarded).subarray(4), responseData, 'the answer to the first and only attempt')
  t.equal(peer.asked.filter(({ apiKey }) => apiKey === envelope.key).length, 1)
  channel.close()
  t.same([...(await made)], [['wanted', ErrorCode.LEADER_NOT_AVAILABLE]])
})
