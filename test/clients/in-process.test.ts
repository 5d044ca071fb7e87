// Goal: a broker inside this process can be killed, held and cut off as a process of its own could, and its directory is
// free for its next life. What a cluster makes of it is test/cluster/in-process.test.ts.
import { existsSync, fstatSync, readdirSync, readFileSync, statSync } from 'node:fs'
import { createServer } from 'node:net'
import { type Test, test } from 'tap'
import { nodeNetwork } from '../../broker/net/network.ts'
import { type Connection, connect } from '../../clients/connection.ts'
import { Disk } from '../../clients/in-process/files.ts'
import { clockOf, Life } from '../../clients/in-process/life.ts'
import { Links } from '../../clients/in-process/links.ts'
import { LifeNetwork } from '../../clients/in-process/network.ts'
import { startBroker, startCluster } from '../../clients/index.ts'
import { createTopics } from '../../protocol/messages/create-topics.ts'
import { metadata } from '../../protocol/messages/metadata.ts'
import { NodeFiles } from '../../storage/files-node.ts'
import { openLevelStore } from '../../storage/snapshot-cache.ts'

/** A server and a client, each in a life of its own, with a link between nodes 1 (client) and 2 (server). */
async function twoLives(t: Test) {
  const links = new Links()
  const [near, far] = [new Life(), new Life()]
  const network = new LifeNetwork(near, 1, links, nodeNetwork)
  const received: string[] = []
  const seen: string[] = []
  const accepted: { write(text: string): unknown; resetAndDestroy(): unknown }[] = []
  const changed = new Set<() => void>()
  const note = (list: string[], what: string) => {
    list.push(what)
    for (const each of [...changed]) each()
  }
  const listening = await new LifeNetwork(far, 2, links, nodeNetwork).listen(
    { host: '127.0.0.1', port: 0, backlog: 9 },
    stream => {
      accepted.push(stream)
      note(received, '(accepted)')
      stream.on('data', chunk => note(received, String(chunk)))
      stream.on('error', () => {})
      stream.on('end', () => note(received, '(ended)'))
    },
    () => {}
  )
  const open = () => {
    const stream = network.connect('127.0.0.1', listening.port)
    stream.on('connect', () => note(seen, '(connected)'))
    stream.on('data', chunk => note(seen, String(chunk)))
    stream.on('error', () => {})
    stream.on('close', () => note(seen, '(closed)'))
    return stream
  }
  const until = (list: string[], what: string) =>
    new Promise<void>(resolve => {
      const look = () => {
        if (!list.join('').includes(what)) return
        changed.delete(look)
        resolve()
      }
      changed.add(look)
      look()
    })
  t.teardown(() => {
    links.heal()
    near.end()
    far.end()
  })
  return { links, near, far, open, received, seen, accepted, until, probe: () => open() }
}

/** Longer than anything takes that is on its way over the loopback. */
async function aWhile(): Promise<void> {
  for (let i = 0; i < 50; i++) await new Promise(resolve => setImmediate(resolve))
}

test('a cut link carries nothing one way, and everything in its order when it is healed', async t => {
  const world = await twoLives(t)
  const stream = world.open()
  await world.until(world.received, '(accepted)')
  stream.write('a')
  await world.until(world.received, 'a')
  world.links.cut(1, 2)
  stream.write('b')
  stream.write('c')
  world.accepted[0]?.write('x')
  await world.until(world.seen, 'x')
  t.notMatch(world.received.join(''), /b/, 'the other way it still carries')
  t.equal(stream.writableLength, 2)
  world.links.heal()
  await world.until(world.received, 'bc')
  world.links.cut(2, 1)
  world.accepted[0]?.write('y')
  stream.write('d')
  await world.until(world.received, 'd')
  await aWhile()
  t.notMatch(world.seen.join(''), /y/)
  world.links.heal()
  await world.until(world.seen, 'y')
})

test('a partition replaces the earlier one, and what was cut stays cut until all is healed', async t => {
  const links = new Links()
  const open = () =>
    [1, 2, 3, 4].flatMap(from =>
      [1, 2, 3, 4].filter(to => from < to && !links.isCut(from, to)).map(to => `${from}${to}`)
    )
  links.part([[1, 2], [3]])
  t.same(open(), ['12'], 'a node in no group reaches nobody')
  links.cut(4, 3)
  links.part([
    [1, 3],
    [2, 3, 4]
  ])
  t.same(open(), ['13', '23', '24', '34'], 'a node in two reaches both')
  t.ok(links.isCut(4, 3))
  t.notOk(links.isCut(1, 1))
  links.heal()
  t.same(open(), ['12', '13', '14', '23', '24', '34'])
  t.notOk(links.isCut(4, 3))

  const world = await twoLives(t)
  const stream = world.open()
  await world.until(world.received, '(accepted)')
  world.links.part([[1], [2]])
  stream.write('a')
  await aWhile()
  t.same(world.received, ['(accepted)'])
  world.links.part([[1, 2]])
  await world.until(world.received, 'a')
})

test('what cannot be started is said by the name of the setting, and leaves nothing behind', async t => {
  const before = process.env.TMPDIR
  const directory = t.testdir()
  process.env.TMPDIR = directory
  t.teardown(() => {
    if (before === undefined) delete process.env.TMPDIR
    else process.env.TMPDIR = before
  })
  const server = createServer().listen(0, '127.0.0.1')
  t.teardown(() => server.close())
  await new Promise(resolve => server.once('listening', resolve))
  const { port } = server.address() as { port: number }
  const unknown = {
    message: /^settings numpartitions=3: unknown setting numpartitions; did you mean num\.partitions\?$/
  }
  const wrong = { message: /^settings: num\.partitions=x: not a whole number/ }
  const starts: ((options: { settings: Record<string, string | number> }) => Promise<unknown>)[] = [
    startBroker,
    startCluster
  ]
  for (const start of starts) {
    await t.rejects(start({ settings: { numpartitions: 3 } }), { code: 'ERR_CONFIG', ...unknown })
    await t.rejects(start({ settings: { 'num.partitions': 'x' } }), { code: 'ERR_CONFIG', ...wrong })
  }
  await t.rejects(startBroker({ settings: { listeners: `PLAINTEXT://127.0.0.1:${port}` } }), { message: /in use/ })
  for (const brokers of [0, 1.5, -1, 10, Number.NaN]) {
    const message = `brokers ${brokers}: must be a number from 1 to 9`
    await t.rejects(startCluster({ brokers }), { code: 'ERR_CONFIG', message })
  }
  t.same(readdirSync(directory), [])
  const broker = await startBroker()
  t.equal(readdirSync(directory).length, 1)
  await broker.stop()
  t.same(readdirSync(directory), [])
})

test('behind a cut nobody hears of a new connection, nor of an end', async t => {
  const world = await twoLives(t)
  const first = world.open()
  await world.until(world.received, '(accepted)')
  world.links.cut(1, 2)
  const second = world.open()
  second.write('hello')
  first.destroy()
  await world.until(world.seen, '(closed)')
  await aWhile()
  t.same(world.received, ['(accepted)'])
  world.links.heal()
  await world.until(world.received, 'hello')
  await world.until(world.received, '(ended)')
})

test('a broker that is held hears nothing and says nothing, and then all of it', async t => {
  const world = await twoLives(t)
  const stream = world.open()
  await world.until(world.received, '(accepted)')
  world.far.pause()
  stream.write('a')
  const late = world.open()
  await world.until(world.seen, '(connected)')
  late.write('b')
  await aWhile()
  t.same(world.received, ['(accepted)'])
  world.far.resume()
  await world.until(world.received, 'a')
  await world.until(world.received, 'b')
})

test('a dead one resets what it had, and is not there any more', async t => {
  const world = await twoLives(t)
  world.open()
  await world.until(world.received, '(accepted)')
  world.far.end()
  await world.until(world.seen, '(closed)')
  t.same(world.received, ['(accepted)'], 'the dead hear of nothing')
  const refused = new Promise(resolve => world.probe().on('error', error => resolve((error as { code?: string }).code)))
  t.equal(await refused, 'ECONNREFUSED')
})

test('time and disk of a life: held while it is held, and nothing once it is over', async t => {
  const life = new Life()
  const due: { fn: () => void; isCancelled: boolean }[] = []
  const clock = clockOf(life, {
    nowMs: () => 1,
    monotonicMs: () => 2,
    after: (_, fn) => {
      const entry = { fn, isCancelled: false }
      due.push(entry)
      return {
        cancel: () => {
          entry.isCancelled = true
        }
      }
    },
    endOfTurn: fn => void due.push({ fn, isCancelled: false })
  })
  const ran: string[] = []
  const fire = () => {
    for (const { fn, isCancelled } of due.splice(0)) if (!isCancelled) fn()
  }
  clock.after(5, () => ran.push('a'))
  life.pause()
  clock.endOfTurn(() => ran.push('b'))
  const late = clock.after(5, () => ran.push('c'))
  fire()
  t.same(ran, [], 'held')
  late.cancel()
  life.resume()
  t.same(ran, ['a', 'b'], 'and then in order, without what was cancelled meanwhile')

  const disk = new Disk(life, new NodeFiles(), openLevelStore)
  const directory = t.testdir()
  const fd = disk.files.open(`${directory}/log`, 'create')
  disk.files.writev(fd, [Buffer.from('kept')], 0)
  let isHeard = false
  const sync = disk.files.fdatasync(fd).then(() => {
    isHeard = true
  })
  clock.after(5, () => ran.push('d'))
  clock.endOfTurn(() => ran.push('e'))
  life.end()
  fire()
  disk.files.writev(fd, [Buffer.from('lost')], 0)
  disk.files.rename(`${directory}/log`, `${directory}/other`)
  void disk.files.unlink(`${directory}/log`)
  await disk.released()
  t.same(ran, ['a', 'b'], 'no timer comes to the dead')
  t.notOk(isHeard, 'nor how a sync ended')
  void sync
  t.equal(readFileSync(`${directory}/log`, 'utf8'), 'kept', 'and nothing that they ask for is done')
  // The system closes in its own time.
  const { ino } = statSync(`${directory}/log`)
  while (fileOf(fd) === ino) await new Promise(resolve => setImmediate(resolve))
  t.not(fileOf(fd), ino, 'their descriptors are closed')
})

test('a broker is killed and started again on its data, its lock free and its port the same', async t => {
  const cluster = await startCluster({ brokers: 1 })
  t.teardown(() => cluster.stop())
  const [node] = cluster.nodes
  t.throws(() => cluster.partition([1], [4]), { name: 'RangeError', message: 'there is no node 4' })
  const ask = async <T>(fn: (connection: Connection) => Promise<T>): Promise<T> => {
    const connection = await connect('127.0.0.1', node!.port)
    try {
      return await fn(connection)
    } finally {
      connection.destroy()
    }
  }
  const made = await ask(connection =>
    connection.send(createTopics, 7, {
      topics: [{ name: 'orders', numPartitions: 3, replicationFactor: 1 }],
      timeoutMs: 10_000
    })
  )
  t.equal(made.topics[0]?.errorCode, 0)
  const waiting = await connect('127.0.0.1', node!.port)
  await cluster.kill(1)
  await waiting.closed
  await t.rejects(connect('127.0.0.1', node!.port), { code: 'ERR_REFUSED' })
  t.equal(node!.state, 'down')
  await cluster.restart(1)
  const { topics } = await ask(connection => connection.send(metadata, 12, { topics: null }))
  t.same(
    topics.map(each => each.name),
    ['orders']
  )
  cluster.pause(1)
  const silent = ask(connection => connection.send(metadata, 12, { topics: [] }))
  let isAnswered = false
  void silent.then(() => {
    isAnswered = true
  })
  await aWhile()
  t.notOk(isAnswered)
  cluster.resume(1)
  t.equal((await silent).brokers.length, 1)
  await cluster.stop()
  t.notOk(existsSync(node!.dataDirectory), 'nothing is left')
})

test('a broker that is ending in order can be killed, and whoever waits for its end is told', async t => {
  const cluster = await startCluster({ brokers: 1 })
  t.teardown(() => cluster.stop())
  const node = cluster.node(1)
  const isMarkedClean = () => existsSync(`${node.dataDirectory}/.kafka_cleanshutdown`)
  const stopping = node.stop()
  t.equal(node.state, 'stopping')
  await node.kill()
  await stopping
  t.equal(node.state, 'down')
  t.notOk(isMarkedClean(), 'it was killed')

  await cluster.restart(1)
  const again = cluster.restart(1)
  await cluster.kill(1)
  await again
  t.equal(node.state, 'running', 'killed on its way down, and started all the same')

  await Promise.all([node.stop(), node.stop()])
  t.ok(isMarkedClean(), 'the second word waits for the first one')

  await node.start()
  void node.kill()
  const starting = node.start()
  const killed = node.kill()
  await t.rejects(starting, { message: /killed before it was ready/ })
  await killed
  t.equal(node.broker, null, 'nothing lives on that was killed while its last life was let go')

  await node.start()
  const lost = cluster.restart(1)
  await cluster.stop()
  await t.rejects(lost, { message: /was stopped before node 1 could start again/ })
  await t.rejects(connect('127.0.0.1', node.port), { code: 'ERR_REFUSED' })
  t.notOk(existsSync(node.dataDirectory), 'nothing is left')
})

/** What file a descriptor stands for; its number may have been given away. */
function fileOf(fd: number): number | null {
  try {
    return fstatSync(fd).ino
  } catch {
    return null
  }
}
