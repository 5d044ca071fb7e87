// Goal: large answers leave in pieces and in order, one piece of a connection at a time and so much of all connections in
// one turn; their memory is let go when the system is done with it and not before, however the connection ends.
import { test } from 'tap'
import type { Clock } from '../../../broker/clock.ts'
import type { ByteStream } from '../../../broker/net/network.ts'
import { Outlet } from '../../../broker/net/outlet.ts'
import { SENT_BYTES, TurnWork } from '../../../broker/net/turn-work.ts'
import { Holds, MemoryPool } from '../../../protocol/memory-pool.ts'

const MIB = 2 ** 20

/** Takes what it is given, and says so when the test wants it to. */
class Peer {
  writes: Buffer[] = []
  destroyed = false
  writableLength = 0
  #done: (() => void)[] = []
  #isCorked = false
  /** Bytes of each write to the system: a gather counts as one. */
  readonly sizes: number[] = []

  cork(): void {
    this.#isCorked = true
    this.sizes.push(0)
  }

  uncork(): void {
    this.#isCorked = false
  }

  write(bytes: Buffer, done?: () => void): boolean {
    if (!this.#isCorked) this.sizes.push(0)
    this.sizes.push((this.sizes.pop() as number) + bytes.length)
    this.writes.push(Buffer.from(bytes))
    this.writableLength += bytes.length
    if (done !== undefined) this.#done.push(done)
    return true
  }

  take(): void {
    this.writableLength = 0
    for (const done of this.#done.splice(0)) done()
  }

  get received(): Buffer {
    return Buffer.concat(this.writes)
  }
}

function loop() {
  let due: (() => void)[] = []
  const clock = { endOfTurn: (fn: () => void) => due.push(fn) } as unknown as Clock
  return {
    turnWork: new TurnWork(clock, SENT_BYTES),
    turn() {
      const now = due
      due = []
      for (const fn of now) fn()
      return now.length > 0
    }
  }
}

function opened(turnWork: TurnWork) {
  const peer = new Peer()
  let sent = 0
  const outlet = new Outlet({ stream: peer as unknown as ByteStream, turnWork, onSent: () => sent++ })
  return { peer, outlet, sent: () => sent }
}

/** Bytes that tell where they belong. */
function numbered(size: number, first: number): Buffer {
  const bytes = Buffer.alloc(size)
  for (let at = 0; at + 4 <= size; at += 4) bytes.writeUInt32LE(first + at, at)
  return bytes
}

function held(pool: MemoryPool, size: number): { bytes: Buffer; holds: Holds; isHeld: () => boolean } {
  const bytes = pool.take(size)
  const slab = pool.slabOf(bytes)
  if (slab === null) throw new Error('not of the pool')
  const holds = new Holds()
  holds.add(slab)
  slab.letGo()
  return { bytes, holds, isHeld: () => !holds.isEmpty }
}

test('small replies of a turn leave joined, and their memory with them', async t => {
  const { peer, outlet } = opened(loop().turnWork)
  const { bytes, holds, isHeld } = held(new MemoryPool(), 600 * 1024)
  outlet.queue([Buffer.from('head'), bytes.subarray(0, 1000)])
  outlet.hold(holds)
  outlet.queue([Buffer.from('more')])
  t.equal(peer.sizes.length, 0)
  outlet.flush()
  t.same(peer.sizes, [1008])
  t.notOk(isHeld(), 'they were copied')
  t.ok(outlet.isEmpty)
})

test('one reply that lies in memory which is used again is copied before that is let go', async t => {
  const { peer, outlet } = opened(loop().turnWork)
  const { bytes, holds } = held(new MemoryPool(), 600 * 1024)
  const given: Buffer[] = []
  peer.write = each => given.push(each) > 0
  const reply = bytes.subarray(0, 1000)
  outlet.queue([reply])
  outlet.hold(holds)
  outlet.flush()
  t.equal(given.length, 1)
  t.not(given[0]?.buffer, reply.buffer)
})

test('a large answer leaves piece by piece, what comes after it stands behind it', async t => {
  const { turnWork, turn } = loop()
  const { peer, outlet, sent } = opened(turnWork)
  const { bytes, holds, isHeld } = held(new MemoryPool(), 3 * MIB)
  numbered(3 * MIB, 8).copy(bytes)
  const head = numbered(8, 0)
  outlet.queue([head, bytes])
  outlet.hold(holds)
  outlet.flush()
  t.same(peer.sizes, [MIB], 'the next piece waits until the system has this one')
  t.equal(outlet.unsentBytes, 3 * MIB + 8)
  outlet.queue([numbered(100, 3 * MIB + 8)])
  outlet.flush()
  t.same(peer.sizes, [MIB])
  for (let taken = 1; peer.writableLength > 0 || turn(); taken++) {
    t.ok(isHeld() || taken > 3)
    peer.take()
    t.ok(sent() <= 4)
  }
  t.same(peer.sizes, [MIB, MIB, MIB + 8, 100], 'no piece for a rest of eight bytes')
  t.equal(sent(), 4)
  t.notOk(isHeld())
  t.ok(outlet.isEmpty)
  t.equal(outlet.unsentBytes, 0)
  t.same(peer.received, numbered(3 * MIB + 108, 0))
})

test('many connections send no more in one turn than is good for those who wait, and all get on', async t => {
  const { turnWork, turn } = loop()
  const all = Array.from({ length: 20 }, () => opened(turnWork))
  for (const { outlet } of all) {
    outlet.queue([numbered(2 * MIB, 0)])
    outlet.flush()
  }
  const total = () => all.reduce((sum, { peer }) => sum + peer.received.length, 0)
  let before = 0
  let turns = 0
  do {
    const more = total() - before
    t.ok(more <= 2 * SENT_BYTES, `${more} bytes in one turn`)
    before += more
    turns++
    for (const { peer } of all) peer.take()
  } while (turn() && turns < 1000)
  t.ok(all.every(({ peer }) => peer.received.equals(numbered(2 * MIB, 0))))
  t.ok(turns > 5)
})

test('memory that the system may still read from is held beyond the end of the connection', async t => {
  const pool = new MemoryPool()
  const { turnWork } = loop()
  const { peer, outlet, sent } = opened(turnWork)
  const [first, second, third] = [held(pool, 2 * MIB), held(pool, 2 * MIB), held(pool, 2 * MIB)] as const
  for (const { bytes, holds } of [first, second]) {
    outlet.queue([bytes])
    outlet.hold(holds)
    outlet.flush()
  }
  outlet.queue([third.bytes])
  outlet.hold(third.holds)
  peer.destroyed = true
  outlet.close()
  t.ok(first.isHeld())
  t.notOk(second.isHeld() || third.isHeld(), 'the system was not given these')
  peer.take()
  t.notOk(first.isHeld())
  t.same(peer.sizes, [MIB])
  t.equal(sent(), 0)
  t.ok(outlet.isEmpty)
})

test('what waits for a later turn is let go with the connection', async t => {
  const { turnWork, turn } = loop()
  turnWork.spend(1)
  turnWork.spend(2 * SENT_BYTES)
  const { peer, outlet } = opened(turnWork)
  const { bytes, holds, isHeld } = held(new MemoryPool(), 2 * MIB)
  outlet.queue([bytes])
  outlet.hold(holds)
  outlet.flush()
  t.same(peer.sizes, [])
  t.ok(isHeld())
  peer.destroyed = true
  outlet.close()
  t.notOk(isHeld())
  while (turn()) t.same(peer.sizes, [])
})
