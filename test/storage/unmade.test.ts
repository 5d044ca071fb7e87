// Goal: a log that nobody writes to costs the disk nothing; the first batch waits until the directory and the topic's id
// in it are durable; whatever else is asked of such a log meanwhile finds it as any other.
import { existsSync, readdirSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'tap'
import type { Files } from '../../storage/files.ts'
import type { Log } from '../../storage/log.ts'
import { append, Life, orders, settle, topicId, until } from './catalog-fixture.ts'
import { batchOf, config } from './log-fixture.ts'

const small = { ...config, segmentBytes: 1000, indexIntervalBytes: 100 }

function queue(log: Log, valueBytes = 20): void {
  const o = { leaderEpoch: 0, origin: 'client', nowMs: 1_700_000_000_000 } as const
  const { kind } = log.appendAsLeader(batchOf({ count: 1, valueBytes }), o)
  if (kind !== 'appended') throw new Error(kind)
}

/** Operations on the directory and its files, by the name of the file, from `from` on. */
function steps(life: Life, from: number, name: string): string[] {
  const { log, directory } = { log: life.files.log.slice(from), directory: life.directory }
  const isOurs = (path: string) => path === directory || path.startsWith(join(directory, name))
  return log.filter(({ path }) => isOurs(path)).map(({ operation, path }) => `${operation} ${path.split('/').at(-1)}`)
}

test('nothing is on the disk before the first batch, and the batch is not before what it lies in', async t => {
  const life = new Life(t)
  let catalog = await life.begin()
  for (let index = 0; index < 3; index++) await catalog.getOrCreate(orders(index), topicId(1), config)
  const begun = catalog.begin(orders(3), topicId(1), config) as Log
  t.equal(catalog.begin(orders(3), topicId(1), config), null, 'it is there')
  t.equal(await catalog.getOrCreate(orders(3), topicId(1), config), begun)
  t.same(
    readdirSync(life.directory).filter(each => each.startsWith('orders')),
    []
  )
  const from = life.files.log.length
  let published = -1
  begun.onSynced(end => {
    published = end
  })
  queue(begun)
  t.equal(begun.isUnmade, true)
  await until(() => published === 1)
  const done = steps(life, from, 'orders-3')
  const at = (step: string) => done.indexOf(step)
  t.ok(at('mkdir orders-3') >= 0)
  t.ok(at('writeFileAtomically partition.metadata') > at('mkdir orders-3'))
  t.ok(at('open 00000000000000000000.log') < at('writeFileAtomically partition.metadata'), 'one sync for both names')
  t.ok(at('syncDirectory data') > at('writeFileAtomically partition.metadata'))
  t.ok(at('writev 00000000000000000000.log') > at('syncDirectory data'), 'no byte before its directory is durable')
  t.equal(begun.durableEndOffset, 1)
  await life.kill(catalog)

  catalog = await life.begin()
  t.equal(catalog.begin(orders(3), topicId(1), config), null, 'on the disk')
  t.match(await catalog.getOrCreate(orders(3), topicId(1), config), { logEndOffset: 1, isUnmade: false })
  t.match(catalog.begin(orders(0), topicId(1), config), { logEndOffset: 0, isUnmade: true })
  await catalog.close({ brokerEpoch: 1 })
  t.notOk(existsSync(join(life.directory, 'orders-0')))
  t.equal(catalog.begin(orders(1), topicId(1), config), null, 'closed')
})

test('many first batches at the moment of the stop are all on the disk after it', async t => {
  const life = new Life(t)
  let catalog = await life.begin()
  for (let index = 0; index < 40; index++) {
    const log = catalog.begin(orders(index), topicId(1), small) as Log
    for (let batch = 0; batch < 5; batch++) queue(log, 400)
  }
  await catalog.close({ brokerEpoch: 1 })
  t.same(life.offline, [])
  catalog = await life.begin()
  t.not(catalog.cleanShutdown, null)
  for (let index = 0; index < 40; index++) {
    const log = await catalog.getOrCreate(orders(index), topicId(1), small)
    if (log.logEndOffset !== 5 || log.wasWalked) t.fail(`orders-${index} ends at ${log.logEndOffset}`)
  }
  await catalog.close({ brokerEpoch: 1 })
})

test('reads, cuts, checkpoints and rolls of a log that is being made', async t => {
  const life = new Life(t, { tailCacheBytes: 1 })
  const catalog = await life.begin()
  const log = catalog.begin(orders(0), topicId(1), small) as Log
  t.equal(await log.checkpoint(), 0)
  t.equal(await log.flush(), 0)
  log.roll(1_700_000_000_000)
  t.equal(log.deleteOldSegments(0, 1_800_000_000_000), 0)
  t.equal(log.isUnmade, true, 'nothing of that needs a directory')
  for (let batch = 0; batch < 5; batch++) queue(log, 400)
  t.equal(log.segments.count, 1, 'no roll before there is a directory')
  const read = await log.read(3, { upto: 5, maxBytes: 1, minOneMessage: true })
  t.equal(read.endOffset, 4, 'the tail cache has nothing: it waits for the file')
  await append(log, 1, 400)
  t.equal(log.segments.count, 2, 'then it rolls')

  const cut = catalog.begin(orders(1), topicId(1), small) as Log
  t.equal(await cut.truncateTo(0), 0)
  t.equal(cut.isUnmade, true)
  t.equal(await cut.truncateFullyAndStartAt(70), 70)
  t.same(
    readdirSync(join(life.directory, 'orders-1')).filter(each => each.endsWith('.log')),
    ['00000000000000000070.log']
  )
  const tail = catalog.begin(orders(2), topicId(1), small) as Log
  for (let batch = 0; batch < 3; batch++) queue(tail)
  t.equal(await tail.truncateTo(2), 2)
  queue(tail)
  t.equal(await tail.checkpoint(), 3)
  await catalog.close({ brokerEpoch: 1 })
  t.same(life.offline, [])
})

test('one that goes away before or while it is made leaves nothing in the way of the next', async t => {
  const life = new Life(t)
  let release: (() => void) | null = null
  const files: Files = new Proxy(life.files, {
    get: (target, key) => {
      if (key !== 'writeFileAtomically' || release !== null) return Reflect.get(target, key)
      return async (...args: Parameters<Files['writeFileAtomically']>) => {
        if (args[0].endsWith('partition.metadata')) await new Promise<void>(resolve => (release = resolve))
        await target.writeFileAtomically(...args)
      }
    }
  })
  const catalog = await life.begin({ files })
  catalog.begin(orders(0), topicId(1), config)
  await catalog.remove(orders(0))
  const old = catalog.begin(orders(0), topicId(1), config) as Log
  queue(old)
  await until(() => release !== null)
  const removed = catalog.remove(orders(0))
  const anew = catalog.getOrCreate(orders(0), topicId(2), config)
  t.equal(catalog.begin(orders(0), topicId(2), config), null, 'the name is not free yet')
  ;(release as unknown as () => void)()
  await removed
  await append(await anew, 2)
  t.equal(old.isOffline, true)
  life.clock.advance(config.fileDeleteDelayMs)
  await settle(life)
  t.same(
    readdirSync(life.directory).filter(each => each.startsWith('orders')),
    ['orders-0']
  )
  t.equal((await anew).logEndOffset, 2)
  await catalog.close({ brokerEpoch: 1 })
})

test('a disk that takes no directory is lost, as with any failed write', async t => {
  const life = new Life(t)
  const catalog = await life.begin()
  const log = catalog.begin(orders(0), topicId(1), config) as Log
  life.files.fault = (operation, path) =>
    operation === 'writeFileAtomically' && path.endsWith('partition.metadata') ? 'EIO' : null
  queue(log)
  await t.rejects(log.flush(), { code: 'ERR_LOG_OFFLINE' })
  t.equal(life.offline.length, 1)
  t.equal(log.isOffline, true)
  await catalog.close({ brokerEpoch: 1 })
})
