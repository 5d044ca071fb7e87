// Work on a log that something else overtakes: what was retired, joined, removed or made anew meanwhile is never touched
// by it, and nobody is told less than there is.
import { test } from 'tap'
import type { Files } from '../../storage/files.ts'
import { Log } from '../../storage/log.ts'
import { append, Life, orders, topicId, until } from './catalog-fixture.ts'
import { batchOf, config, type LogFixture, surroundings } from './log-fixture.ts'
import { sampleConfig } from './sample-config.ts'

const client = { leaderEpoch: 0, origin: 'client', nowMs: 1_700_000_000_000 } as const
const FAR = 1_700_000_060_000

/** Ten segments of one record each; the promise of a late timestamp makes a look-up read the first two. */
async function manySegments(): Promise<LogFixture & { log: Log }> {
  const around = await surroundings({ config: { ...config, segmentBytes: 200 } })
  const log = await Log.open(around.options)
  for (let index = 0; index < 10; index++) {
    log.appendAsLeader(batchOf({ timestamp: index === 9 ? FAR : 1_700_000_000_000, valueBytes: 100 }), client)
    await log.flush()
  }
  await log.checkpoint()
  for (const each of [0, 1]) log.segments.at(each)?.noteTimestamp(each, FAR)
  return { ...around, log }
}

/** The next read waits until it is let go. */
function holdRead(files: LogFixture['files']): { isHeld: () => boolean; release: () => void } {
  const read = files.read.bind(files)
  let release = (): void => {}
  let isHeld = false
  files.read = async (fd, buffer, position) => {
    files.read = read
    isHeld = true
    await new Promise<void>(resolve => {
      release = resolve
    })
    return read(fd, buffer, position)
  }
  return { isHeld: () => isHeld, release: () => release() }
}

test('a look-up by time that retention overtakes goes on with what is left', async t => {
  const { log, files, clock } = await manySegments()
  const held = holdRead(files)
  const lookup = log.offsetForTimestamp(FAR, 100)
  await until(held.isHeld)
  log.configure({ ...config, segmentBytes: 200, retentionBytes: 200 })
  t.ok(log.deleteOldSegments(log.logEndOffset, clock.nowMs()) > 2)
  await log.flush()
  await until(() => files.sizeOf('/data/t-0/00000000000000000001.log') === null)
  held.release()
  t.match(await lookup, { offset: 9, timestamp: FAR })
})

test('a clean stop takes the zeros off a preallocated file, whatever was written down before', async t => {
  const life = new Life(t)
  const preallocated = sampleConfig({ preallocate: true, segmentBytes: 4096 })
  let catalog = await life.begin()
  let log = await catalog.getOrCreate(orders(0), topicId(1), preallocated)
  for (let index = 0; index < 20; index++) await append(log, 1, 400)
  await log.checkpoint()
  const { logEndOffset, segments } = log
  await catalog.close({ brokerEpoch: 1 })
  catalog = await life.begin()
  log = await catalog.getOrCreate(orders(0), topicId(1), preallocated)
  t.equal(log.wasWalked, false)
  t.equal(log.logEndOffset, logEndOffset)
  t.equal(log.segments.active.sizeInBytes, segments.active.sizeInBytes)
  await catalog.close({ brokerEpoch: 1 })
})

test('a checkpoint that outlives its log writes nothing into a new log of that name', async t => {
  const life = new Life(t)
  let hold = (_: string): Promise<void> | null => null
  const files: Files = new Proxy(life.files, {
    get: (target, key) => {
      if (key !== 'fdatasync') return Reflect.get(target, key)
      return async (fd: number) => {
        const path = life.files.log.findLast(each => each.operation === 'open')?.path ?? ''
        await hold(path)
        await target.fdatasync(fd)
      }
    }
  })
  const catalog = await life.begin({ files })
  const old = await catalog.getOrCreate(orders(0), topicId(1), config)
  for (let index = 0; index < 30; index++) await append(old, 1, 1000)
  let release = (): void => {}
  let isHeld = false
  hold = path => {
    if (!path.endsWith('index')) return null
    isHeld = true
    return new Promise(resolve => {
      const before = release
      release = () => {
        before()
        resolve()
      }
    })
  }
  const checkpoint = old.checkpoint().catch(() => {})
  await until(() => isHeld)
  hold = () => null
  await catalog.remove(orders(0))
  const anew = await catalog.getOrCreate(orders(0), topicId(2), config)
  await append(anew, 1)
  release()
  await checkpoint
  const names = await life.files.readdir(anew.directory)
  t.same(
    names.filter(each => each.endsWith('.snapshot')),
    []
  )
  t.equal(old.isOffline, true)
  await catalog.close({ brokerEpoch: 1 })
})
