// What the injector lets strike, on a cluster that is made of notes: what had no effect does not count, an end takes back its
// own fault only, and nothing but a disk that was struck excuses a broker that gives up.
import { test } from 'tap'
import type { Arena } from '../../clients/simulate/arena.ts'
import type { Fault, FaultKind } from '../../clients/simulate/faults.ts'
import { Injector } from '../../clients/simulate/injector.ts'
import { World } from '../../clients/simulate/world.ts'
import { MoldauError } from '../../protocol/failure.ts'

interface Story {
  readonly injector: Injector
  readonly notes: string[]
  readonly down: Set<number>
  strike(kind: FaultKind, node: number, ms?: number): void
  run(ms: number): Promise<void>
}

function story(arena: Partial<Arena> = {}): Story {
  const world = new World({ seed: 1 })
  const notes: string[] = []
  const down = new Set<number>()
  const note = (what: string): void => void notes.push(what)
  const parts: Arena = {
    nodeCount: 3,
    isUp: node => !down.has(node),
    isPaused: () => false,
    kill: (node, death) => note(`${death} ${node}`),
    start: async node => !down.has(node),
    stop: async node => note(`stop ${node}`),
    pause: node => note(`pause ${node}`),
    resume: node => note(`resume ${node}`),
    setLink: () => {},
    reset: () => {},
    setDiskFull: (node, isFull) => note(`${isFull ? 'fill' : 'empty'} ${node}`),
    setDiskSlow: (node, isSlow) => note(`${isSlow ? 'slow' : 'fast'} ${node}`),
    failSync: () => () => true,
    wipe: node => note(`wipe ${node}`),
    flipBit: () => true,
    jumpClock: () => {},
    ...arena
  }
  const injector = new Injector(parts, world.client('faults').clock, node => note(`before loss ${node}`))
  const strike = (kind: FaultKind, node: number, ms = 1000): void => {
    const fault: Fault = { atMs: 0, kind, node, other: (node + 1) % 3, ms, dice: 0 }
    injector.strike(fault)
  }
  return { injector, notes, down, strike, run: ms => world.run(ms) }
}

test('what came to nothing is skipped', async t => {
  const results = { sync: false, flip: false }
  const { injector, down, strike, run } = story({ failSync: () => () => results.sync, flipBit: () => results.flip })
  const counts = (kind: FaultKind): number[] => [
    injector.struck.filter(each => each.kind === kind).length,
    injector.skipped.get(kind) ?? 0
  ]
  for (const kind of ['failed-sync', 'flipped-bit'] as const) {
    strike(kind, 0)
    t.same(counts(kind), [1, 0], 'as long as nobody knows')
    await run(10_000)
    t.same(counts(kind), [0, 1], `${kind} without effect`)
    results.sync = results.flip = true
    strike(kind, 0)
    await run(10_000)
    t.same(counts(kind), [1, 1])
    results.sync = results.flip = false
  }
  for (const node of [0, 1, 2]) down.add(node)
  strike('restart-all', 0)
  strike('power-loss-all', 0)
  await run(3000)
  t.same(counts('restart-all'), [0, 1], 'nobody was there')
  down.clear()
  await run(60_000)
  t.same(counts('power-loss-all'), [0, 1], 'nobody was there')
  t.ok(injector.isQuiet)
})

test('an end takes back its own fault only', async t => {
  const { notes, strike, run } = story()
  strike('disk-full', 1, 4000)
  strike('slow-disk', 1, 9000)
  strike('failed-sync', 1, 1000)
  await run(2000)
  t.same(notes, ['fill 1', 'slow 1'])
  strike('disk-full', 1, 6000)
  await run(3000)
  t.same(notes, ['fill 1', 'slow 1', 'fill 1'], 'the other one goes on')
  await run(10_000)
  t.same(notes, ['fill 1', 'slow 1', 'fill 1', 'empty 1', 'fast 1'])
})

test('only its disk excuses a broker that gives up, and only where a fault struck it', async t => {
  const { injector, strike, run } = story()
  const full = new MoldauError('ERR_NO_SPACE', 'full')
  t.throws(() => injector.ended(1, full), /^healthy-broker: node 2 ended: full/)
  strike('disk-full', 1)
  t.doesNotThrow(() => injector.ended(1, full))
  t.throws(() => injector.ended(0, full), /^healthy-broker/, 'another node')
  t.throws(() => injector.ended(1, new MoldauError('ERR_CLOSED', 'no reason')), /^healthy-broker/)
  t.throws(() => injector.ended(1, new TypeError('a bug')), /^healthy-broker/)
  t.throws(() => injector.ended(1, Object.assign(new Error('a bug'), { code: 'ERR_STORAGE' })), /^healthy-broker/)
  await run(62_000)
  t.throws(() => injector.ended(1, full), /^healthy-broker/, 'too late')
})

test('only after a flipped bit a node that does not start gets an empty disk, which is counted', async t => {
  for (const kind of ['flipped-bit', 'failed-sync'] as const) {
    const { injector, notes, down, strike, run } = story()
    strike(kind, 0)
    await run(100)
    down.add(0)
    if (kind === 'failed-sync') injector.ended(0, new MoldauError('ERR_STORAGE', 'sync'))
    await run(60_000)
    const isFlip = kind === 'flipped-bit'
    t.equal(notes.includes('wipe 0'), isFlip, kind)
    t.equal(injector.disksReplaced, isFlip ? 1 : 0)
    t.notOk(injector.isQuiet, 'it is tried still')
    if (isFlip) t.same(notes, ['kill 0', 'before loss 0', 'before loss 0', 'wipe 0'], 'told before it is gone')
  }
})
