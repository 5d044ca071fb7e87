// Goal: the simulated world is what it says: a seed replays byte for byte, in one process and in two; networks, disks and
// processes fail as real ones do and in no other way; and the real broker, on one node, loses nothing acknowledged.
import { execFileSync } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { test } from 'tap'
import type { ByteStream } from '../../broker/net/network.ts'
import { probe } from '../../broker/peers.ts'
import { connect } from '../../clients/connection.ts'
import { Agenda } from '../../clients/simulate/agenda.ts'
import { Dice } from '../../clients/simulate/dice.ts'
import { SimDisk } from '../../clients/simulate/disk.ts'
import { SimProcess } from '../../clients/simulate/sim-process.ts'
import { Trace } from '../../clients/simulate/trace.ts'
import { type SimClient, World } from '../../clients/simulate/world.ts'
import { apiVersions } from '../../protocol/messages/api-versions.ts'
import { UNHOOKED } from '../process/broker-process.ts'
import { tell } from './replay.ts'

test('one seed, one story: in this process, and in another', async t => {
  const [first, again, other] = [await tell(11), await tell(11), await tell(12)]
  t.same(again, first)
  t.not(other.hash, first.hash)
  const [program, ...options] = UNHOOKED
  const script = fileURLToPath(new URL('./replay.js', import.meta.url))
  const text = execFileSync(program, [...options, script, '11'], { encoding: 'utf8' })
  t.equal(text.trim(), first.hash)
})

test('a single broker loses nothing that it acknowledged, whatever ends it', async t => {
  const seen = new Set<string>()
  for (let seed = 1; seed <= 12; seed++) {
    const { acked, lost, deaths } = await tell(seed)
    t.same(lost, [], `seed ${seed}: ${deaths}`)
    t.ok(acked > 20, `seed ${seed}: ${acked} acknowledged`)
    for (const each of deaths) seen.add(each)
  }
  t.same([...seen].sort(), ['crash', 'kill', 'pause', 'power-off', 'stop'])
})

test('the agenda: by time, then by entry; promises run out between two; what is cancelled does not come', async t => {
  const agenda = new Agenda()
  const seen: string[] = []
  const say = (what: string) => () => void seen.push(what)
  agenda.after(20, say('c'))
  agenda.after(10, () => {
    seen.push('a')
    void Promise.resolve()
      .then(() => {})
      .then(say('promise of a'))
  })
  agenda.after(10, say('b'))
  const cancelled = Array.from({ length: 50 }, (_, i) => agenda.after(i, say('never')))
  for (const each of cancelled) agenda.cancel(each)
  agenda.after(30, say('later'))
  t.equal(await agenda.run(25, () => false), false)
  t.same(seen, ['a', 'promise of a', 'b', 'c'])
  t.equal(agenda.nowUs, 25)
  t.equal(await agenda.run(100, () => seen.at(-1) === 'later'), true)
  t.equal(agenda.nowUs, 30)
  agenda.after(1, () => {
    throw new Error('of an entry')
  })
  await t.rejects(
    agenda.run(100, () => false),
    { message: 'of an entry' }
  )
  const dice = new Dice('agenda')
  const times: number[] = []
  for (let i = 0; i < 2000; i++) {
    const entry = agenda.after(dice.below(500), () => times.push(agenda.nowUs))
    if (dice.isOneIn(3)) agenda.cancel(entry)
  }
  await agenda.run(10_000, () => false)
  t.ok(times.length > 1000)
  t.same(
    times,
    [...times].sort((a, b) => a - b)
  )
})

function processOf(agenda: Agenda): SimProcess {
  return new SimProcess({ agenda, trace: new Trace(), dice: new Dice('process'), skewMs: () => 0, id: 1 })
}

test('a process: dead, it never acts again; stopped, it sees its timers first and then the rest, in order', async t => {
  const agenda = new Agenda()
  const process = processOf(agenda)
  const seen: string[] = []
  const say = (what: string) => () => void seen.push(what)
  process.clock.after(5, say('timer 5'))
  process.clock.after(2, say('timer 2'))
  const cancelled = process.clock.after(3, say('cancelled while stopped'))
  agenda.after(1000, () => process.run('io', say('io 1')))
  agenda.after(3000, () => process.run('io', say('io 3')))
  process.pause()
  await agenda.run(10_000, () => false)
  t.same(seen, [])
  process.resume()
  cancelled.cancel()
  await agenda.run(20_000, () => false)
  t.same(seen, ['timer 2', 'timer 5', 'io 1', 'io 3'])
  process.clock.endOfTurn(say('end of a dead turn'))
  process.clock.after(1, say('timer of the dead'))
  process.pause()
  await agenda.run(30_000, () => false)
  process.end()
  process.resume()
  process.run('io', say('io of the dead'))
  await agenda.run(40_000, () => false)
  t.equal(seen.length, 4)
})

/** Two machines; the second listens on port 1 and keeps what it hears. */
async function pair(seed: number) {
  const world = new World({ seed })
  const [near, far] = [world.client('near'), world.client('far')]
  const accepted: ByteStream[] = []
  const heard: string[] = []
  await far.network.listen(
    { host: 'far', port: 1, backlog: 1 },
    stream => {
      accepted.push(stream)
      note(stream, heard)
    },
    () => {}
  )
  return { world, near, far, accepted, heard }
}

/** Writes down what a stream says; pieces of data are joined. */
function note(stream: ByteStream, heard: string[]): ByteStream {
  stream.on('connect', () => void heard.push('connect'))
  stream.on('data', chunk => {
    if (heard.at(-1)?.startsWith('data ') === true) heard[heard.length - 1] += chunk.toString()
    else heard.push(`data ${chunk.toString()}`)
  })
  stream.on('end', () => void heard.push('end'))
  stream.on('error', error => void heard.push((error as NodeJS.ErrnoException).code ?? ''))
  stream.on('close', () => void heard.push('close'))
  return stream
}

const call = (client: SimClient, heard: string[], host = 'far', port = 1): ByteStream =>
  note(client.network.connect(host, port), heard)

test('a connection: bytes in order, half-open ends, the goodbye', async t => {
  const { world, near, heard, accepted } = await pair(1)
  const own: string[] = []
  const stream = call(near, own)
  stream.write('early, ')
  await world.run(20)
  for (let i = 0; i < 200; i++) {
    stream.write(`${i};`)
    await world.run(world.dice.below(2))
  }
  stream.end()
  await world.run(20)
  t.same(heard, [`data early, ${Array.from({ length: 200 }, (_, i) => `${i};`).join('')}`, 'end'])
  t.same(own, ['connect'], 'the other side may still speak')
  accepted[0]?.write('answer')
  accepted[0]?.end()
  await world.run(20)
  t.same(own, ['connect', 'data answer', 'end', 'close'])
  t.same(heard.slice(1), ['end', 'close'])
  t.ok(stream.destroyed && accepted[0]?.destroyed)
  t.match(accepted[0]?.remoteAddress, /^10\./)
})

test('nobody listens, nobody answers, nobody has that name', async t => {
  const { world, near, far } = await pair(2)
  const [refused, unknown, silent]: string[][] = [[], [], []]
  call(near, refused as string[], 'far', 2)
  call(near, unknown as string[], 'nowhere')
  await world.run(50)
  t.same(
    [refused, unknown],
    [
      ['ECONNREFUSED', 'close'],
      ['ENOTFOUND', 'close']
    ]
  )
  await t.rejects(
    far.network.listen(
      { host: 'far', port: 1, backlog: 1 },
      () => {},
      () => {}
    ),
    { code: 'EADDRINUSE' }
  )
  await t.rejects(
    far.network.listen(
      { host: 'near', port: 3, backlog: 1 },
      () => {},
      () => {}
    ),
    { code: 'EADDRNOTAVAIL' }
  )
  const address = { host: 'far', port: 1 }
  t.equal(await world.until(probe(near.network, near.clock, address, 500), 1000), 'accepted')
  t.equal(await world.until(probe(near.network, near.clock, { ...address, port: 2 }, 500), 1000), 'refused')
  world.network.cut('far', 'near')
  t.equal(await world.until(probe(near.network, near.clock, address, 500), 1000), 'silent', 'one way is enough')
  call(near, silent as string[], 'far', 2)
  await world.run(126_000)
  t.same(silent, [])
  await world.run(2000)
  t.same(silent, ['ETIMEDOUT', 'close'])
  const late: string[] = []
  call(near, late)
  await world.run(2500)
  world.network.heal('far', 'near')
  await world.run(1000)
  t.same(late, ['connect'], 'asked again, and answered')
  far.process.pause()
  t.equal(await world.until(probe(near.network, near.clock, address, 500), 1000), 'accepted', 'its system answers')
})

test('a cut wire is silent one way only; what was sent comes later, in order, unless it was a reset', async t => {
  const { world, near, heard, accepted } = await pair(3)
  const own: string[] = []
  const stream = call(near, own)
  await world.run(10)
  world.network.cut('near', 'far')
  stream.write('a')
  accepted[0]?.write('the other way')
  await world.run(5000)
  stream.write('b')
  await world.run(5000)
  t.same([own, heard], [['connect', 'data the other way'], []])
  world.network.heal('near', 'far')
  await world.run(1000)
  t.same(heard, ['data ab'])
  world.network.isolate('near')
  stream.resetAndDestroy()
  await world.run(1000)
  world.network.healAll()
  await world.run(1000)
  t.same(heard, ['data ab'], 'nobody told it')
  accepted[0]?.write('hello?')
  await world.run(1000)
  t.same(heard, ['data ab', 'ECONNRESET', 'close'])
  const other: string[] = []
  call(near, other)
  await world.run(10)
  t.equal(world.network.reset('near', 'far'), 1)
  await world.run(10)
  t.same(other, ['connect', 'ECONNRESET', 'close'])
})

test('slow wires, and a peer that does not read', async t => {
  const { world, near, heard, accepted } = await pair(4)
  const stream = call(near, [])
  await world.run(10)
  world.network.delay('near', 'far', 100)
  stream.write('x')
  await world.run(90)
  t.same(heard, [])
  await world.run(20)
  t.same(heard, ['data x'])
  world.network.delay('near', 'far', 0)
  let drained = 0
  stream.on('drain', () => drained++)
  accepted[0]?.pause()
  t.notOk(stream.write(Buffer.alloc(4 << 20, 'y')))
  await world.run(1000)
  t.ok(stream.writableLength > 3 << 20, 'the systems of both take half a megabyte')
  t.equal(drained, 0)
  accepted[0]?.resume()
  await world.run(1000)
  t.equal(stream.writableLength, 0)
  t.equal(drained, 1)
  t.equal(heard[0]?.length, 'data x'.length + (4 << 20))
})

test('a killed process: its connections end, its port refuses; without power: silence, and a reset when it is back', async t => {
  const seen = new Set<string>()
  for (let seed = 10; seed < 30; seed++) {
    const { world, near, far } = await pair(seed)
    const own: string[] = []
    call(near, own)
    await world.run(10)
    far.process.end()
    await world.run(10)
    seen.add(own.join(' '))
    const again: string[] = []
    call(near, again)
    await world.run(10)
    t.same(again, ['ECONNREFUSED', 'close'])
  }
  t.same([...seen].sort(), ['connect ECONNRESET close', 'connect end close'])
  const { world, near, far, heard } = await pair(5)
  const own: string[] = []
  const stream = call(near, own)
  await world.run(10)
  world.network.powerOff('far')
  far.process.end()
  stream.write('hello?')
  await world.run(30_000)
  t.same([own, heard], [['connect'], []])
  world.network.powerOn('far')
  await world.run(1000)
  t.same(own, ['connect', 'ECONNRESET', 'close'])
})

/** A disk, and a process on it. */
async function diskOf(agenda: Agenda, disk: SimDisk) {
  const process = processOf(agenda)
  const attached = disk.attach(process)
  await agenda.run(agenda.nowUs + 1e6, () => false)
  return { process, files: (await attached).files }
}

test('a disk: syncs take time, a dead process hears of none; a kill keeps what was written, the power does not', async t => {
  const agenda = new Agenda()
  const disk = new SimDisk({ agenda, trace: new Trace(), dice: new Dice('disk'), directories: ['/d'] })
  const { process, files } = await diskOf(agenda, disk)
  const settled = async (promise: Promise<unknown>, us: number) => {
    let how = 'open'
    promise.then(
      () => {
        how = 'done'
      },
      error => {
        how = error.cause?.code ?? String(error)
      }
    )
    await agenda.run(agenda.nowUs + us, () => false)
    return how
  }
  const fd = files.open('/d/a', 'create')
  files.writev(fd, [Buffer.from('synced')], 0)
  t.equal(await settled(files.fdatasync(fd), 100), 'open')
  t.equal(await settled(files.syncDirectory('/d'), 10_000), 'done')
  disk.stall(50)
  t.equal(await settled(files.fdatasync(fd), 40_000), 'open')
  t.equal(await settled(files.fdatasync(fd), 60_000), 'done')
  disk.fill(3)
  t.throws(() => files.writev(fd, [Buffer.from('four')], 6), { code: 'ERR_NO_SPACE' })
  disk.makeRoom()
  files.writev(fd, [Buffer.from(' written')], 6)
  const unheard = files.fdatasync(fd)
  process.end()
  disk.processDied()
  t.equal(await settled(unheard, 1e6), 'open')
  t.throws(() => files.readFileSync('/d/a'), { code: 'ERR_STORAGE' }, 'nor may it act')
  t.equal(disk.read('/d/a')?.toString(), 'synced written')
  const second = await diskOf(agenda, disk)
  t.equal(second.files.readFileSync('/d/a')?.toString(), 'synced written')
  disk.powerLost('drop')
  t.equal(disk.read('/d/a')?.toString(), 'synced', 'it was as little durable as before the kill')
  const third = await diskOf(agenda, disk)
  disk.inject({ operation: 'sync', path: '/d/a', code: 'EIO', times: 1 })
  t.equal(await settled(third.files.fdatasync(third.files.open('/d/a', 'write')), 1e6), 'EIO')
  t.equal(disk.flipBit('/a'), '/d/a')
  t.not(disk.read('/d/a')?.toString(), 'synced')
  t.equal(disk.flipBit('/nothing'), null)
  disk.wipe()
  t.equal(disk.read('/d/a'), null)
})

test('a paused broker accepts and does not answer, until it goes on', async t => {
  const world = new World({ seed: 6 })
  const client = world.client('client')
  await world.start()
  const node = world.node(1)
  node.pause()
  t.equal(node.status, 'paused')
  const request = { clientSoftwareName: 'test', clientSoftwareVersion: '1' }
  const asking = connect('broker-1', 9092, client).then(connection => connection.send(apiVersions, 3, request))
  await t.rejects(world.until(asking, 20_000), { message: 'not within 20000 ms of simulated time' })
  node.resume()
  t.equal((await world.until(asking, 100)).errorCode, 0)
  t.equal(await world.until(node.stop(), 10_000), 'down')
  t.equal(node.lives, 1)
  node.wipe()
  await world.start()
  t.equal(node.status, 'up')
  disturb(world)
  t.ok(await world.waitFor(() => node.status === 'failed', 60_000), 'a broker whose disk fails ends by itself')
  t.match(node.failure, { code: 'ERR_STORAGE' })
  world.end()
})

function disturb(world: World): void {
  world.node(1).disk.inject({ operation: 'sync', path: '__cluster_metadata', code: 'EIO' })
  world.node(1).disk.inject({ operation: 'write', path: '__cluster_metadata', code: 'EIO' })
}
