// Goal: what is written down of a log is never ahead of it, whenever it is cut or removed.
import { existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'tap'
import { append, Life, orders, settle, topicId, until } from './catalog-fixture.ts'
import { config } from './log-fixture.ts'

const read = (life: { directory: string }, file: string) => readFileSync(join(life.directory, file), 'utf8')

test('a cut, and appends back to the very end of before: that end is recorded, not the cut', async t => {
  const life = new Life(t)
  let catalog = await life.begin()
  const log = await catalog.getOrCreate(orders(0), topicId(1), config)
  for (let offset = 0; offset < 6; offset++) await append(log)
  t.equal(await log.truncateTo(4), 4)
  for (let offset = 4; offset < 6; offset++) await append(log)
  await catalog.close({ brokerEpoch: 1 })
  t.match(read(life, 'recovery-point-offset-checkpoint'), /orders 0 6/)
  catalog = await life.begin()
  t.match(await catalog.getOrCreate(orders(0), topicId(1), config), { logEndOffset: 6, wasWalked: false })
  await catalog.close({ brokerEpoch: 1 })
})

test('a truncation lowers what is recorded before it begins', async t => {
  const life = new Life(t)
  let catalog = await life.begin()
  const log = await catalog.getOrCreate(orders(0), topicId(1), config)
  for (let count = 0; count < 6; count++) await append(log)
  catalog.recordHighWatermark(orders(0), 6)
  life.clock.advance(30_000)
  await until(() => existsSync(join(life.directory, 'recovery-point-offset-checkpoint')))
  await settle(life)
  t.match(read(life, 'moldau-synced-end-checkpoint'), 'orders 0 6')
  let seen = ''
  life.files.fault = (operation, path) => {
    if (operation === 'ftruncate' && path.endsWith('.log') && seen === '') {
      seen = read(life, 'moldau-synced-end-checkpoint') + read(life, 'recovery-point-offset-checkpoint')
    }
    return null
  }
  t.equal(await log.truncateTo(4), 4)
  t.match(seen, /orders 0 4 .*\n0\n1\norders 0 4\n/s)
  await append(log)
  catalog.recordHighWatermark(orders(0), 5)
  life.clock.advance(60_000)
  await until(() => read(life, 'moldau-synced-end-checkpoint').includes('orders 0 5'))
  await life.kill(catalog)
  catalog = await life.begin()
  t.equal((await catalog.getOrCreate(orders(0), topicId(1), config)).logEndOffset, 5)
  await catalog.close({ brokerEpoch: 1 })
})

test('a cut below the log start and the high watermark lowers what is recorded of them too', async t => {
  const life = new Life(t)
  let catalog = await life.begin()
  const log = await catalog.getOrCreate(orders(0), topicId(1), config)
  for (let count = 0; count < 6; count++) await append(log)
  log.advanceLogStartOffset(5)
  catalog.recordHighWatermark(orders(0), 6)
  life.clock.advance(30_000)
  life.clock.advance(60_000)
  const recorded = (name: string) => read(life, `${name}-checkpoint`)
  await until(() => existsSync(join(life.directory, 'log-start-offset-checkpoint')))
  await until(() => recorded('log-start-offset').includes('orders 0 5'))
  await settle(life)
  t.equal(await log.truncateTo(2), 2, 'an unclean election: the leader has nothing more')
  t.equal(catalog.highWatermarkOf(orders(0)), 2, 'retention and compaction go by it')
  await append(log)
  await append(log)
  await life.kill(catalog)
  catalog = await life.begin()
  const { logStartOffset, logEndOffset } = await catalog.getOrCreate(orders(0), topicId(1), config)
  t.same({ logStartOffset, logEndOffset }, { logStartOffset: 2, logEndOffset: 4 }, 'what was acked since then is there')
  t.ok(catalog.highWatermarkOf(orders(0)) <= 2)
  await catalog.close({ brokerEpoch: 1 })
})

test('a stop in the middle of a cut waits for its end', async t => {
  const life = new Life(t)
  let catalog = await life.begin()
  const log = await catalog.getOrCreate(orders(0), topicId(1), config)
  for (let count = 0; count < 6; count++) await append(log)
  const cut = log.truncateTo(4)
  await log.close()
  t.equal(await Promise.race([cut, 'it goes on']), 4)
  await life.kill(catalog)
  catalog = await life.begin()
  const back = await catalog.getOrCreate(orders(0), topicId(1), config)
  t.equal(back.logEndOffset, 4)
  await catalog.close({ brokerEpoch: 1 })
})

test('a log that is removed while it is written down for the first time: its name inherits nothing', async t => {
  const life = new Life(t)
  const held: (() => void)[] = []
  let isHolding = true
  const files = new Proxy(life.files, {
    get(target, key) {
      const member = Reflect.get(target, key, target) as unknown
      if (key !== 'writeFileAtomically') return member
      return async (file: string, bytes: Buffer) => {
        if (isHolding && file.endsWith('recovery-point-offset-checkpoint'))
          await new Promise<void>(resolve => held.push(resolve))
        await target.writeFileAtomically(file, bytes)
      }
    }
  })
  let catalog = await life.begin({ files })
  await append(await catalog.getOrCreate(orders(0), topicId(1), config), 100)
  life.clock.advance(30_000)
  await until(() => held.length > 0)
  const removed = catalog.remove(orders(0))
  await settle(life)
  isHolding = false
  for (const go of held) go()
  await removed
  await append(await catalog.getOrCreate(orders(0), topicId(2), config), 1)
  await settle(life)
  t.notMatch(read(life, 'recovery-point-offset-checkpoint'), 'orders 0 100')
  await life.kill(catalog)
  catalog = await life.begin()
  t.equal((await catalog.getOrCreate(orders(0), topicId(2), config)).logEndOffset, 1, 'it is no damaged log')
  await catalog.close({ brokerEpoch: 1 })
})
