// A connection on a real socket: replies in the order of requests, back-pressure towards a peer that does not read,
// limits on connections, idle ones, and the orderly end.
import { connect, type Socket } from 'node:net'
import { test } from 'tap'
import { type Clock, systemClock } from '../../../broker/clock.ts'
import { MemoryBudget } from '../../../broker/net/budget.ts'
import type { Connection, OnFrame } from '../../../broker/net/connection.ts'
import { Listeners } from '../../../broker/net/listener.ts'
import { nodeNetwork } from '../../../broker/net/network.ts'
import { Turn } from '../../../broker/net/slot.ts'
import { Holds } from '../../../protocol/memory-pool.ts'

const quiet = { error() {}, warn() {}, info() {}, debug() {} }

async function serve(
  onFrame: OnFrame,
  limits: Partial<Record<'connections' | 'perIp' | 'idleMs', number>> = {},
  clock: Clock = systemClock
) {
  const budget = new MemoryBudget({ clock, limitBytes: 2 ** 28, cacheBytes: 0, maxFrameBytes: 1_000_000 })
  const listeners = new Listeners({
    network: nodeNetwork,
    clock,
    budget,
    log: quiet as never,
    onFrame,
    limits: {
      maxFrameBytes: () => 1_000_000,
      maxConnections: () => limits.connections ?? 100,
      maxConnectionsPerIp: () => limits.perIp ?? 100,
      maxIdleMs: () => limits.idleMs ?? -1
    }
  })
  const port = await listeners.listen({ name: 'PLAINTEXT', protocol: 'PLAINTEXT', host: '127.0.0.1', port: 0 })
  return { listeners, port, budget }
}

function open(port: number): Promise<Socket> {
  const socket = connect({ port, host: '127.0.0.1' })
  return new Promise((resolve, reject) => socket.once('connect', () => resolve(socket)).once('error', reject))
}

function frame(text: string): Buffer {
  const body = Buffer.from(text)
  const size = Buffer.alloc(4)
  size.writeInt32BE(body.length)
  return Buffer.concat([size, body])
}

function readUntil(socket: Socket, length: number): Promise<string> {
  let got = ''
  return new Promise(resolve => {
    const onData = (chunk: Buffer): void => {
      got += chunk.toString('latin1')
      if (got.length < length) return
      socket.off('data', onData)
      resolve(got)
    }
    socket.on('data', onData)
  })
}

const closed = (socket: Socket): Promise<void> => new Promise(resolve => socket.once('close', () => resolve()))

test('replies leave in the order of their requests, whoever is done first', async t => {
  const release = new Map<string, () => void>()
  const { listeners, port } = await serve(request => {
    const text = String(request)
    if (text === 'c') return [Buffer.from('c')]
    return new Promise(resolve => release.set(text, () => resolve([Buffer.from(text)])))
  })
  const socket = await open(port)
  const answer = readUntil(socket, 3)
  socket.write(Buffer.concat([frame('a'), frame('b'), frame('c')]))
  while (release.size < 2) await new Promise(setImmediate)
  release.get('b')?.()
  await new Promise(setImmediate)
  release.get('a')?.()
  t.equal(await answer, 'abc')
  socket.destroy()
  await listeners.close()
})

test('a reply of nothing keeps its place', async t => {
  const { listeners, port } = await serve(request => (String(request) === 'none' ? null : [request]))
  const socket = await open(port)
  const answer = readUntil(socket, 2)
  socket.write(Buffer.concat([frame('none'), frame('x'), frame('none'), frame('y')]))
  t.equal(await answer, 'xy')
  socket.destroy()
  await listeners.close()
})

test('a peer that does not read is not read from, and others are served', async t => {
  let taken = 0
  const big = Buffer.alloc(1024 * 1024, 'x')
  const { listeners, port } = await serve(request => {
    if (String(request) === 'ping') return [Buffer.from('pong')]
    taken++
    return [big]
  })
  const slow = await open(port)
  slow.pause()
  slow.write(Buffer.concat(Array.from({ length: 500 }, () => frame('big'))))
  const other = await open(port)
  for (let round = 0; round < 20; round++) {
    const answer = readUntil(other, 4)
    other.write(frame('ping'))
    t.match(await answer, /pong/)
  }
  t.ok(taken < 100, `only ${taken} of 500 requests were taken from the peer that does not read`)
  const all = readUntil(slow, 500 * big.length)
  slow.resume()
  t.equal((await all).length, 500 * big.length, 'once it reads it gets everything')
  slow.destroy()
  other.destroy()
  await listeners.close()
})

test('an unreadable frame ends its own connection after the replies before it', async t => {
  const { listeners, port } = await serve(request => [request])
  const [bad, good] = [await open(port), await open(port)]
  const answer = readUntil(bad, 2)
  const end = closed(bad)
  bad.write(Buffer.concat([frame('ok'), Buffer.from('GET / HTTP/1.1\r\n\r\n')]))
  t.equal(await answer, 'ok')
  await end
  const other = readUntil(good, 4)
  good.write(frame('here'))
  t.equal(await other, 'here')
  good.destroy()
  await listeners.close()
})

test('limits on connections, per address too', async t => {
  for (const limits of [{ connections: 1 }, { perIp: 1 }]) {
    const { listeners, port } = await serve(request => [request], limits)
    const first = await open(port)
    const answer = readUntil(first, 1)
    first.write(frame('a'))
    await answer
    await closed(await open(port))
    first.destroy()
    await closed(first)
    while (listeners.connections.size > 0) await new Promise(setImmediate)
    const next = await open(port)
    const second = readUntil(next, 1)
    next.write(frame('b'))
    t.equal(await second, 'b', 'its place is free again')
    next.destroy()
    await listeners.close()
  }
})

test('an idle connection is ended, one with work is not', async t => {
  const { listeners, port } = await serve(request => (String(request) === 'wait' ? new Promise(() => {}) : [request]), {
    idleMs: 60
  })
  const [idle, waiting] = [await open(port), await open(port)]
  waiting.write(frame('wait'))
  await closed(idle)
  t.notOk(waiting.destroyed)
  waiting.resetAndDestroy()
  await listeners.close()
})

test('the orderly end answers what was accepted', async t => {
  let finish = (): void => {}
  const connections: Connection[] = []
  const { listeners, port } = await serve((request, connection) => {
    connections.push(connection)
    return new Promise(resolve => {
      finish = () => resolve([request])
    })
  })
  const socket = await open(port)
  const answer = readUntil(socket, 4)
  const end = closed(socket)
  socket.write(frame('late'))
  while (connections.length === 0) await new Promise(setImmediate)
  const closing = listeners.close()
  t.ok(connections[0]?.signal.aborted, 'parked work is told')
  finish()
  t.equal(await answer, 'late')
  await closing
  await end
})

test('the orderly end does not wait longer for a peer that has sent its last request meanwhile', async t => {
  let finish = (): void => {}
  let isAtWork = false
  const work: OnFrame = request => {
    isAtWork = true
    return new Promise(resolve => {
      finish = () => resolve([request])
    })
  }
  // The limit that ends the wait never comes.
  const { listeners, port } = await serve(work, {}, { ...systemClock, after: () => ({ cancel() {} }) })
  const socket = connect({ port, host: '127.0.0.1', allowHalfOpen: true })
  const answer = readUntil(socket, 4)
  socket.write(frame('late'))
  while (!isAtWork) await new Promise(setImmediate)
  const closing = listeners.close()
  socket.end()
  await new Promise(resolve => socket.once('finish', resolve))
  for (let turn = 0; turn < 50; turn++) await new Promise(setImmediate)
  finish()
  t.equal(await answer, 'late')
  await closing
})

test('a peer that has sent its last request still gets its answer', async t => {
  const { listeners, port } = await serve(request => new Promise(resolve => setImmediate(() => resolve([request]))))
  const socket = connect({ port, host: '127.0.0.1', allowHalfOpen: true })
  const answer = readUntil(socket, 4)
  socket.end(frame('last'))
  t.equal(await answer, 'last')
  await listeners.close()
})

test('who sends hundreds of requests in one go is not served by one turn, and loses none', async t => {
  const perTurn: number[] = []
  let inTurn = 0
  const { listeners, port } = await serve(() => {
    if (inTurn++ === 0) {
      setImmediate(() => {
        perTurn.push(inTurn)
        inTurn = 0
      })
    }
    return [Buffer.from('x')]
  })
  const sockets = await Promise.all([open(port), open(port), open(port)])
  const count = 4000
  const answers = sockets.map(socket => readUntil(socket, count))
  for (const socket of sockets) socket.write(Buffer.concat(Array.from({ length: count }, () => frame('a'))))
  for (const answer of await Promise.all(answers)) t.equal(answer.length, count)
  t.ok(Math.max(...perTurn) <= 1100, `at most ${Math.max(...perTurn)} in a turn`)
  for (const socket of sockets) socket.destroy()
  await listeners.close()
})

test('what a connection has in work is given back when it ends, begun or not', async t => {
  for (const hasRoom of [true, false]) {
    let [taken, begun] = [0, 0]
    let finish = (): void => {}
    const work = () => {
      begun++
      return new Promise<null>(resolve => {
        finish = () => resolve(null)
      })
    }
    const { listeners, port, budget } = await serve(() => {
      taken++
      return new Turn(work, new Holds(), 'consumer')
    })
    const used = () => budget.accounts.reduce((sum, each) => sum + each.usedBytes, 0)
    const others = hasRoom ? 0 : 2 ** 28
    budget.answers.consumer.take(others)
    const socket = await open(port)
    socket.write(Buffer.concat([frame('first'), frame('x'.repeat(100_000)), frame('last')]))
    while (taken < 3) await new Promise(setImmediate)
    t.ok(used() - others > 100_000)
    socket.resetAndDestroy()
    while (listeners.connections.size > 0) await new Promise(setImmediate)
    finish()
    await new Promise(setImmediate)
    t.equal(used(), others)
    t.equal(budget.waiting, 0)
    budget.answers.consumer.take(-others)
    t.equal(begun, hasRoom ? 1 : 0)
    await listeners.close()
  }
})

test('what a peer has not read is counted once, whatever it was sent before', async t => {
  const readers = ['consumer', 'follower', 'controller'] as const
  const answer = Buffer.alloc(3_000_000)
  const begun: string[] = []
  const { listeners, port, budget } = await serve(request => {
    const reader = readers[Number(String(request))] ?? 'consumer'
    return new Turn(
      room => {
        begun.push(reader)
        room.settle(room.ask(answer.length, true), answer.length)
        return [answer]
      },
      new Holds(),
      reader
    )
  })
  const socket = (await open(port)).pause()
  socket.write(Buffer.concat(['1', '2', '0', '1', '2', '0', '1', '2', '0'].map(frame)))
  for (let quiet = 0, before = 0; quiet < 200; quiet = begun.length === before ? quiet + 1 : 0) {
    before = begun.length
    await new Promise(setImmediate)
  }
  t.ok(begun.length > 1 && begun.length < 9, `${begun.length} of 9 were begun`)
  const { answers } = budget
  const holding = readers.filter(each => answers[each].usedBytes > 0)
  t.same(holding, [begun.at(-1)], 'among those of the last kind')
  socket.destroy()
  while (listeners.connections.size > 0) await new Promise(setImmediate)
  t.same(
    readers.map(each => answers[each].usedBytes),
    [0, 0, 0]
  )
  await listeners.close()
})
