// Goal: the cache gives back what was put, or nothing: deleted, corrupt or older than the files, it costs time only.
// One suite for LevelDB and for its twin in memory; then what only real files can suffer.
import { mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { type Test, test } from 'tap'
import { MemoryKeyStores, type OpenKeyStore, openLevelStore, SnapshotCache } from '../../storage/snapshot-cache.ts'

const endOfTurn = (fn: () => void) => void setImmediate(fn)

async function openCache(open: OpenKeyStore, directory: string): Promise<SnapshotCache> {
  return new SnapshotCache(await open(join(directory, 'state'), join(directory, '.lock')), endOfTurn)
}

const value = {
  offset: 17,
  groups: [
    { id: 'g', members: ['a', 'b'], big: 2 ** 45, none: null },
    { id: 'h', members: [], big: -1, none: null }
  ],
  bytes: Buffer.from([1, 2, 3])
}

async function suite(t: Test, open: OpenKeyStore, directory: string): Promise<void> {
  let cache = await openCache(open, directory)
  t.equal(cache.get('x'), undefined)
  cache.put('x', value)
  t.same(cache.get('x'), value, 'seen before it is written')
  await cache.flush()
  t.same(cache.get('x'), value)
  const changing = { count: 1 }
  cache.put('y', changing)
  changing.count = 2
  t.same(cache.get('y'), { count: 1 }, 'a value is taken as it was')
  cache.put('y', { count: 3 })
  cache.put('z', 'gone')
  cache.delete('z')
  t.equal(cache.get('z'), undefined)
  await cache.close()
  cache = await openCache(open, directory)
  t.same(cache.get('x'), value)
  t.same(cache.get('y'), { count: 3 })
  t.equal(cache.get('z'), undefined)
  cache.delete('x')
  await cache.flush()
  t.equal(cache.get('x'), undefined)
  await cache.close()
}

test('in memory', async t => await suite(t, new MemoryKeyStores().open, '/nowhere'))

test('in LevelDB', async t => {
  const directory = t.testdir()
  mkdirSync(join(directory, 'state'))
  await suite(t, openLevelStore, directory)
})

test('the twin loses the last batches in a crash, and is older then', async t => {
  const stores = new MemoryKeyStores()
  const cache = await openCache(stores.open, '/nowhere')
  for (const offset of [1, 2, 3]) {
    cache.put('groups', { offset })
    await cache.flush()
  }
  await t.rejects(stores.open('/nowhere/state', '/nowhere/.lock'), { code: 'ERR_LOCKED' })
  stores.crash(count => count - 1)
  const older = await openCache(stores.open, '/nowhere')
  t.same(older.get('groups'), { offset: 2 })
  stores.crash()
  t.equal((await openCache(stores.open, '/nowhere')).get('groups'), undefined)
})

test('deleted: it is empty, and works', async t => {
  const directory = t.testdir({ state: {} })
  let cache = await openCache(openLevelStore, directory)
  cache.put('x', value)
  await cache.close()
  rmSync(join(directory, 'state'), { recursive: true })
  mkdirSync(join(directory, 'state'))
  cache = await openCache(openLevelStore, directory)
  t.equal(cache.get('x'), undefined)
  cache.put('x', value)
  t.same(cache.get('x'), value)
  await cache.close()
})

test('corrupt, each file in turn: what comes back is what was put, or nothing', async t => {
  const directory = t.testdir({ state: {} })
  let cache = await openCache(openLevelStore, directory)
  const put = async () => {
    cache.put('x', value)
    await cache.close()
  }
  await put()
  const state = join(directory, 'state')
  for (const prefix of ['CURRENT', 'MANIFEST', '0']) {
    for (const damage of [garbage, halved, emptied, flipped]) {
      const file = readdirSync(state).find(name => name.startsWith(prefix))
      if (!file) continue
      writeFileSync(join(state, file), damage(readFileSync(join(state, file))))
      cache = await openCache(openLevelStore, directory)
      const got = cache.get('x')
      t.ok(got === undefined || JSON.stringify(got) === JSON.stringify(value), `${file}, ${damage.name}`)
      await put()
      cache = await openCache(openLevelStore, directory)
      t.same(cache.get('x'), value, 'and it works on')
      await cache.close()
    }
  }
})

const garbage = (bytes: Buffer) => Buffer.alloc(bytes.length, 0x5a)
const halved = (bytes: Buffer) => bytes.subarray(0, bytes.length >> 1)
const emptied = () => Buffer.alloc(0)
const flipped = (bytes: Buffer) => bytes.map((byte, at) => (at === bytes.length - 5 ? byte ^ 1 : byte))

test('a value whose bytes changed behind our back is no value', async t => {
  const stored = new Map<string, Uint8Array | null>()
  const failures: unknown[] = []
  const cache = new SnapshotCache(
    {
      get: key => stored.get(key) ?? undefined,
      write: async entries => {
        for (const [key, bytes] of entries) stored.set(key, bytes)
      },
      close: async () => {}
    },
    endOfTurn,
    error => failures.push(error)
  )
  cache.put('x', value)
  await cache.flush()
  const bytes = stored.get('x') as Uint8Array
  for (let at = 0; at < bytes.length; at++) {
    stored.set(
      'x',
      bytes.map((byte, index) => (index === at ? byte ^ 0x10 : byte))
    )
    if (cache.get('x') !== undefined) t.fail(`a flip at ${at} was not seen`)
    stored.set('x', bytes.slice(0, at))
    if (cache.get('x') !== undefined) t.fail(`a cut at ${at} was not seen`)
  }
  stored.set('x', bytes)
  t.same(cache.get('x'), value)
  t.same(failures, [])
})

test('a store that fails costs nothing but the cache', async t => {
  const failures: Error[] = []
  const broken = {
    get: () => {
      throw new Error('read')
    },
    write: async () => {
      throw new Error('write')
    },
    close: async () => {}
  }
  const cache = new SnapshotCache(broken, endOfTurn, error => failures.push(error as Error))
  cache.put('x', value)
  await cache.flush()
  t.equal(cache.get('x'), undefined)
  await cache.close()
  t.same(
    failures.map(each => each.message),
    ['write', 'read']
  )
})
